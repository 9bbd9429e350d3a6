"""Records kept as JSON lines: what other programs have collected, to be read as entries."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any

from tgecrawler.domain.dates import parse_date
from tgecrawler.domain.text import clean_text
from tgecrawler.domain.urls import resolve_url
from tgecrawler.errors import SourceError
from tgecrawler.items import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_LINE = 4_000_000
"""Characters; a longer one is not read."""


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file, ``.gz`` or plain, blank ones left out.

    Raises:
        SourceError: it cannot be read, or is no text; a gzip file that is cut ends so.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as lines:
            yield from (line for line in lines if line.strip())
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise SourceError(f"cannot read {path}: {error}") from None


def parse_record(line: str) -> tuple[str, Entry]:
    """Return the name of a record's source, and the record as an entry.

    Keys: ``url`` and one of ``title``, ``summary``, ``text``; ``source``,
    ``author``, ``lang`` and ``published`` where known. Others are passed over.

    Raises:
        SourceError: not such an object.
    """
    if len(line) > LONGEST_LINE:
        raise SourceError("the line is too long")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise SourceError("not a line of JSON") from None
    if not isinstance(record, dict):
        raise SourceError("not a JSON object")
    texts = {name: _text(record, name) for name in ("title", "summary", "author", "lang")}
    texts["text"] = _text(record, "text", keep_breaks=True)
    url = resolve_url(_text(record, "url"))
    if not url or not any(texts[name] for name in ("title", "summary", "text")):
        raise SourceError("a record has a url, and a title, summary or text")
    published = parse_date(_text(record, "published"))
    return _text(record, "source"), Entry(url=url, published_at=published, **texts)


def _text(record: dict[str, Any], name: str, *, keep_breaks: bool = False) -> str:
    value = record.get(name)
    return clean_text(value, keep_breaks=keep_breaks) if isinstance(value, str) else ""
