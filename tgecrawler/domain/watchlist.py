"""The companies to watch; the shape of ``watchlist.yaml``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from tgecrawler.domain.urls import host_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import InitErrorDetails

Priority = Literal["high", "medium", "low"]
CompanyStatus = Literal["pre_token", "has_token", "infrastructure", "stablecoin", "experimental"]

MOST_COMPANIES = 100_000
MOST_NAMES = 200  # aliases, symbols, exclusions or domains of one company
LONGEST = 253  # characters of a host name (RFC 1035); no other field needs more

_SYMBOL = re.compile(r"[A-Z0-9]{1,12}")
_HANDLE = re.compile(r"\w{1,15}", re.ASCII)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?!\d+$){_LABEL}")


def _named(value: str) -> str:
    folded = " ".join(value.split())
    if not folded:
        raise ValueError("an empty name matches nothing; write the name or remove it")
    if not folded.isprintable():
        raise ValueError(f"{folded!r} holds a character that cannot be seen; remove it")
    return folded


def _symbol(value: str) -> str:
    if _SYMBOL.fullmatch(value):
        return value
    meant = value.removeprefix("$").upper()
    if _SYMBOL.fullmatch(meant):
        raise ValueError(f"write {meant}, not {value}")
    raise ValueError(f"a symbol is 1 to 12 of A-Z and 0-9, such as CAL, not {value!r}")


def _handle(value: str) -> str:
    if not value or _HANDLE.fullmatch(value):
        return value
    meant = value.removeprefix("@")
    if _HANDLE.fullmatch(meant):
        raise ValueError(f"write {meant}, not {value}")
    raise ValueError(f"a handle is 1 to 15 letters, digits or _, such as Acme, not {value!r}")


def _domain(value: str) -> str:
    if _DOMAIN.fullmatch(value.lower()):
        return value.lower()
    host = host_of(value if "//" in value else f"//{value}").removeprefix("www.")
    if _DOMAIN.fullmatch(host):
        raise ValueError(f"a domain has no scheme, port or path: write {host}")
    raise ValueError(f"a domain is a bare host name such as acme.example, not {value!r}")


Text = Annotated[str, Field(max_length=LONGEST)]
Name = Annotated[Text, AfterValidator(_named)]
Names = Annotated[tuple[Name, ...], Field(max_length=MOST_NAMES)]
Symbol = Annotated[Text, AfterValidator(_symbol)]
Domain = Annotated[Text, AfterValidator(_domain)]


class Company(BaseModel):
    """A company and how texts name it.

    A symbol counts as ``$CAL`` anywhere and as ``CAL`` beside words of tokens;
    an exclusion is the everyday meaning of a name. `domains` are official: a
    claim link elsewhere is suspect.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    aliases: Names = ()
    symbols: Annotated[tuple[Symbol, ...], Field(max_length=MOST_NAMES)] = ()
    exclusions: Names = ()
    priority: Priority = "medium"
    status: CompanyStatus = "pre_token"
    x_handle: Annotated[Text, AfterValidator(_handle)] = ""
    domains: Annotated[tuple[Domain, ...], Field(max_length=MOST_NAMES)] = ()


class Watchlist(BaseModel):
    """All companies; no two share a name or an alias, whatever the case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    companies: Annotated[tuple[Company, ...], Field(max_length=MOST_COMPANIES)]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        faults = list(_repeated(self.companies))
        if faults:
            # A ValidationError, for it alone tells the place in the file.
            raise ValidationError.from_exception_data("Watchlist", faults)
        return self


def _repeated(companies: tuple[Company, ...]) -> Iterator[InitErrorDetails]:
    """Yield a fault for each name or alias that an earlier company bears already."""
    owners: dict[str, int] = {}
    for at, company in enumerate(companies):
        for place, name in _places(company):
            first = owners.setdefault(name.casefold(), at)
            if first == at:
                continue
            owner = companies[first].name
            sentence = f"{name!r} names {owner!r} already; a name belongs to one company"
            if place == ("name",) and name.casefold() == owner.casefold():
                sentence = f"the company {name!r} is listed twice; merge the two"
            yield {
                "type": "value_error",
                "loc": ("companies", at, *place),
                "input": name,
                "ctx": {"error": sentence},
            }


def _places(company: Company) -> Iterator[tuple[tuple[str | int, ...], str]]:
    yield ("name",), company.name
    for at, alias in enumerate(company.aliases):
        yield ("aliases", at), alias
