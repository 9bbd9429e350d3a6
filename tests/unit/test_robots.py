"""robots.txt as RFC 9309 reads it: a table of cases, and what holds while it cannot be had."""

from __future__ import annotations

import asyncio
import codecs
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from virtual_time import VirtualClock

from tgecrawler.domain.robots_term import (
    FIRST_RETRY,
    LIFETIME,
    LONGEST_RETRY,
    Availability,
    RobotsCopy,
    availability_of,
    failed,
    renewed,
)
from tgecrawler.scheduling import robots_book
from tgecrawler.scheduling.host_lane import utc_now
from tgecrawler.scheduling.robots_book import RobotsAnswer, RobotsBook
from tgecrawler.sources.robots import LONGEST_BYTES, parse_robots

FIXTURES = Path(__file__).parents[1] / "fixtures"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OURS = "User-agent: tgecrawler\n"
ALL = "User-agent: *\n"

CASES = yaml.safe_load((FIXTURES / "robots" / "rfc9309.yaml").read_text(encoding="utf-8"))
RULES = b"User-agent: *\nDisallow: /a\n"

BODIES = (
    ("UTF-8 with a mark", codecs.BOM_UTF8 + RULES, False),
    ("UTF-16, little end first", codecs.BOM_UTF16_LE + RULES.decode().encode("utf-16-le"), False),
    ("UTF-16, big end first", codecs.BOM_UTF16_BE + RULES.decode().encode("utf-16-be"), False),
    ("Latin-1 in a comment", b"# f\xfcr alle\n" + RULES, False),
    ("bytes of no encoding", bytes(range(256)) * 20, True),
    ("zeros", b"\0" * 10_000, True),
    ("within 500 KiB", b"#" * (LONGEST_BYTES - 40) + b"\n" + RULES, False),
    ("behind 500 KiB", b"#" * LONGEST_BYTES + b"\n" + RULES, True),
    ("one line without end", b"User-agent: *" + b" " * LONGEST_BYTES + b"\nDisallow: /a", True),
    ("a cut rule", RULES + b"#" * (LONGEST_BYTES - 39) + b"\nAllow: /a/b/c", False),
)

STATUSES = (
    ((200, 204, 206, 299), Availability.FOUND),
    ((301, 302, 303, 307, 308), Availability.REDIRECTED),
    ((304, 400, 401, 403, 404, 410, 418, 451, 499), Availability.UNAVAILABLE),
    ((429, 500, 502, 503, 504, 520, 599), Availability.UNREACHABLE),
)


def allowed(body: bytes, path: str) -> bool:
    return parse_robots(body).allows(f"https://h.example{path}")


def test_the_table_of_rfc_9309() -> None:
    wrong = [
        f"{case['section']} {case['title']}"
        for case in CASES
        if allowed(case["robots"].encode(), case["path"]) is not case["allowed"]
    ]
    wrong += [title for title, body, expected in BODIES if allowed(body, "/a/b") is not expected]
    statuses = [(status, meaning) for group, meaning in STATUSES for status in group]
    wrong += [
        f"HTTP {status}" for status, meaning in statuses if availability_of(status) is not meaning
    ]
    cases = len(CASES) + len(BODIES) + len(statuses)
    print(f"RFC 9309: {cases - len(wrong)}/{cases} cases passed")
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "delay_s"),
    [
        (ALL + "Crawl-delay: 5\n", 5), (ALL + "crawl-delay: 0.5\nDisallow: /a\n", 0.5),
        (ALL + "Crawl-delay: 5\n\n" + OURS + "Crawl-delay: 2\n", 2),
        (ALL + "Crawl-delay: 5\n\n" + OURS + "Disallow: /a\n", None),
        (ALL + "Crawl-delay: soon\n", None), (ALL + "Crawl-delay: -1\n", None),
        (ALL + "Crawl-delay: inf\n", None), (ALL, None),
        (OURS + "Crawl-delay: 7\nUser-agent: other\nDisallow: /\n", 7),
    ],
)  # fmt: skip
def test_crawl_delay(text: str, delay_s: float | None) -> None:
    assert parse_robots(text.encode()).crawl_delay_s == delay_s


def test_another_token() -> None:
    text = b"User-agent: otherbot\nDisallow: /a\n"
    assert not parse_robots(text, "OtherBot").allows("https://h.example/a")


def test_only_our_rules_are_kept() -> None:
    others = "".join(f"User-agent: b{n}\nDisallow: /{n}\n" for n in range(1000))
    rules = parse_robots((others + ALL + "Disallow: /a\n").encode())
    assert rules.size_bytes == len("Disallow: /a")


def test_a_copy_holds_for_a_day() -> None:
    copy = renewed("rules", NOON)
    assert not copy.is_due(NOON + LIFETIME - timedelta(seconds=1))
    assert copy.is_due(NOON + LIFETIME)


def test_without_rules_nothing_is_allowed_and_it_is_asked_again_later_and_later() -> None:
    copy: RobotsCopy[str] | None = None
    now, waits = NOON, []
    for _ in range(9):
        copy = failed(copy, "HTTP 503", now, 0)
        assert (copy.rules, copy.reason) == (None, "HTTP 503")
        waits.append(copy.due_at - now)
        now = copy.due_at
    assert waits[:4] == [FIRST_RETRY * 2**n for n in range(4)]
    assert waits[-1] == LONGEST_RETRY
    assert failed(copy, "HTTP 503", now, 1).due_at - now == LONGEST_RETRY * 1.25


def test_old_rules_hold_while_the_host_fails() -> None:
    copy = failed(renewed("rules", NOON), "HTTP 500", NOON + LIFETIME, 0)
    assert copy.rules == "rules"
    assert copy.due_at == NOON + LIFETIME + FIRST_RETRY


class Host:
    """Answers for every origin in the same way, after a second, and counts how often."""

    def __init__(self, text: str | None = ALL + "Disallow: /a\n") -> None:
        self.text = text
        self.asked: list[str] = []

    async def ask(self, origin: str) -> RobotsAnswer:
        self.asked.append(origin)
        await asyncio.sleep(1)
        if self.text is None:
            return RobotsAnswer(None, utc_now(), "HTTP 500")
        return RobotsAnswer(parse_robots(self.text.encode()), utc_now())


def test_many_who_wait_ask_once(clock: VirtualClock) -> None:
    host = Host()
    book = RobotsBook(host.ask)

    async def crawl() -> None:
        waiting = [asyncio.ensure_future(book.copy_for("https://h")) for _ in range(20)]
        await asyncio.sleep(0.5)
        waiting[0].cancel()  # it asked; the others are answered all the same
        copies = await asyncio.gather(*waiting[1:])
        assert all(copy.rules is not None for copy in copies)

    clock.run(crawl())
    assert host.asked == ["https://h"]


def test_asked_anew_after_a_day_and_kept_while_the_host_fails(clock: VirtualClock) -> None:
    host = Host()
    book = RobotsBook(host.ask, jitter=lambda: 0.0)

    async def crawl() -> list[tuple[bool, int]]:
        seen = []
        for wait_s in (0, 86_398, 2, 58, 3):
            await asyncio.sleep(wait_s)
            copy = await book.copy_for("https://h")
            seen.append((copy.rules is not None, len(host.asked)))
            host.text = None
        return seen

    assert clock.run(crawl()) == [(True, 1), (True, 1), (True, 2), (True, 2), (True, 3)]


def test_an_error_reaches_all_who_wait_and_is_not_kept(clock: VirtualClock) -> None:
    asked = []

    async def ask(origin: str) -> RobotsAnswer:
        asked.append(origin)
        await asyncio.sleep(1)
        raise ConnectionError("the host rests")

    book = RobotsBook(ask)

    async def crawl() -> None:
        for _ in range(2):
            waiting = (book.copy_for("https://h") for _ in range(3))
            done = await asyncio.gather(*waiting, return_exceptions=True)
            assert [str(one) for one in done] == ["the host rests"] * 3

    clock.run(crawl())
    assert len(asked) == 2
    assert len(book) == 0


def test_the_book_is_bounded(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots_book, "MOST_ORIGINS", 10)
    monkeypatch.setattr(robots_book, "MOST_RULES_BYTES", 10_000)
    host = Host()
    book = RobotsBook(host.ask)

    async def crawl() -> None:
        for n in range(30):
            await book.copy_for(f"https://h{n}")
        assert len(book) == 10
        assert book.rules_bytes == 10 * len("Disallow: /a")
        await book.copy_for("https://h29")
        host.text = ALL + "Disallow: /b\n" * 600
        await book.copy_for("https://large")
        assert book.rules_bytes <= 10_000
        assert len(book) >= 2
        await book.copy_for("https://larger")
        assert book.rules_bytes == 600 * len("Disallow: /b")

    clock.run(crawl())
