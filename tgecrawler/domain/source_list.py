"""What is crawled; the shape of ``sources.yaml``."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from tgecrawler.domain.urls import resolve_url
from tgecrawler.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_SOURCES = 10_000


def _http(value: str) -> str:
    if not resolve_url(value):
        raise ValueError(f"an address begins with http:// or https://, not {value!r}")
    return value


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
HttpUrl = Annotated[str, AfterValidator(_http)]
Tier = Annotated[int, Field(ge=1, le=4)]


class _Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    slug: Slug
    tier: Tier = 3
    owner: Annotated[str, Field(max_length=100)] = ""
    lang: Annotated[str, StringConstraints(pattern=r"^([a-z]{2,3})?$")] = ""

    @model_validator(mode="before")
    @classmethod
    def _owned_by_itself(cls, given: Any) -> Any:
        if isinstance(given, dict) and "owner" not in given and "slug" in given:
            return {**given, "owner": given["slug"]}
        return given


class FeedSource(_Source):
    """A feed. Two feeds of one `owner` are one witness; tier 1 is the best."""

    url: HttpUrl


class SiteSource(_Source):
    """A site without a feed: a sitemap, or a listing page with a selector of its items."""

    sitemap: HttpUrl | Literal[""] = ""
    listing: HttpUrl | Literal[""] = ""
    item: Annotated[str, Field(max_length=500)] = ""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.sitemap) == bool(self.listing):
            raise ValueError("a site has either a sitemap or a listing with an item")
        if bool(self.listing) != bool(self.item.strip()):
            raise ValueError("item is the CSS selector of a listing's entries, such as 'article a'")
        return self


class XSources(BaseModel):
    """Accounts to follow and queries to run on X."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accounts: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,15}$")], ...] = ()
    queries: tuple[Annotated[str, StringConstraints(min_length=1, max_length=512)], ...] = ()


class SourceList(BaseModel):
    """All sources; slugs are unique over feeds and sites."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    feeds: Annotated[tuple[FeedSource, ...], Field(max_length=MOST_SOURCES)] = ()
    sites: Annotated[tuple[SiteSource, ...], Field(max_length=MOST_SOURCES)] = ()
    x: XSources = XSources()

    @model_validator(mode="after")
    def _slugs_are_unique(self) -> Self:
        seen: set[str] = set()
        for source in (*self.feeds, *self.sites):
            if source.slug in seen:
                raise ValueError(f"the slug {source.slug!r} is used twice; give one another name")
            seen.add(source.slug)
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


def _hint(slug: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(slug, known, n=1)
    return f"did you mean {near[0]!r}?" if near else "see `scrapy sources list`"
