"""The messages between a crawl and the process that reads its articles.

A message is a line of JSON that tells how many bytes follow it, and these: one
way a page, the other way its article or why it has none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from tgecrawler.errors import SourceError
from tgecrawler.items import Article


def page_head(body: bytes, url: str, content_type: str) -> bytes:
    """Return the line that asks for the article of a page; the page's bytes follow it."""
    return _head({"url": url, "content_type": content_type}, body)


def size_of(head: bytes) -> int:
    """Return how many bytes follow the first line of a message."""
    size: int = orjson.loads(head)["bytes"]
    return size


def unpack_article(answer: bytes) -> Article:
    """Return the article that an answer holds, equal to what `parse_article` returns.

    Raises:
        SourceError: the page has none; for the reason that `parse_article` gave.
    """
    found = orjson.loads(answer)
    if "error" in found:
        raise SourceError(found["error"])
    if found["published_at"] is not None:
        found["published_at"] = datetime.fromisoformat(found["published_at"])
    found["links"] = tuple((address, words) for address, words in found["links"])
    return Article(**found)


def pack(head: dict[str, Any], body: bytes) -> bytes:
    """Return a message."""
    return _head(head, body) + body


def _head(head: dict[str, Any], body: bytes) -> bytes:
    return orjson.dumps({**head, "bytes": len(body)}) + b"\n"
