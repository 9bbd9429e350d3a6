"""The texts of an archive: the entries of its feeds with their pages, and pages of no feed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tgecrawler.archive.body import BodyTooLargeError, read_body
from tgecrawler.archive.content import content_of, header_of
from tgecrawler.archive.index import SUFFIXES
from tgecrawler.archive.records import DamagedError, Record, Scan, open_record
from tgecrawler.archive.response import ArchivedResponse
from tgecrawler.domain.backtest import Text
from tgecrawler.domain.dates import parse_date
from tgecrawler.domain.fingerprint import url_key
from tgecrawler.domain.urls import resolve_url
from tgecrawler.errors import SourceError
from tgecrawler.items import Article
from tgecrawler.sources.article_reader import read_in_place
from tgecrawler.sources.decoding import LARGEST_BODY
from tgecrawler.sources.feed import parse_feed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from tgecrawler.archive.index import WarcIndex
    from tgecrawler.items import Entry, Feed

MOST_REDIRECTS = 20  # as many as Scrapy follows
_BEGINNINGS = (b"WARC/", b"\x1f\x8b")


def is_archive(path: Path) -> bool:
    """Return whether a path is an archive: a folder, or a file by its name or first bytes.

    Raises:
        OSError: it cannot be read.
    """
    if path.is_dir() or path.name.lower().endswith(SUFFIXES):
        return True
    with path.open("rb") as file:
        return file.read(max(map(len, _BEGINNINGS))).startswith(_BEGINNINGS)


def read_texts(path: Path, index: WarcIndex, *, besides: Iterable[str] = ()) -> Iterator[Text]:
    """Yield the texts of an archive as a crawl would judge them, whatever their age.

    Every capture of a feed counts, so that a folder of many crawls gives all that
    its feeds told; what one feed tells again counts as it was told first. Where a
    feed has the full text, that is the text, else the page's newest capture gives
    it. Then come the pages that belong to no entry, each address once.

    Args:
        index: of the same archive.
        besides: addresses of pages that are no articles, such as lists of them.

    Raises:
        ReplayError: the archive has changed since it was indexed.
    """
    reader = _Reader(index, besides)
    for response in _responses(path):
        yield from reader.read(response)
    yield from reader.read_rest()


class _Reader:
    """One reading of an archive: which entries and pages have been told already."""

    def __init__(self, index: WarcIndex, besides: Iterable[str]) -> None:
        self._index = index
        self._entries: set[tuple[str, str]] = set()  # keys of feed and entry
        # keys of pages that are not to be told by themselves, or have been
        self._told: set[str] = set(map(url_key, besides))
        self._pages: dict[str, None] = {}  # addresses, in the archive's order

    def read(self, response: ArchivedResponse) -> Iterator[Text]:
        """Yield the texts of a feed; remember the address of anything else."""
        feed = _feed_of(response)
        if feed is None:
            self._pages.setdefault(response.url)
            return
        for entry in feed.entries:
            key = url_key(response.url), url_key(entry.url)
            if key not in self._entries:
                self._entries.add(key)
                yield _text_of(entry, self._page_of(entry), response.fetched_at)

    def read_rest(self) -> Iterator[Text]:
        """Yield the texts of the pages that belong to no entry."""
        for url in self._pages:
            found = None if url_key(url) in self._told else self._get(url)
            article = _article_of(found) if found else None
            if found and article:
                keys = {url_key(url), url_key(article.canonical_url)}
                if not keys & self._told:
                    yield _text_of_page(article, found.fetched_at)
                self._told |= keys

    def _page_of(self, entry: Entry) -> Article | None:
        """Return the page of an entry; none is read where the feed has the full text."""
        self._told.add(url_key(entry.url))
        found = self._follow(entry.url)
        article = _article_of(found) if found else None
        if article:
            self._told.add(url_key(article.canonical_url))
        return None if entry.text else article

    def _follow(self, url: str) -> ArchivedResponse | None:
        """Return what a browser would end up with, as far as the archive has it."""
        for _ in range(MOST_REDIRECTS + 1):
            found = self._get(url)
            if found is None:
                return None
            target = resolve_url(header_of(found, "Location"), found.url)
            if not (300 <= found.status < 400 and target):
                return found
            url = target
        return None

    def _get(self, url: str) -> ArchivedResponse | None:
        try:
            return self._index.get(url, max_bytes=LARGEST_BODY)
        except BodyTooLargeError:
            return None


def _responses(path: Path) -> Iterator[ArchivedResponse]:
    """Yield every good response of an archive, file by file, with its body."""
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.name.lower().endswith(SUFFIXES))
    for file in files:
        try:
            for record in Scan(file):
                if (response := _response_of(file, record)) is not None:
                    yield response
        except OSError:
            continue  # the index has warned of it


def _response_of(file: Path, record: Record) -> ArchivedResponse | None:
    """Return a record's response, None where it is none or no good one."""
    url = (record.warc.get_header("WARC-Target-URI") or "").strip("<> ")
    moment = parse_date(record.warc.get_header("WARC-Date") or "")
    status = int(record.http.get_statuscode()) if record.http else 0
    if not url or moment is None or not _is_good(status):
        return None
    try:
        with open_record(file, record.offset, record.skip) as (http, content):
            headers = tuple(http.headers)
            body = read_body(headers, content, LARGEST_BODY)
    except (BodyTooLargeError, DamagedError):
        return None
    return ArchivedResponse(url=url, status=status, headers=headers, body=body, fetched_at=moment)


def _feed_of(response: ArchivedResponse) -> Feed | None:
    content_type = header_of(response, "Content-Type")
    try:
        return parse_feed(content_of(response), url=response.url, content_type=content_type)
    except SourceError:
        return None


def _article_of(response: ArchivedResponse) -> Article | None:
    """Return the article of a page, None where it is none or has no text."""
    content_type = header_of(response, "Content-Type")
    if not _is_good(response.status) or (content_type and "html" not in content_type.lower()):
        return None
    try:
        return read_in_place(content_of(response), url=response.url, content_type=content_type)
    except SourceError:
        return None


def _is_good(status: int) -> bool:
    return 200 <= status < 300


def _text_of(entry: Entry, page: Article | None, seen_at: datetime) -> Text:
    page = page or Article(url=entry.url, canonical_url=entry.url)
    return Text(
        title=entry.title or page.title,
        summary=entry.summary,
        text=page.text or entry.text,
        url=page.canonical_url,
        published_at=entry.published_at or page.published_at or seen_at,
        links=page.links,
        screened=bool(entry.title),
    )


def _text_of_page(page: Article, seen_at: datetime) -> Text:
    return Text(
        title=page.title,
        text=page.text,
        url=page.canonical_url,
        published_at=page.published_at or seen_at,
        links=page.links,
    )
