"""Small news sites for the crawl tests: pages, feeds and the sources file that names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from typing import Any

from harness import Project, Web

NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Story:
    """A story and where its page lies; `text` is its body."""

    path: str
    title: str
    text: str
    hours_old: int = 3

    @property
    def published_at(self) -> datetime:
        return NOW - timedelta(hours=self.hours_old)


LAUNCH = Story(
    "/launch",
    "Nimbus Protocol announces launch of its NIMB token on October 20",
    "Nimbus Protocol will launch its native token NIMB on October 20, the team announced. "
    "The token generation event follows two years of development of the storage network. "
    "Holders will be able to stake and to vote. A tenth of the supply is for early users.",
)
PROJECTS = ("Quillon", "Brisk", "Ostler", "Vantor", "Pellar", "Junia", "Corvo", "Sable")


def launch_of(path: str, name: str, hours_old: int = 3) -> Story:
    """Return a launch told in the same words as LAUNCH, of another project: no copy of it."""
    title, text = (
        words.replace("Nimbus Protocol", name).replace("NIMB", name[:4].upper())
        for words in (LAUNCH.title, LAUNCH.text)
    )
    return Story(path, title, text, hours_old)


AIRDROP = Story(
    "/airdrop",
    "Tidepool opens airdrop claims for early users",
    "Tidepool has opened the claim portal of its token airdrop. Everybody who bridged before the "
    "snapshot in August can claim TIDE tokens until the end of November. The team said that about "
    "forty thousand wallets are eligible, and warned of sites that imitate the portal.",
)
PRICE = Story(
    "/price",
    "Token of Marlin up 14% as traders eye resistance",
    "The token of Marlin rose by fourteen per cent on Tuesday. Analysts see resistance near two "
    "dollars and expect a correction once the market cools. Volumes doubled in a day, most "
    "of it on derivatives exchanges; funding rates turned positive for once this month.",
)
WIDOW = Story(
    "/widow",
    "A widow announced a new partnership with the hospice",
    "Mrs Alder announced that her foundation and the hospice will work together from next year. "
    "The garden behind the building is to be opened to visitors, and volunteers are welcome.",
)
STORIES = (LAUNCH, AIRDROP, PRICE, WIDOW)


def page(story: Story, canonical: str = "") -> str:
    link = f'<link rel="canonical" href="{canonical}">' if canonical else ""
    paragraphs = "".join(f"<p>{escape(part)}.</p>" for part in story.text.rstrip(".").split(". "))
    return (
        f'<!doctype html><html lang="en"><head><title>{escape(story.title)} | Desk</title>{link}'
        f'<meta property="article:published_time" content="{story.published_at.isoformat()}">'
        f"</head><body><nav><a href='/'>Home</a> <a href='/about'>About us</a></nav>"
        f"<article><h1>{escape(story.title)}</h1>{paragraphs}</article>"
        "<footer>All rights reserved by the desk.</footer></body></html>"
    )


def rss(stories: Iterable[Story], links: Mapping[str, str] | None = None) -> str:
    items = "".join(
        f"<item><title>{escape(story.title)}</title>"
        f"<link>{escape((links or {}).get(story.path, '{base}' + story.path))}</link>"
        f"<description>{escape(story.text[:120])}</description>"
        f"<pubDate>{format_datetime(story.published_at)}</pubDate></item>"
        for story in stories
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>Desk</title>'
        f"<link>{{base}}/</link><description>News</description>{items}</channel></rss>"
    )


def sources(feeds: Mapping[str, str], sites: Iterable[str] = ()) -> str:
    lines = ["version: 1", "feeds:" if feeds else "feeds: []"]
    lines += [f"  - {{slug: {slug}, url: '{url}', tier: 2}}" for slug, url in feeds.items()]
    sites = list(sites)
    if sites:
        lines += ["sites:", *(f"  - {site}" for site in sites)]
    return "\n".join(lines) + "\n"


def open_desk(project: Project, web: Web, **route: Any) -> Web:
    """Serve one feed with four stories and their pages, and set the project up to read it."""
    project.settings |= {
        "TGE_SOURCES": str(project.write("sources.yaml", sources({"desk": f"{web.base}/rss"}))),
        "TGE_WATCHLIST": str(project.write("watchlist.yaml", WATCHLIST)),
    }
    web.serve("/rss", rss(STORIES), **route)
    for story in STORIES:
        web.serve(story.path, page(story))
    return web


WATCHLIST = """\
version: 1
companies:
  - name: Nimbus Protocol
    aliases: [Nimbus]
    symbols: [NIMB]
"""
