"""The process that reads articles for another one, from its input to its output.

A message is a line of JSON that tells how many bytes follow it, and these: one
way a page, the other way its article or why it has none. The process ends with
its input, so that it cannot outlive who started it.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from tgecrawler.errors import SourceError
from tgecrawler.items import Article
from tgecrawler.sources.article import parse_article

if TYPE_CHECKING:
    from typing import BinaryIO


def pack_page(body: bytes, url: str, content_type: str) -> bytes:
    """Return the message that asks for the article of a page."""
    return _pack({"url": url, "content_type": content_type}, body)


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


def serve(pages: BinaryIO, articles: BinaryIO) -> None:
    """Answer page after page, in their order, until there is none."""
    while head := pages.readline():
        articles.write(_pack({}, _answer(orjson.loads(head), pages.read(size_of(head)))))
        articles.flush()


def _answer(asked: dict[str, Any], body: bytes) -> bytes:
    try:
        article = parse_article(body, url=asked["url"], content_type=asked["content_type"])
    except SourceError as error:
        return orjson.dumps({"error": str(error)})
    return orjson.dumps(article)


def _pack(head: dict[str, Any], body: bytes) -> bytes:
    return orjson.dumps({**head, "bytes": len(body)}) + b"\n" + body


if __name__ == "__main__":
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    serve(sys.stdin.buffer, answers)
