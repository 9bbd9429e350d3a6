"""The checks find what is wrong: each with a log that keeps its rule and one that breaks it."""

from __future__ import annotations

import pytest

from access_log import Connection, Request, read_log, write_line
from checks import (
    Naive,
    Poll,
    bare_refusal_waits_s,
    crawl_delay_violations,
    detection_delays_s,
    disallowed_requests,
    early_returns,
    gap_violations,
    most_parallel_connections,
    most_parallel_requests,
    most_reuse_ratio,
    naive_requests,
    not_modified_ratio,
    polls_of,
    possible_reuse_ratio,
    requests_per_feed_day,
    reuse_ratio,
    smallest_gap_s,
)


def asked(start_s: float, took_s: float = 0.1, host: str = "a", **more: object) -> Request:
    return Request(
        **{"host": host, "path": "/", "start_s": start_s, "end_s": start_s + took_s} | more  # type: ignore[arg-type]
    )


def test_parallel_connections() -> None:
    one, successor = Connection(1, "a", 0, 5), Connection(2, "a", 5, 9)
    assert most_parallel_connections([one, successor]) == {"a": 1}
    assert most_parallel_connections([one, Connection(2, "b", 1, 9)]) == {"a": 1, "b": 1}
    assert most_parallel_connections([one, successor, Connection(3, "a", 4.9, 6)]) == {"a": 2}


def test_parallel_requests() -> None:
    assert most_parallel_requests([asked(0), asked(1)]) == 1
    assert most_parallel_requests([asked(0, 2), asked(1)]) == 2
    assert most_parallel_requests([asked(0, 2), asked(1, host="b")]) == 1


def test_gaps() -> None:
    kept = [asked(0), asked(1), asked(2.5), asked(2.6, host="b")]
    assert gap_violations(kept, 1) == []
    assert smallest_gap_s(kept) == 1
    (found,) = gap_violations([*kept, asked(3.2)], 1)
    assert found.after.start_s == 3.2
    assert found.early_by_s == pytest.approx(0.3)
    assert len(gap_violations([asked(3), asked(3)], 1)) == 1, "at the same moment"


def test_crawl_delay_holds_once_it_is_told() -> None:
    rules = asked(2, kind="robots")
    assert crawl_delay_violations([asked(0), asked(1), rules, asked(12)], {"a": 10}) == []
    assert crawl_delay_violations([rules, asked(3)], {"b": 10}) == []
    assert len(crawl_delay_violations([rules, asked(3)], {"a": 10})) == 1
    assert len(crawl_delay_violations([rules, asked(12), asked(21)], {"a": 10})) == 1


def test_returns_before_the_moment_that_retry_after_named() -> None:
    refused = asked(0, status=429, retry_at_s=60.1)
    assert early_returns([refused, asked(60.1), asked(10, host="b")]) == []
    assert early_returns([refused, asked(0.05)]) == [], "it was under way already"
    (found,) = early_returns([refused, asked(50)])
    assert found.early_by_s == pytest.approx(10.1)
    again = asked(61, status=503, retry_at_s=100.0)
    assert len(early_returns([refused, again, asked(70), asked(80), asked(100)])) == 2


def test_a_later_answer_does_not_end_a_longer_rest() -> None:
    long, short = asked(0, status=429, retry_at_s=100.0), asked(0.01, status=429, retry_at_s=10.0)
    assert len(early_returns([long, short, asked(50)])) == 1


def test_waits_after_a_bare_refusal() -> None:
    refusals = [asked(0, status=429), asked(60.1, status=503), asked(180.2)]
    assert bare_refusal_waits_s(refusals) == pytest.approx([60, 120])
    assert bare_refusal_waits_s([asked(0, status=429, retry_at_s=9.0), asked(9)]) == []


def test_disallowed_paths() -> None:
    def is_private(host: str, path: str) -> bool:
        return path.startswith("/private/")

    rules = asked(0, kind="robots", path="/robots.txt")
    news, private = asked(1, path="/news"), asked(2, path="/private/1")
    assert disallowed_requests([rules, news], is_private) == []
    assert disallowed_requests([rules, news, private], is_private) == [private]
    assert disallowed_requests([news], is_private) == [news], "its rules were never asked for"


def test_rules_that_cannot_be_had_disallow_all() -> None:
    broken = asked(0, kind="robots", status=503)
    mended = asked(5, kind="robots", status=404)
    early, late = asked(1), asked(6)
    log = [broken, early, mended, late, asked(7, kind="robots", status=503), asked(8)]
    assert disallowed_requests(log, lambda *_: False) == [early]


def test_reuse_of_connections() -> None:
    found = [asked(0, nth=1), asked(10, nth=2), asked(100, nth=1), asked(110, nth=1)]
    assert reuse_ratio(found) == 0.25
    assert possible_reuse_ratio(found, keep_alive_s=60) == 0.5, "the third had no choice"
    assert possible_reuse_ratio(found, keep_alive_s=5) == 1.0
    assert most_reuse_ratio(found, keep_alive_s=60) == 0.5
    broken = [asked(0, whole=False), asked(10)]
    assert most_reuse_ratio(broken, keep_alive_s=60) == 0, "its connection did not survive"


FEED = {("a", "/feed"): ("one", (-5.0, 100.0, 200.0))}


def poll(start_s: float, status: int = 200) -> Request:
    return asked(start_s, path="/feed", status=status)


def test_polls_know_what_was_new() -> None:
    found = list(polls_of([poll(0), poll(50, 304), poll(150), poll(160), asked(1)], FEED))
    assert [(one.first, one.changed) for one in found] == [
        (True, True),
        (False, False),
        (False, True),
        (False, False),
    ]
    assert not_modified_ratio(found) == 0.5
    assert requests_per_feed_day(found) == {"one": 4}
    assert list(polls_of([poll(0, 503), asked(1, path="/feed", whole=False)], FEED)) == []


def test_delay_of_detection() -> None:
    found = list(polls_of([poll(0), poll(110, 304), poll(150), poll(230)], FEED))
    delays = detection_delays_s(found, {"one": (-5.0, 100.0, 200.0, 300.0)})
    assert delays == pytest.approx([30.1, 50.1]), "a 304 shows nothing; the old and the unseen"


def test_the_naive_crawler() -> None:
    polls = [Poll(poll(at), "one", first=not at, changed=True) for at in (0, 150, 250)]
    naive = naive_requests(polls, {"one": (-5.0, -4.0, 100.0, 200.0)}, window=2)
    assert naive == Naive(polls=3, pages_once=4, pages_each_time=6)
    assert naive.saved(7) == (0.0, pytest.approx(2 / 9))


def test_what_is_written_is_read(tmp_path) -> None:  # type: ignore[no-untyped-def]
    late, early = asked(5, retry_at_s=9.0), asked(1)
    closed = Connection(1, "a", 0, 9)
    with (tmp_path / "log").open("w") as log:
        for line in (late, early, closed):
            write_line(log, line)
    found = read_log(tmp_path / "log")
    assert found.requests == [early, late]
    assert found.connections == [closed]
