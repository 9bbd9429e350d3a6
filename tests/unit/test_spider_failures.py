"""What a failed download leaves behind: a line, and none of its memory."""

from __future__ import annotations

import weakref

from scrapy.exceptions import IgnoreRequest
from twisted.python.failure import Failure

from tgecrawler.spiders.failures import describe_failure


class Unpacked:
    """Stands for what was unpacked of a bomb."""


def unpack(seen: list[weakref.ref[Unpacked]]) -> None:
    held = Unpacked()
    seen.append(weakref.ref(held))
    raise ValueError("too large")


def refused(seen: list[weakref.ref[Unpacked]]) -> Failure:
    try:
        try:
            unpack(seen)
        except ValueError as error:
            raise IgnoreRequest("a bomb") from error
    except IgnoreRequest:
        return Failure()


def test_what_was_unpacked_of_a_bomb_is_let_go() -> None:
    seen: list[weakref.ref[Unpacked]] = []
    failure = refused(seen)
    assert seen[0]() is not None
    assert describe_failure(failure) == "a bomb"
    assert seen[0]() is None
