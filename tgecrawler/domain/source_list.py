"""What is crawled; the shape of ``sources.yaml``."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from tgecrawler.domain.urls import resolve_url
from tgecrawler.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic_core import InitErrorDetails

MOST_SOURCES = 10_000
MOST_TERMS = 10_000  # accounts or queries on X
LONGEST_SELECTOR = 500  # characters
LONGEST_QUERY = 512  # characters; what X's recent search takes of a self-serve project

_SLUG = re.compile(r"[a-z0-9-]{1,64}")
_LANG = re.compile(r"[a-z]{2,3}")
_ACCOUNT = re.compile(r"\w{1,15}", re.ASCII)


def _slug(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise ValueError(f"a slug is 1 to 64 of a-z, 0-9 and -, such as acme-blog, not {value!r}")
    return value


def _http(value: str) -> str:
    if resolve_url(value):
        return value.strip()
    if not value:
        raise ValueError("an empty address leads nowhere; write it or remove the line")
    if "@" in value:  # may hold a password: it is not repeated
        raise ValueError("an address is http:// or https:// and holds no user and no password")
    raise ValueError(f"an address begins with http:// or https://, not {value!r}")


def _lang(value: str) -> str:
    if value and not _LANG.fullmatch(value):
        raise ValueError(f"a language is a code of two or three letters such as en, not {value!r}")
    return value


def _account(value: str) -> str:
    if _ACCOUNT.fullmatch(value):
        return value
    if _ACCOUNT.fullmatch(value.removeprefix("@")):
        raise ValueError(f"write {value.removeprefix('@')}, not {value}")
    raise ValueError(f"an account is 1 to 15 letters, digits or _, such as Acme, not {value!r}")


def _query(value: str) -> str:
    if not value.strip():
        raise ValueError("an empty query finds nothing; write one or remove it")
    return value


Slug = Annotated[str, AfterValidator(_slug)]
HttpUrl = Annotated[str, AfterValidator(_http)]
Tier = Annotated[int, Field(ge=1, le=4, strict=True)]
Account = Annotated[str, AfterValidator(_account)]
Query = Annotated[str, Field(max_length=LONGEST_QUERY), AfterValidator(_query)]


class _Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    slug: Slug
    tier: Tier = 3
    owner: Annotated[str, Field(max_length=100)] = ""
    lang: Annotated[str, AfterValidator(_lang)] = ""

    @model_validator(mode="before")
    @classmethod
    def _owned_by_itself(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("owner", "") == "" and "slug" in given:
            return {**given, "owner": given["slug"]}
        return given


class FeedSource(_Source):
    """A feed. Two feeds of one `owner` are one witness; tier 1 is the best."""

    url: HttpUrl


class SiteSource(_Source):
    """A site without a feed: a sitemap, or a listing page with a selector of its items."""

    sitemap: HttpUrl = ""
    listing: HttpUrl = ""
    item: Annotated[str, Field(max_length=LONGEST_SELECTOR)] = ""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.sitemap) == bool(self.listing):
            raise ValueError("a site has either a sitemap or a listing with an item; write one")
        if self.listing and not self.item.strip():
            raise ValueError("a listing needs an item: a CSS selector such as 'article a'")
        if self.item and not self.listing:
            raise ValueError("an item belongs to a listing; a sitemap needs none, so remove it")
        return self


class XSources(BaseModel):
    """Accounts to follow and queries to run on X."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accounts: Annotated[tuple[Account, ...], Field(max_length=MOST_TERMS)] = ()
    queries: Annotated[tuple[Query, ...], Field(max_length=MOST_TERMS)] = ()


class SourceList(BaseModel):
    """All sources; slugs are unique over feeds and sites."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    feeds: Annotated[tuple[FeedSource, ...], Field(max_length=MOST_SOURCES)] = ()
    sites: Annotated[tuple[SiteSource, ...], Field(max_length=MOST_SOURCES)] = ()
    x: XSources = XSources()

    @model_validator(mode="after")
    def _slugs_are_unique(self) -> Self:
        faults = list(_repeated(self))
        if faults:
            # A ValidationError, for it alone tells the place in the file.
            raise ValidationError.from_exception_data("SourceList", faults)
        return self

    def select(self, slugs: Sequence[str]) -> SourceList:
        """Return the list with the named feeds and sites only.

        Raises:
            ArgumentError: a slug is unknown; names the nearest known one.
        """
        known = [source.slug for source in (*self.feeds, *self.sites)]
        for slug in slugs:
            if slug not in known:
                raise ArgumentError(f"no source {slug!r}; {_hint(slug, known)}")
        return self.model_copy(
            update={
                "feeds": tuple(feed for feed in self.feeds if feed.slug in slugs),
                "sites": tuple(site for site in self.sites if site.slug in slugs),
            }
        )


def _repeated(sources: SourceList) -> Iterator[InitErrorDetails]:
    """Yield a fault for each slug that an earlier source bears already."""
    seen: set[str] = set()
    for group in ("feeds", "sites"):
        for at, source in enumerate(getattr(sources, group)):
            if source.slug in seen:
                sentence = f"the slug {source.slug!r} is used twice; give one another name"
                yield {
                    "type": "value_error",
                    "loc": (group, at, "slug"),
                    "input": source.slug,
                    "ctx": {"error": sentence},
                }
            seen.add(source.slug)


def _hint(slug: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(slug, known, n=1)
    return f"did you mean {near[0]!r}?" if near else "see `scrapy sources list`"
