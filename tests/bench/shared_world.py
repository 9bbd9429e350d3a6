"""The news of the bench of shared crawls: up to 50 hosts with a feed of up to 400 entries each.

Every entry tells of a token of its own, so that each is a mention, an alert and an event: what
is lost, or there twice, is seen in plain counts. Pages are small. All of it follows from the
numbers of host and entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from random import Random

from cycle_world import EVENTS, SUFFIXES, sentences_of
from tgecrawler.domain.fingerprint import mention_key

FEED_PATH = "/feed.xml"
MOST_HOSTS, MOST_ENTRIES = 50, 400
PARAGRAPHS = 2
# A name is of one each; tickers are made of their first letters, and so no two are equal.
HEADS = (
    "Bal", "Bem", "Bir", "Bov", "Bux", "Cal", "Cez", "Cov", "Cum", "Dal", "Dev", "Dix", "Dor",
    "Dum", "Fal", "Fem", "Fiz", "Fol", "Fur", "Gar", "Gel", "Gix", "Gom", "Gul", "Hal", "Hex",
    "Hiv", "Hol", "Hum", "Jal", "Jev", "Jor", "Jun", "Kal", "Kes", "Kiv", "Kor", "Kul", "Lam",
    "Lev", "Lor", "Lum", "Mar", "Mel", "Mir", "Mox", "Mun", "Nav", "Nel", "Nim",
)  # fmt: skip
MIDDLES = (
    "ba", "ce", "do", "fi", "gu", "ha", "je", "ko", "li", "mu",
    "na", "pe", "ro", "si", "tu", "va", "we", "xo", "yi", "zu",
)  # fmt: skip
TAILS = (
    "bex", "cund", "dera", "fyn", "grath", "hume", "jard", "kell", "lume", "mund",
    "nolu", "pard", "quill", "rosk", "senn", "tora", "vane", "wick", "xara", "zeph",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """So many hosts with so many entries each, behind one port.

    A host is an address of the loopback network. Of each feed's entries, `first` are there
    when the web starts (None: all), and another one comes every `grow_s`.
    """

    hosts: int
    entries: int
    first: int | None = None
    grow_s: float = 1.0
    port: int = 0
    started_s: int = 0  # epoch

    @property
    def addresses(self) -> list[str]:
        return [f"127.0.2.{host + 1}" for host in range(self.hosts)]

    @property
    def pages(self) -> int:
        return self.hosts * self.entries

    def base(self, host: int) -> str:
        return f"http://{self.addresses[host]}:{self.port}"

    def published_at(self, entry: int) -> datetime:
        """Return when an entry comes, or that it came some minutes before the web started."""
        start = datetime.fromtimestamp(self.started_s, UTC)
        first = self.entries if self.first is None else self.first
        if entry < first:
            return start - timedelta(minutes=20 + first - entry)
        return start + timedelta(seconds=self.grow_s * (entry - first + 1))

    def published(self, until_s: float | None = None) -> set[str]:
        """Return the ids that the mentions of all entries have, or of those until a moment."""
        told = [
            entry
            for entry in range(self.entries)
            if until_s is None or self.published_at(entry).timestamp() <= until_s
        ]
        return {
            mention_key(slug_of(host), self.base(host) + path_of(entry))
            for host in range(self.hosts)
            for entry in told
        }

    def sources(self) -> str:
        """Return the sources.yaml that names the feeds."""
        rows = (
            f"  - {{slug: {slug_of(host)}, url: '{self.base(host)}{FEED_PATH}', tier: 2}}\n"
            for host in range(self.hosts)
        )
        return "version: 1\nfeeds:\n" + "".join(rows)


@dataclass(frozen=True, slots=True)
class Story:
    """An entry and its page."""

    path: str
    title: str
    paragraphs: tuple[str, ...]
    published_at: datetime


def slug_of(host: int) -> str:
    return f"desk-{host}"


def path_of(entry: int) -> str:
    return f"/news/{entry}"


def story_of(world: World, host: int, entry: int) -> Story:
    draw = Random(1_000 * host + entry)
    middle, tail = MIDDLES[entry // len(TAILS)], TAILS[entry % len(TAILS)]
    name, head = f"{HEADS[host]}{middle}{tail}", HEADS[host]
    words = {
        "name": f"{name} {SUFFIXES[entry % len(SUFFIXES)]}",
        "token": f"{head[:2]}{middle[0]}{tail[0]}x".upper(),
        "day": f"December {draw.randrange(1, 29)}",
    }
    title, opening = EVENTS[(host + entry) % len(EVENTS)]
    told = (" ".join(sentences_of(draw, words)) for _ in range(PARAGRAPHS))
    paragraphs = (opening.format(**words, number=draw.randrange(3, 60)), *told)
    return Story(path_of(entry), title.format(**words), paragraphs, world.published_at(entry))


def render_feed(stories: list[Story], base: str) -> bytes:
    """Return RSS 2.0 with these stories, newest first."""
    items = "".join(
        f"<item><title>{escape(story.title)}</title><link>{base}{story.path}</link>"
        f'<guid isPermaLink="true">{base}{story.path}</guid>'
        f"<description>{escape(story.paragraphs[0])}</description>"
        f"<pubDate>{format_datetime(story.published_at)}</pubDate></item>\n"
        for story in reversed(stories)
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0"><channel><title>Desk</title>'
        f"<link>{base}/</link><description>News</description>\n{items}</channel></rss>\n"
    ).encode()


def render_page(story: Story, base: str) -> bytes:
    body = "".join(f"<p>{escape(text)}</p>\n" for text in story.paragraphs)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(story.title)}'
        f'</title><link rel="canonical" href="{base}{story.path}"><meta property="article:'
        f'published_time" content="{story.published_at.isoformat()}"></head><body><article>'
        f"<h1>{escape(story.title)}</h1>\n{body}</article></body></html>\n"
    ).encode()
