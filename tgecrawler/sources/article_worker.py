"""The process that reads articles for another one, from its input to its output.

It ends with its input, so that it cannot outlive who started it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from tgecrawler.errors import SourceError
from tgecrawler.heap import bound_heap, limit_growth
from tgecrawler.sources.article import parse_article
from tgecrawler.sources.article_messages import pack, size_of

if TYPE_CHECKING:
    from typing import BinaryIO

# The largest pages that are read take some 140 MB, and a process is to stay below 200; this one
# begins with 45.
MOST_GROWTH_BYTES = 144 * 2**20


def serve(pages: BinaryIO, articles: BinaryIO) -> None:
    """Answer page after page, in their order, until there is none."""
    while (head := pages.readline()).endswith(b"\n"):
        articles.write(pack({}, _answer(orjson.loads(head), pages.read(size_of(head)))))
        articles.flush()


def _answer(asked: dict[str, Any], body: bytes) -> bytes:
    try:
        article = parse_article(body, url=asked["url"], content_type=asked["content_type"])
    except SourceError as error:
        return orjson.dumps({"error": str(error)})
    except MemoryError:  # a page of a hundred thousand attributes
        return orjson.dumps({"error": "a page that takes too much memory to read"})
    return orjson.dumps(article)


if __name__ == "__main__":
    bound_heap()
    limit_growth(MOST_GROWTH_BYTES)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    with suppress(ConnectionError):  # who asked was killed, in the middle of something
        serve(sys.stdin.buffer, answers)
