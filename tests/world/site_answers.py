"""What a host of the simulated world answers to a request: bytes, and in what manner."""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from functools import cache
from html import escape
from typing import Literal

from world import START_AT, Entry, Fault, Feed, Host, World

RETRY_AFTER_S = 900
# a host in trouble of these kinds still hands out its robots.txt
SPARES_ROBOTS = ("error", "reset", "drip", "hang")

Manner = Literal["whole", "reset", "drip", "hang"]
Kind = Literal["feed", "page", "robots", "other"]


@dataclass(frozen=True, slots=True)
class Answer:
    """`retry_at_s` is when the host may be asked again, None where it names no moment."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    kind: Kind = "other"
    manner: Manner = "whole"
    retry_at_s: float | None = None


class Answers:
    """The world as its hosts tell it."""

    def __init__(self, world: World, port: int) -> None:
        self._world = world
        self._port = port
        self._feeds = {(feed.home, feed.path): feed for feed in world.feeds}
        self._moved = {(feed.host, feed.listed_path): feed for feed in world.feeds if feed.moved}
        self._pages = {
            (entry.host, entry.path): entry for feed in world.feeds for entry in feed.entries
        }
        self._feed_bodies: dict[tuple[str, int], bytes] = {}

    def answer(self, address: str, path: str, headers: Mapping[str, str], sent_s: float) -> Answer:
        """Return the answer that leaves the host at `sent_s`; header names in lower case."""
        host = self._world.hosts[address]
        answer = self._faulty(host, path, sent_s) or self._sound(host, path, headers, sent_s)
        if answer.body and "gzip" in headers.get("accept-encoding", "") and answer.status == 200:
            coded = (*answer.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
            return replace(answer, body=_compress(answer.body), headers=coded)
        return answer

    def _faulty(self, host: Host, path: str, sent_s: float) -> Answer | None:
        fault = host.fault
        if fault is None or not fault.from_s <= sent_s < fault.until_s:
            return None
        if path == "/robots.txt" and fault.kind in SPARES_ROBOTS:
            return None
        return replace(_answer_of(fault, sent_s), kind=self._kind(host.address, path))

    def _kind(self, address: str, path: str) -> Kind:
        where = (address, path)
        if where in self._feeds or where in self._moved:
            return "feed"
        if path.startswith("/robots"):
            return "robots"
        return "page" if where in self._pages else "other"

    def _sound(self, host: Host, path: str, headers: Mapping[str, str], sent_s: float) -> Answer:
        where = (host.address, path)
        if path.startswith("/robots"):
            return _robots(host, path)
        if where in self._moved:
            return self._redirect(self._moved[where])
        if where in self._feeds:
            return self._feed(self._feeds[where], headers, sent_s)
        if where in self._pages and self._pages[where].published_s <= sent_s:
            return _page(self._pages[where], headers)
        return Answer(404, b"<h1>Not found</h1>", (("Content-Type", "text/html"),))

    def _redirect(self, feed: Feed) -> Answer:
        path = feed.listed_path if feed.moved == "loop" else feed.path
        target = f"http://{feed.home}:{self._port}{path}"
        status = 302 if feed.moved == "302" else 301
        return Answer(status, b"", (("Location", target),), "feed")

    def _feed(self, feed: Feed, headers: Mapping[str, str], sent_s: float) -> Answer:
        if feed.broken == "gone":
            return Answer(410, b"gone", kind="feed")
        if feed.broken == "html":
            return Answer(200, b"<h1>Welcome</h1>", (("Content-Type", "text/html"),), "feed")
        count = feed.published_until(sent_s)
        validators = _validators(feed, count, sent_s)
        if _is_unchanged(feed, dict(validators), headers):
            return Answer(304, b"", validators, "feed")
        body = self._body(feed, count)
        form = "application/atom+xml" if _is_atom(feed) else "application/rss+xml"
        return Answer(200, body, (("Content-Type", f"{form}; charset=utf-8"), *validators), "feed")

    def _body(self, feed: Feed, count: int) -> bytes:
        key = (feed.slug, count)
        if key not in self._feed_bodies:
            self._feed_bodies[key] = self._render(feed, count)
        return self._feed_bodies[key]

    def _render(self, feed: Feed, count: int) -> bytes:
        shown = feed.entries[max(0, count - Feed.WINDOW) : count][::-1]
        one = _atom_entry if _is_atom(feed) else _rss_item
        items = "".join(
            one(entry, f"http://{entry.host}:{self._port}{entry.path}", feed) for entry in shown
        )
        frame = _ATOM if _is_atom(feed) else _RSS
        return frame.format(slug=feed.slug, items=items).encode()


def _answer_of(fault: Fault, sent_s: float) -> Answer:
    if fault.kind == "error":
        return Answer(500, b"<h1>Internal error</h1>")
    if fault.kind == "retry_seconds":
        header = ("Retry-After", str(RETRY_AFTER_S))
        return Answer(429, b"slow down", (header,), retry_at_s=sent_s + RETRY_AFTER_S)
    if fault.kind == "retry_date":
        retry_at_s = math.ceil(sent_s + RETRY_AFTER_S)
        header = ("Retry-After", _http_date(retry_at_s))
        return Answer(503, b"later", (header,), retry_at_s=retry_at_s)
    if fault.kind in ("bare_429", "bare_503"):
        return Answer(int(fault.kind[-3:]), b"no")
    if fault.kind == "drip":
        return Answer(200, b" " * 10_000, (("Content-Type", "application/xml"),), manner="drip")
    return Answer(200, manner="hang" if fault.kind == "hang" else "reset")


def _robots(host: Host, path: str) -> Answer:
    robots = host.robots
    if robots.kind == "error":
        return Answer(503, b"no robots today", kind="robots")
    if robots.kind == "absent":
        return Answer(404, b"none", kind="robots")
    if robots.kind == "moved" and path == "/robots.txt":
        return Answer(301, b"", (("Location", "/robots/rules.txt"),), "robots")
    lines = ["User-agent: *", f"Disallow: {robots.disallow}"]
    if robots.delay_s:
        lines.append(f"Crawl-delay: {robots.delay_s:g}")
    body = ("\n".join(lines) + "\n").encode()
    return Answer(200, body, (("Content-Type", "text/plain"),), "robots")


def _validators(feed: Feed, count: int, sent_s: float) -> tuple[tuple[str, str], ...]:
    changed_s = feed.entries[count - 1].published_s if count else 0.0
    modified = ("Last-Modified", _http_date(math.floor(changed_s)))
    tag = f'"{feed.slug}-{count}"'
    return {
        "strong": (("ETag", tag), modified),
        "weak": (("ETag", f"W/{tag}"),),
        "modified": (modified,),
        "none": (),
        "changing": (("ETag", f'"{sent_s:.6f}"'),),
        "always_304": (("ETag", tag), modified),
    }[feed.validators]


def _is_unchanged(feed: Feed, now: Mapping[str, str], headers: Mapping[str, str]) -> bool:
    """Compare as RFC 9110 13.2.2 says: a tag, where one came, decides alone."""
    tag, since = headers.get("if-none-match"), headers.get("if-modified-since")
    if feed.validators == "always_304":
        return bool(tag or since)
    if tag and "ETag" in now:
        ours = now["ETag"].removeprefix("W/")
        return any(part.strip().removeprefix("W/") == ours for part in tag.split(","))
    if since and "Last-Modified" in now:
        try:
            return parsedate_to_datetime(since) >= parsedate_to_datetime(now["Last-Modified"])
        except (ValueError, TypeError):
            return False
    return False


def _page(entry: Entry, headers: Mapping[str, str]) -> Answer:
    tag = f'"{entry.path.rpartition("/")[2]}"'
    validators = (("ETag", tag), ("Last-Modified", _http_date(math.floor(entry.published_s))))
    if headers.get("if-none-match", "").removeprefix("W/") == tag:
        return Answer(304, b"", validators, "page")
    return Answer(
        200, _html(entry), (("Content-Type", "text/html; charset=utf-8"), *validators), "page"
    )


@cache
def _html(entry: Entry) -> bytes:
    story = entry.story
    paragraphs = "".join(f"<p>{escape(part)}.</p>" for part in story.text.rstrip(".").split(". "))
    links = "".join(f"<li><a href='/more/{n}'>Read also: story {n}</a></li>" for n in range(40))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(story.title)}</title>"
        f'<meta property="article:published_time" content="{_moment(entry).isoformat()}">'
        "</head><body><nav><a href='/'>Home</a> <a href='/about'>About us</a></nav>"
        f"<main><article><h1>{escape(story.title)}</h1>{paragraphs}</article></main>"
        f"<aside><ul>{links}</ul></aside><footer>All rights reserved.</footer></body></html>"
    ).encode()


_RSS = (
    '<?xml version="1.0" encoding="utf-8"?><rss version="2.0" '
    'xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel><title>{slug}</title>'
    "<link>/</link><description>News of {slug}</description>{items}</channel></rss>"
)
_ATOM = (
    '<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom">'
    "<title>{slug}</title><id>urn:{slug}</id>{items}</feed>"
)


def _rss_item(entry: Entry, link: str, feed: Feed) -> str:
    story = entry.story
    whole = f"<content:encoded>{escape(f'<p>{story.text}</p>')}</content:encoded>"
    return (
        f"<item><title>{escape(story.title)}</title><link>{link}</link><guid>{link}</guid>"
        f"<description>{escape(story.summary)}</description>{whole if feed.full_text else ''}"
        f"<pubDate>{format_datetime(_moment(entry))}</pubDate></item>"
    )


def _atom_entry(entry: Entry, link: str, feed: Feed) -> str:
    story = entry.story
    whole = f"<content type='html'>{escape(f'<p>{story.text}</p>')}</content>"
    return (
        f"<entry><title>{escape(story.title)}</title><link href='{link}'/><id>{link}</id>"
        f"<summary>{escape(story.summary)}</summary>{whole if feed.full_text else ''}"
        f"<published>{_moment(entry).isoformat()}</published>"
        f"<updated>{_moment(entry).isoformat()}</updated></entry>"
    )


def _is_atom(feed: Feed) -> bool:
    return feed.slug[-1] in "37"


def _moment(entry: Entry) -> datetime:
    return START_AT + timedelta(seconds=math.floor(entry.published_s))


def _http_date(moment_s: float) -> str:
    moment = (START_AT + timedelta(seconds=moment_s)).astimezone(UTC)
    return format_datetime(moment, usegmt=True)


@cache
def _compress(body: bytes) -> bytes:
    return gzip.compress(body, 5, mtime=0)
