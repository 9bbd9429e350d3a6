"""The gate before the extraction: it keeps every page that would be relevant, and lets go of most.

``page_gains`` of the lexicon are measured here; after a fit, this test says whether
they still hold.
"""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Iterator
from html import escape
from pathlib import Path

import pytest
from warcio.archiveiterator import ArchiveIterator

from tgecrawler.config.loader import load_lexicon, load_watchlist, load_weights
from tgecrawler.domain.page_gate import PageGate
from tgecrawler.domain.relevance import Assessor
from tgecrawler.errors import SourceError
from tgecrawler.sources.article import parse_article
from tgecrawler.sources.glance import glance

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("TGE_SHARED_DATA", HERE.parents[2] / "shared" / "data"))
NEEDS_SHARED = pytest.mark.skipif(
    not SHARED.exists(), reason=f"no real pages and records in {SHARED} (TGE_SHARED_DATA)"
)
OWN = ("own", "written_everyday", "written_news", "written_posts", "crypto", "everyday")
REAL = ("dev", "clusters_dev", "stream_window")
LEAST_LET_GO = 0.80  # of 181 pages of everyday news; measured 0.87

ASSESSOR = Assessor(load_watchlist(), load_lexicon(), load_weights(), min_score=0.5)
GATE = PageGate(ASSESSOR)


def records(path: Path) -> Iterator[tuple[str, str, str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        title, summary, text = (record.get(field) or "" for field in ("title", "summary", "text"))
        if record.get("medium", "article") == "article" and title:
            yield title, summary, text


def as_page(title: str, text: str) -> bytes:
    """Return a page of the barest sort: nothing stands on it but the record."""
    return f"<html><title>{escape(title)}</title><p>{escape(text)}</p></html>".encode()


def lost_of(path: Path) -> tuple[int, list[str]]:
    """Return how many records of a file are relevant, and which of them the gate would drop."""
    relevant, lost = 0, []
    for title, summary, text in records(path):
        if ASSESSOR.assess(title, summary, text).relevant:
            relevant += 1
            page = glance(as_page(title, text))
            if not GATE.look(title, summary, page.text).worth_extracting:
                lost.append(title)
    return relevant, lost


@pytest.mark.parametrize("name", OWN)
def test_no_relevant_record_of_ours_is_lost(name: str) -> None:
    _, lost = lost_of(HERE / f"{name}.jsonl")
    assert lost == []


def test_the_records_of_ours_are_many() -> None:
    assert sum(lost_of(HERE / f"{name}.jsonl")[0] for name in OWN) > 300


@NEEDS_SHARED
@pytest.mark.parametrize("name", REAL)
def test_no_relevant_real_record_is_lost(name: str) -> None:
    relevant, lost = lost_of(SHARED / "labelled" / f"{name}.jsonl")
    assert relevant
    assert lost == []


@NEEDS_SHARED
def test_no_relevant_real_page_is_lost() -> None:
    relevant, lost = 0, []
    for url, body, content_type in archived_pages():
        try:
            article = parse_article(body, url=url, content_type=content_type)
        except SourceError:
            continue
        if ASSESSOR.assess(article.title, "", article.text, url=url).relevant:
            relevant += 1
            page = glance(body, content_type)
            if not GATE.look(page.title, "", page.text).worth_extracting:
                lost.append(url)
    assert relevant >= 20
    assert lost == []


@NEEDS_SHARED
def test_most_everyday_pages_are_let_go() -> None:
    files = sorted((SHARED / "extraction" / "html").glob("*.html.gz"))
    pages = [glance(gzip.decompress(file.read_bytes())) for file in files]
    passing = [page for page in pages if GATE.look(page.title, "", page.text).worth_extracting]
    assert len(pages) == 181
    assert 1 - len(passing) / len(pages) >= LEAST_LET_GO


@NEEDS_SHARED
def test_a_text_adds_no_more_than_the_lexicon_says() -> None:
    """Where it makes a record relevant: elsewhere it may, and nothing depends on it."""
    gains = ASSESSOR.lexicon.page_gains
    reserve = math.inf
    for file in (*(SHARED / "labelled" / f"{name}.jsonl" for name in REAL), HERE / "own.jsonl"):
        for title, summary, text in records(file):
            whole = ASSESSOR.read(title, summary, text, medium="article")
            if ASSESSOR.log_odds(whole) < 0:
                continue
            before = ASSESSOR.log_odds(ASSESSOR.read(title, "", "", medium="article"))
            events, trade = whole.of("event"), whole.of("crypto") + whole.of("context")
            both, one = bool(events and trade), bool(events or trade)
            gain = gains.both if both else gains.either if one else gains.nothing
            reserve = min(reserve, gain + before)
    assert reserve > 0.5


def archived_pages() -> Iterator[tuple[str, bytes, str]]:
    with (SHARED / "dev.warc.gz").open("rb") as file:
        for record in ArchiveIterator(file):
            http = record.http_headers
            if record.rec_type != "response" or http.get_statuscode() != "200":
                continue
            content_type = http.get_header("Content-Type", "")
            if "html" in content_type.lower():
                url = record.rec_headers.get_header("WARC-Target-URI")
                yield url, record.content_stream().read(), content_type
