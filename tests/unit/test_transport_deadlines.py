"""Which deadline a request has, and how one that passed is told."""

from __future__ import annotations

import aiohttp
import pytest

from tgecrawler.transport.deadlines import DEADLINES, OTHER, deadlines_of, describe_timeout


@pytest.mark.parametrize("kind", ["feed", "article", "sitemap", "listing", "robots"])
def test_each_kind_has_its_own(kind: str) -> None:
    deadlines = deadlines_of({"kind": kind})
    assert deadlines == DEADLINES[kind]
    assert deadlines.connect_s <= deadlines.idle_s < deadlines.total_s


def test_what_has_no_kind_has_deadlines_too() -> None:
    assert deadlines_of({}) == deadlines_of({"kind": "enclosure"}) == OTHER


def test_a_lower_timeout_bounds_every_deadline() -> None:
    deadlines = deadlines_of({"kind": "feed", "download_timeout": 3})
    assert (deadlines.connect_s, deadlines.idle_s, deadlines.total_s) == (3, 3, 3)
    deadlines = deadlines_of({"kind": "feed", "download_timeout": 7.5})
    assert (deadlines.connect_s, deadlines.idle_s, deadlines.total_s) == (5, 7.5, 7.5)


def test_a_higher_timeout_lengthens_nothing() -> None:
    assert deadlines_of({"kind": "robots", "download_timeout": 180}) == DEADLINES["robots"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (aiohttp.ConnectionTimeoutError(), "no connection within 5 s (connect deadline)"),
        (aiohttp.SocketTimeoutError(), "silent for 10 s (idle deadline)"),
        (TimeoutError(), "not read to its end within 20 s (total deadline)"),
    ],
)
def test_a_timeout_says_which_deadline_passed(error: BaseException, told: str) -> None:
    assert describe_timeout(error, DEADLINES["feed"]) == told
