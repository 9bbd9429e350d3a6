"""The demo world: invented sites and stories, read from the YAML files beside this one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

STORY_FILES = ("stories_events.yaml", "stories_other.yaml", "stories_old.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site; `format` is rss2, rdf, rss092, atom, json, sitemap or listing."""

    slug: str
    host: str
    name: str
    format: str
    tier: int
    owner: str = ""
    lang: str = "en"
    fault: str = ""
    tracking: str = ""
    full_text: bool = False
    boilerplate: bool = False

    @property
    def home(self) -> str:
        return f"https://{self.host}/"

    @property
    def entrance(self) -> str:
        """The address that sources.yaml names: feed, sitemap or listing page."""
        names = {"json": "feed.json", "sitemap": "sitemap.xml", "listing": "notes/"}
        return self.home + names.get(self.format, "feed.xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A story as one site tells it; `path` is its page's, `author` may be empty."""

    id: str
    site: Site
    at: datetime
    path: str
    title: str
    summary: str
    text: str
    author: str = ""
    page: str = ""
    entry: str = ""

    @property
    def url(self) -> str:
        return self.site.home.rstrip("/") + self.path

    @property
    def paragraphs(self) -> list[str]:
        return [line.strip() for line in self.text.splitlines() if line.strip()]


@dataclass(frozen=True, slots=True)
class World:
    """Everything there is, as it was at `captured_at`."""

    captured_at: datetime
    sites: tuple[Site, ...]
    stories: tuple[Story, ...]

    def told_by(self, site: Site) -> list[Story]:
        """Return a site's stories, newest first."""
        return sorted((s for s in self.stories if s.site == site), key=lambda s: s.at, reverse=True)


def load_world() -> World:
    """Return the world."""
    told = _read("sites.yaml")
    sites = {row["slug"]: Site(**row) for row in told["sites"]}
    rows = [row for name in STORY_FILES for row in _read(name)["stories"]]
    stories = [story for row in rows for story in _tellings(row, sites, told["captured_at"])]
    return World(told["captured_at"], tuple(sites.values()), tuple(stories))


def reprinted(world: World, editions: int) -> World:
    """Return a world in which every site has sisters that reprint it, each a minute later.

    Args:
        editions: how often each story is told; 1 is the world as it is.
    """
    sites, stories = list(world.sites), list(world.stories)
    for number in range(2, editions + 1):
        sisters = {site.slug: _sister(site, number) for site in world.sites}
        sites += sisters.values()
        stories += [
            replace(
                story,
                id=f"{story.id}-{number}",
                site=sisters[story.site.slug],
                at=story.at + timedelta(minutes=number - 1),
            )
            for story in world.stories
        ]
    return World(world.captured_at, tuple(sites), tuple(stories))


def sister_url(url: str, number: int) -> str:
    """Return where the sister of a site has what the site has at an address."""
    return url.replace("://", f"://edition-{number}.", 1)


def _sister(site: Site, number: int) -> Site:
    return replace(
        site,
        slug=f"{site.slug}-{number}",
        host=f"edition-{number}.{site.host}",
        owner=f"{site.owner or site.slug}-{number}",
    )


def _tellings(row: dict[str, Any], sites: dict[str, Site], captured: datetime) -> Iterator[Story]:
    """Yield a story and its word-for-word copies on other sites."""
    kept = {name: row[name] for name in ("author", "page", "entry") if name in row}
    at = _moment(row["at"], captured)
    original = Story(
        id=row["id"],
        site=sites[row["site"]],
        at=at,
        path=f"/{at:%Y/%m/%d}/{row['id']}",
        title=row["title"],
        summary=row["summary"],
        text=row["text"],
        **kept,
    )
    yield original
    for copy in row.get("copies", ()):
        yield replace(
            original,
            id=f"{row['id']}@{copy['site']}",
            site=sites[copy["site"]],
            at=_moment(copy["at"], captured),
            path=copy["path"],
        )


def _moment(written: str, captured: datetime) -> datetime:
    """Return "day hour:minute" of the month of the capture."""
    day, _, time = written.partition(" ")
    hour, minute = map(int, time.split(":"))
    first = captured.replace(day=1, hour=0, minute=0, second=0)
    return first + timedelta(days=int(day) - 1, hours=hour, minutes=minute)


def _read(name: str) -> Any:
    return yaml.safe_load(resources.files(__package__).joinpath(name).read_text("utf-8"))
