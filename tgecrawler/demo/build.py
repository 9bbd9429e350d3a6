"""Writes the demo world as one web archive: ``python -m tgecrawler.demo.build PATH``."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tgecrawler.archive.warc import ArchivedResponse, WarcWriter
from tgecrawler.demo.feeds import (
    CONTENT_TYPES,
    link_of,
    render_feed,
    render_listing,
    render_sitemaps,
)
from tgecrawler.demo.pages import render_page
from tgecrawler.demo.world import Story, World, load_world, reprinted, sister_url

if TYPE_CHECKING:
    from collections.abc import Iterator

ROBOTS = "User-agent: *\nDisallow: /mail\n"
WITHOUT_ROBOTS = "old-ledger"
SHARED_STORY = "bridge-hack"  # a page of ledger-post that coin-wire's feed links to as well

Reply = tuple[str, int, dict[str, str], bytes]


def build_archive(path: Path, *, editions: int = 1) -> int:
    """Write the archive to a new file, the same bytes each time; return its responses.

    Args:
        editions: see `reprinted`.

    Raises:
        FileExistsError: there is such a file.
    """
    world = reprinted(load_world(), editions)
    count = 0
    with WarcWriter(path, deterministic=True) as writer:
        for url, status, headers, body in replies(world):
            writer.write(
                ArchivedResponse(
                    url=url,
                    status=status,
                    headers=(*headers.items(), ("Content-Length", str(len(body)))),
                    body=body,
                    fetched_at=world.captured_at,
                )
            )
            count += 1
    return count


def write_sources(path: Path, *, editions: int) -> int:
    """Write a sources.yaml of all feeds of that many editions; return how many there are."""
    feeds = yaml.safe_load((resources.files(__package__) / "sources.yaml").read_text("utf-8"))[
        "feeds"
    ]
    rows = [
        row
        | {
            "slug": f"{row['slug']}-{number}",
            "url": sister_url(row["url"], number),
            "owner": f"{row['owner']}-{number}",
        }
        for number in range(2, editions + 1)
        for row in feeds
    ]
    path.write_text(yaml.safe_dump({"version": 1, "feeds": feeds + rows}), encoding="utf-8")
    return len(feeds) + len(rows)


def replies(world: World) -> Iterator[Reply]:
    """Yield every response of the world: address, status, headers, body."""
    for site in world.sites:
        stories = world.told_by(site)
        if site.slug != WITHOUT_ROBOTS:
            yield f"{site.home}robots.txt", 200, {"Content-Type": "text/plain"}, ROBOTS.encode()
        if site.format == "sitemap":
            for url, body in render_sitemaps(site, stories).items():
                yield url, 200, {"Content-Type": "application/xml"}, body
        elif site.format == "listing":
            yield site.entrance, 200, _HTML, render_listing(site, stories)
        else:
            shared = [s for s in world.stories if s.id == SHARED_STORY and site.slug == "coin-wire"]
            kind = CONTENT_TYPES.get(site.format, "application/rss+xml")
            yield site.entrance, 200, {"Content-Type": kind}, render_feed(site, stories, shared)
        yield from _pages(world, site.slug)


_HTML = {"Content-Type": "text/html; charset=utf-8"}


def _pages(world: World, slug: str) -> Iterator[Reply]:
    for story in world.stories:
        if story.site.slug != slug or story.entry == "script_link" or story.site.full_text:
            continue
        if story.page == "gone":
            yield story.url, 404, _HTML, b"<html><body><h1>Not found</h1></body></html>"
        elif story.page == "moved":
            moved = f"{story.url}-moved"
            yield story.url, 301, {"Location": moved, **_HTML}, b""
            yield moved, 200, _HTML, render_page(story).encode()
        else:
            # a host answers whatever tracking a feed hangs on the address
            for url in {story.url: None, **_linked(world, story)}:
                yield url, 200, _HTML, render_page(story).encode()


def _linked(world: World, story: Story) -> dict[str, None]:
    """Return the absolute addresses under which feeds link to a story, in order."""
    tellers = [story.site, *(site for site in world.sites if story.id == SHARED_STORY)]
    links = [link_of(site, story) for site in tellers]
    return dict.fromkeys(link for link in links if link.startswith("http"))


if __name__ == "__main__":
    print(f"{build_archive(Path(sys.argv[1]))} responses in {sys.argv[1]}")
