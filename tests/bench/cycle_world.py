"""The news of the cycle benchmark: 21 feeds with 20 entries each, every one of another token.

The pages have the shape of those of the public article-extraction benchmark; means, and in
brackets those of 60 pages from there: 153 kB (152), 780 elements (717), 130 links (136), 39
scripts (40), 4.3 kB of body (4.0). Every second site writes lines and breaks instead of
paragraphs. All of it follows from the numbers of feed and entry.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import cache
from html import escape
from random import Random

FEEDS, ENTRIES = 21, 20
CARDS = (8, 16, 24, 32)  # links to other stories, under an article of the feed
FEED_PATH = "/feed.xml"
HEADS = (
    "Cal", "Ver", "Quo", "Bri", "Ost", "Van", "Pel", "Jun", "Cor", "Sab", "Tam",
    "Nim", "Lor", "Fen", "Dra", "Gil", "Hex", "Kes", "Mar", "Ril", "Zan",
)  # fmt: skip
TAILS = (
    "dera", "lio", "mund", "tora", "vane", "bex", "shire", "nolu", "pard", "quill",
    "rosk", "senn", "tivo", "ulon", "wick", "xara", "yond", "zeph", "lume", "grath",
)  # fmt: skip
SUFFIXES = ("Protocol", "Network", "Labs", "Chain")
EVENTS = (
    ("{name} announces launch of its {token} token on {day}",
     "{name} will launch its native token {token} on {day}, the team announced. The token "
     "generation event follows {number} months of development."),
    ("{name} opens airdrop claims for its {token} token",
     "{name} has opened the claim portal of its token airdrop. Early users can claim {token} "
     "tokens until {day}; about {number} thousand wallets are eligible."),
    ("{name} sets {day} as date of its token generation event",
     "{name} has set {day} as the date of its token generation event. Of the {token} supply, "
     "{number} per cent go to the community."),
    ("{name} to hold public sale of {token} tokens on {day}",
     "{name} will hold the public sale of its {token} tokens on {day}. The token sale is "
     "limited to {number} million tokens and precedes the listing."),
)  # fmt: skip
NOUNS = (
    "validator", "bridge", "wallet", "sequencer", "treasury", "contract", "oracle", "audit",
    "upgrade", "committee", "delegate", "ledger", "relayer", "vault", "testnet", "proof",
    "foundation", "market maker", "developer", "operator", "auditor", "partner", "community",
)  # fmt: skip
VERBS = (
    "published", "reviewed", "extended", "tested", "replaced", "explained", "measured",
    "approved", "questioned", "supported", "rewrote", "delayed", "described", "financed",
)  # fmt: skip
WHENS = (
    "last spring", "in the second phase", "after a long vote", "within weeks", "for a year",
    "before the mainnet", "in late summer", "on the test network", "at the last meeting",
)  # fmt: skip
SENTENCES = (
    "The {a} of {name} {v} the {b} {w}, while the {c} {u} another {d}.",
    "According to the {a}, the {b} {v} what {number} of the {c}s had asked for {w}.",
    "Nobody at {name} {v} the {a} {w}; the {b} {u} it and the {c} followed.",
    "{number} teams {v} the {a}, and the {b} {u} a {c} {w} that holds {token} back.",
)


@dataclass(frozen=True, slots=True)
class Story:
    """An entry and its page; `feed` and `entry` count from 0."""

    feed: int
    entry: int
    title: str
    summary: str
    paragraphs: tuple[str, ...]
    published_at: datetime

    @property
    def path(self) -> str:
        return story_path(self.entry)


def story_path(entry: int) -> str:
    return f"/news/{2000 + 7 * entry}-token-event"


def story_of(feed: int, entry: int, now: datetime) -> Story:
    """Return an entry, published within the last day."""
    draw = Random(1_000 * feed + entry)
    name = f"{HEADS[feed]}{TAILS[entry]}"
    words = {
        "name": f"{name} {SUFFIXES[entry % len(SUFFIXES)]}",
        "token": (HEADS[feed] + TAILS[entry])[:5].upper(),
        "day": f"December {draw.randrange(1, 29)}",
    }
    title, opening = EVENTS[(feed + entry) % len(EVENTS)]
    summary = opening.format(**words, number=draw.randrange(3, 60))
    told = (" ".join(sentences_of(draw, words)) for _ in range(13))
    published_at = now - timedelta(minutes=20 + 60 * entry)
    return Story(feed, entry, title.format(**words), summary, (summary, *told), published_at)


def sentences_of(draw: Random, words: dict[str, str]) -> list[str]:
    """Return three sentences about the project that `words` names."""
    made = []
    for pattern in draw.sample(SENTENCES, 3):
        a, b, c, d = draw.sample(NOUNS, 4)
        v, u = draw.sample(VERBS, 2)
        drawn = {"a": a, "b": b, "c": c, "d": d, "v": v, "u": u, "w": draw.choice(WHENS)}
        made.append(pattern.format(**words, **drawn, number=draw.randrange(3, 900)))
    return made


def render_feed(feed: int, base: str, now: datetime) -> bytes:
    """Return RSS 2.0 with the entries of a feed, newest first; `base` is its host's address."""
    stories = (story_of(feed, entry, now) for entry in range(ENTRIES))
    items = "".join(
        f"<item><title>{escape(story.title)}</title><link>{base}{story.path}</link>"
        f'<guid isPermaLink="true">{base}{story.path}</guid>'
        f"<description>{escape(story.summary)}</description>"
        f"<pubDate>{format_datetime(story.published_at)}</pubDate></item>\n"
        for story in stories
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0"><channel>'
        f"<title>Desk {feed}</title><link>{base}/</link><description>News</description>\n"
        f"{items}</channel></rss>\n"
    ).encode()


def render_page(story: Story, base: str) -> bytes:
    """Return an article page with what surrounds an article on the web, 100 to 170 kB."""
    url, title = f"{base}{story.path}", escape(story.title)
    size = 1_500 + 120 * ((7 * story.entry + 3 * story.feed) % 14)  # characters of a script
    scripts = [_script(story.feed, story.entry, at, size) for at in range(38)]
    head = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title} | Desk'
        f'</title><link rel="canonical" href="{url}">{_declared(story, url)}'
        f"{_styles()}{''.join(scripts[:20])}</head>"
    )
    return (
        f'{head}<body class="single">{_header()}<div class="site"><div class="wrap"><div '
        f'class="row"><div class="column-main"><main><div class="post">{_article(story)}</div>'
        f"{_related(story)}</main></div>{_sidebar(story)}</div></div></div>{_footer()}"
        f"{''.join(scripts[20:])}</body></html>\n"
    ).encode()


def _declared(story: Story, url: str) -> str:
    data: dict[str, object] = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "headline": story.title,
        "author": {"@type": "Person", "name": f"Desk Writer {'ABCDE'[story.entry % 5]}"},
    }
    if story.feed % 5:  # every fifth site leaves its date to be found
        data["datePublished"] = story.published_at.isoformat()
    tags = {"og:title": story.title, "og:url": url, "og:type": "article", "og:locale": "en_US"}
    tags |= {f"desk:field{at}": f"value {at} of the page" for at in range(24)}
    links = "".join(
        f'<link rel="alternate" hreflang="l{at}" href="/l{at}/{story.entry}">\n' for at in range(24)
    )
    metas = "".join(
        f'<meta property="{name}" content="{escape(text)}">\n' for name, text in tags.items()
    )
    return f'{metas}{links}<script type="application/ld+json">{json.dumps(data)}</script>'


@cache
def _state(feed: int) -> str:
    """Return 120 kB of a page's state in JSON: hashes, counters and slugs; no closing tag."""
    draw = Random(feed)
    rows = (
        {"id": f"{draw.getrandbits(48):x}", "slot": at % 9, "views": draw.randrange(99_999),
         "name": f"{draw.choice(NOUNS)}-{draw.choice(VERBS)}", "lazy": bool(at % 3)}
        for at in range(1_500)
    )  # fmt: skip
    return json.dumps(list(rows))


def _script(feed: int, entry: int, at: int, size: int) -> str:
    state = _state(feed)
    start = (entry * 5_003 + at * 2_711) % (len(state) - size)
    return f"<script>window.s{at}={json.dumps(state[start : start + size])};</script>\n"


@cache
def _styles() -> str:
    rules = (
        f".block-{at}{{margin:{at % 7}px {at % 5}px;color:#{at * 7919 % 4096:03x};"
        f"display:flex;line-height:1.{at % 9}}}\n"
        for at in range(300)
    )
    sheet = "".join(rules)
    third = len(sheet) // 3
    return "".join(f"<style>{sheet[at * third : (at + 1) * third]}</style>" for at in range(3))


def _items(words: str, count: int) -> str:
    return "".join(
        f'<li id="item-{words}-{at}" class="menu-item menu-item-type-taxonomy item-{at}"><a '
        f'class="link nav-link" href="/{words}/{at}"><span class="icon"></span>{words} {at}</a>'
        "</li>\n"
        for at in range(count)
    )


@cache
def _header() -> str:
    menus = "".join(
        f'<div class="menu"><span>Menu {at}</span><ul class="sub">{_items(f"topic{at}", 7)}</ul>'
        "</div>"
        for at in range(5)
    )
    return f'<header class="top"><div class="bar"><a href="/">Desk</a><nav>{menus}</nav></div>'\
        "</header>"  # fmt: skip


@cache
def _footer() -> str:
    columns = "".join(
        f'<div class="col"><h4>Column {at}</h4><ul>{_items(f"about{at}", 7)}</ul></div>'
        for at in range(4)
    )
    return (
        f'<footer class="bottom"><div class="cols">{columns}</div><div class="legal"><p>All '
        "rights reserved by the desk.</p><p>Nothing here is advice.</p></div></footer>"
    )


def _article(story: Story) -> str:
    blocks = []
    for at, text in enumerate(story.paragraphs):
        words = escape(text)
        if at % 3 == 1:
            words += (
                f' See <a href="/topic/{at}"><em>what is known</em></a> <strong>so far</strong>.'
            )
        if at % 6 == 2:
            blocks.append(
                f'<figure class="wp"><img src="/img/{story.entry}-{at}.jpg" alt="">'
                f"<figcaption>Photograph {at} of the desk</figcaption></figure>"
            )
        blocks.append(_paragraph(words, at, plain=story.feed % 2 == 1))
    shares = _items("share", 6)
    return (
        f'<article><div class="head"><div class="kicker"><span>Tokens</span></div><h1>'
        f'{escape(story.title)}</h1><div class="byline"><span>By Desk Writer</span> <time '
        f'datetime="{story.published_at.isoformat()}">{story.published_at:%d %B}</time></div>'
        f'<ul class="share">{shares}</ul></div><div class="content"><div class="inner">'
        f"{''.join(blocks)}</div></div></article>"
    )


def _paragraph(words: str, at: int, *, plain: bool) -> str:
    """Return a paragraph, or what a site of lines and breaks has in its place."""
    if plain:
        lines = "".join(f"<span>{line}.</span><br>" for line in words.rstrip(".").split(". "))
        return f'<div class="line line-{at}">{lines}<br></div>'
    return f"<p>{words}</p>\n<!-- block {at} -->"


def _related(story: Story) -> str:
    """Return cards that name other stories without their tokens."""
    cards = "".join(
        f'<div class="card"><div class="thumb"><a href="{story_path(at % ENTRIES)}">'
        f'<img src="/img/card-{at}.jpg" alt=""></a></div><div class="body"><div class="meta">'
        f'<span class="when"><svg><path d="M0 0h24"/></svg>{at} hours ago</span></div>'
        f'<h3><a href="/r/{at}">The {NOUNS[at % 23]} that {VERBS[at % 14]} itself</a></h3>'
        f"<p>Read what the {NOUNS[at % 11]} said.</p></div></div>\n"
        for at in range(CARDS[story.feed % len(CARDS)])
    )
    return f'<section class="related"><div class="grid">{cards}</div></section>'


def _sidebar(story: Story) -> str:
    ads = "".join(
        f'<div class="ad slot-{at}"><div class="box"><div id="ad-{at}"></div></div></div>'
        for at in range(16)
    )
    links = _items("most-read", 16)
    return f'<aside class="side"><div class="widget"><ul>{links}</ul></div>{ads}</aside>'
