"""The companies to watch; the shape of ``watchlist.yaml``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from collections.abc import Iterable

Priority = Literal["high", "medium", "low"]
CompanyStatus = Literal["pre_token", "has_token", "infrastructure", "stablecoin", "experimental"]

MOST_COMPANIES = 100_000
MOST_NAMES = 200  # aliases, symbols, exclusions or domains of one company

_SYMBOL = re.compile(r"[A-Z0-9]{1,12}")
_HANDLE = re.compile(r"\w{1,15}", re.ASCII)
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


def _named(value: str) -> str:
    if not value.strip():
        raise ValueError("an empty name matches nothing; write the name or remove the line")
    return " ".join(value.split())


def _symbol(value: str) -> str:
    if value.startswith("$"):
        raise ValueError(f"write {value[1:].upper()}, not {value}")
    if not _SYMBOL.fullmatch(value):
        raise ValueError(f"a symbol is 1 to 12 of A-Z and 0-9, not {value!r}")
    return value


def _handle(value: str) -> str:
    if value.startswith("@"):
        raise ValueError(f"write {value[1:]}, not {value}")
    if value and not _HANDLE.fullmatch(value):
        raise ValueError(f"a handle is 1 to 15 letters, digits or _, not {value!r}")
    return value


def _domain(value: str) -> str:
    if not _DOMAIN.fullmatch(value.lower()):
        raise ValueError(f"a domain is a bare host name such as acme.example, not {value!r}")
    return value.lower()


Name = Annotated[str, Field(max_length=200), AfterValidator(_named)]
Names = Annotated[tuple[Name, ...], Field(max_length=MOST_NAMES)]


class Company(BaseModel):
    """A company and how texts name it.

    A symbol counts as ``$CAL`` anywhere and as ``CAL`` beside words of tokens;
    an exclusion is the everyday meaning of a name. `domains` are official: a
    claim link elsewhere is suspect.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    aliases: Names = ()
    symbols: Annotated[
        tuple[Annotated[str, AfterValidator(_symbol)], ...], Field(max_length=MOST_NAMES)
    ] = ()
    exclusions: Names = ()
    priority: Priority = "medium"
    status: CompanyStatus = "pre_token"
    x_handle: Annotated[str, AfterValidator(_handle)] = ""
    domains: Annotated[
        tuple[Annotated[str, AfterValidator(_domain)], ...], Field(max_length=MOST_NAMES)
    ] = ()


class Watchlist(BaseModel):
    """All companies; no two share a name or an alias, whatever the case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    companies: Annotated[tuple[Company, ...], Field(max_length=MOST_COMPANIES)]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        owners: dict[str, str] = {}
        for company in self.companies:
            for name in {company.name, *company.aliases}:
                other = owners.setdefault(name.casefold(), company.name)
                if other != company.name:
                    raise ValueError(f"{name!r} names both {other} and {company.name}")
        _refuse_twice(company.name for company in self.companies)
        return self


def _refuse_twice(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise ValueError(f"the company {name!r} is listed twice; merge the two")
        seen.add(name.casefold())
