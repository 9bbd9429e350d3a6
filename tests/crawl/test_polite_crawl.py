"""Politeness by a server's own log: gaps, rests, one at a time, and nothing that is forbidden."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness import HERE, Project

pytestmark = pytest.mark.slow

PAGE = {"body": "<p>a page</p>", "headers": {"Content-Type": "text/html"}}
SLOW_PAGE = {**PAGE, "delay_s": 0.3}
NO_RULES = {"status": 404}
# A busy machine may log a request late and the next one in time, so that a gap looks shorter
# in the log than it was; without a gate there would be some milliseconds. The crawler's own
# count of violations knows no such doubt.
LATE_S = 0.25


@dataclass
class Crawl:
    """What a crawl led to: a server's log in order of asking, and each spider's account."""

    log: list[dict[str, Any]]
    spiders: list[dict[str, Any]]
    stderr: str
    base: str

    @property
    def asked(self) -> list[str]:
        return [line["path"] for line in self.log]

    @property
    def gaps_s(self) -> list[float]:
        times = [line["asked_at"] for line in self.log]
        return [after - before for before, after in pairwise(times)]

    def outcome(self, path: str, spider: int = 0) -> str:
        found: str = self.spiders[spider]["outcomes"][self.base + path]
        return found

    def stat(self, name: str, spider: int = 0) -> float:
        found: float = self.spiders[spider]["stats"].get(name, 0)
        return found


Crawls = Callable[..., Crawl]


@pytest.fixture
def crawl(tmp_path: Path, project: Project) -> Iterator[Crawls]:
    started: list[subprocess.Popen[str]] = []

    def run(routes: dict[str, Any], *spiders: list[str], kind: str = "", **settings: Any) -> Crawl:
        listed = {path: one if isinstance(one, list) else [one] for path, one in routes.items()}
        (tmp_path / "routes.json").write_text(json.dumps(listed))
        server = start(tmp_path)
        started.append(server)
        assert server.stdout is not None
        base = f"http://127.0.0.1:{int(server.stdout.readline())}"
        asked = [[(base + path, kind) for path in paths] for paths in spiders]
        job = project.write("job.json", json.dumps({"settings": settings, "spiders": asked}))
        done = subprocess.run(
            [sys.executable, str(HERE / "polite_crawl.py"), str(job)],
            env=project.environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        lines = (tmp_path / "access.log").read_text().splitlines()
        requests: dict[int, dict[str, Any]] = {}
        for line in map(json.loads, lines):
            requests.setdefault(line["id"], {}).update(line)
        return Crawl(list(requests.values()), json.loads(done.stdout), done.stderr, base)

    yield run
    for server in started:
        server.terminate()
        server.wait(timeout=10)
        if server.stdout is not None:
            server.stdout.close()


def start(folder: Path) -> subprocess.Popen[str]:
    (folder / "access.log").touch()
    return subprocess.Popen(
        [sys.executable, str(HERE / "timed_server.py"), "routes.json", "access.log"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_gap_between_requests_and_one_at_a_time(crawl: Crawls) -> None:
    pages = [f"/{n}" for n in range(5)]
    done = crawl({"/robots.txt": NO_RULES, **dict.fromkeys(pages, PAGE)}, pages, DOWNLOAD_DELAY=0.6)
    violations = done.stat("tge/politeness/violations")
    print(
        f"wanted gap 0.6 s: smallest of 5 seen by the server {min(done.gaps_s):.3f} s, "
        f"{violations:.0f} violations"
    )
    assert done.asked == ["/robots.txt", *pages]
    assert min(done.gaps_s) >= 0.6 - LATE_S
    assert {line["in_flight"] for line in done.log} == {1}
    assert done.stat("tge/politeness/violations") == 0
    assert done.stat("tge/politeness/turns") == 6
    assert done.stat("tge/politeness/waits_s") > 0.6


def test_crawl_delay(crawl: Crawls) -> None:
    robots = {"body": "User-agent: *\nCrawl-delay: 1\n"}
    pages = ["/1", "/2", "/3"]
    done = crawl({"/robots.txt": robots, **dict.fromkeys(pages, PAGE)}, pages)
    assert done.asked == ["/robots.txt", *pages]
    assert min(done.gaps_s) >= 1 - LATE_S
    assert done.stat("tge/politeness/violations") == 0


def test_two_spiders_on_one_host_are_one_visitor(crawl: Crawls) -> None:
    ours, theirs = [f"/a{n}" for n in range(3)], [f"/b{n}" for n in range(3)]
    routes = {"/robots.txt": NO_RULES, **dict.fromkeys(ours + theirs, SLOW_PAGE)}
    done = crawl(routes, ours, theirs, DOWNLOAD_DELAY=0.5)
    assert sorted(path for path in done.asked if path != "/robots.txt") == ours + theirs
    assert {line["in_flight"] for line in done.log} == {1}
    assert min(done.gaps_s) >= 0.5 - LATE_S
    assert [done.stat("tge/politeness/violations", spider) for spider in (0, 1)] == [0, 0]


def test_without_the_gate_two_spiders_would_meet(crawl: Crawls) -> None:
    """The control: two at a time, where that is set, are seen as two."""
    ours, theirs = [f"/a{n}" for n in range(3)], [f"/b{n}" for n in range(3)]
    routes = {"/robots.txt": NO_RULES, **dict.fromkeys(ours + theirs, SLOW_PAGE)}
    done = crawl(routes, ours, theirs, CONCURRENT_REQUESTS_PER_DOMAIN=2)
    assert max(line["in_flight"] for line in done.log) == 2


@pytest.mark.parametrize(("form", "status"), [("2", 429), ("{date+2}", 503), ("2", 500)])
def test_retry_after_is_honoured(crawl: Crawls, form: str, status: int) -> None:
    refusal = {"status": status, "headers": {"Retry-After": form}}
    routes = {"/robots.txt": NO_RULES, "/busy": [refusal, PAGE], "/1": PAGE, "/2": PAGE}
    done = crawl(routes, ["/busy", "/1", "/2"], kind="feed")
    assert done.asked == ["/robots.txt", "/busy", "/1", "/2"]  # the refused one not at once again
    answered_at, next_at = done.log[1]["answered_at"], done.log[2]["asked_at"]
    print(f"Retry-After {form}, HTTP {status}: asked again after {next_at - answered_at:.3f} s")
    assert next_at - answered_at >= 2
    assert done.outcome("/busy") == f"HTTP {status}"
    assert done.outcome("/2") == "HTTP 200"
    assert done.stat(f"tge/politeness/rests/{status}") == 1
    assert done.stat("tge/politeness/violations") == 0


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "{date+3600}"}])
def test_a_long_rest_refuses_what_waits(crawl: Crawls, headers: dict[str, str]) -> None:
    refusal = {"status": 429, "headers": headers}
    done = crawl(
        {"/robots.txt": NO_RULES, "/busy": refusal, "/1": PAGE, "/2": PAGE}, ["/busy", "/1", "/2"]
    )
    assert done.asked == ["/robots.txt", "/busy"]
    assert done.outcome("/1").startswith("127.0.0.1 asks to be left alone until 20")
    assert done.outcome("/2").endswith(" UTC (HTTP 429)")
    assert done.stat("tge/politeness/refused") == 2
    assert done.stat("retry/count") == 0


def test_what_is_forbidden_is_never_asked_for(crawl: Crawls) -> None:
    robots = {"body": "User-agent: TGECrawler/2\nDisallow: /no\n\nUser-agent: *\nDisallow: /\n"}
    routes = {"/robots.txt": robots, "/no": PAGE, "/no/1": PAGE, "/yes": PAGE}
    done = crawl(routes, ["/no", "/yes", "/no/1"])
    assert done.asked == ["/robots.txt", "/yes"]
    assert done.outcome("/no/1") == "robots.txt forbids this address"
    assert done.stat("robotstxt/forbidden") == 2


@pytest.mark.parametrize(
    ("answer", "tries", "reason"),
    [
        ({"status": 500}, {2}, "robots.txt: HTTP 500"),
        ({"status": 503}, {1}, "robots.txt: HTTP 503"),  # the host asks to be left alone
        ({"status": 429}, {1}, "robots.txt: HTTP 429"),
        # one where the time was spent on the whole, two where the host was only silent
        ({"delay_s": 3}, {1, 2}, "robots.txt: no answer in time"),
    ],
)
def test_an_unreachable_robots_txt_forbids_all(
    crawl: Crawls, answer: dict[str, Any], tries: set[int], reason: str
) -> None:
    done = crawl({"/robots.txt": answer, "/1": PAGE, "/2": PAGE}, ["/1", "/2"], DOWNLOAD_TIMEOUT=1)
    assert set(done.asked) == {"/robots.txt"}
    assert len(done.asked) in tries
    assert (done.outcome("/1"), done.outcome("/2")) == (reason, reason)
    assert done.stderr == ""


def test_a_robots_txt_that_is_not_there_allows_all(crawl: Crawls) -> None:
    done = crawl({"/robots.txt": {"status": 403}, "/1": PAGE}, ["/1"])
    assert done.outcome("/1") == "HTTP 200"


@pytest.mark.parametrize(("hops", "outcome"), [(5, "robots.txt forbids"), (6, "HTTP 200")])
def test_redirects_of_robots_txt(crawl: Crawls, hops: int, outcome: str) -> None:
    names = ["/robots.txt", *(f"/r{n}" for n in range(1, hops + 1))]
    routes: dict[str, Any] = {
        name: {"status": 302, "headers": {"Location": after}} for name, after in pairwise(names)
    }
    routes |= {names[-1]: {"body": "User-agent: *\nDisallow: /no\n"}, "/no": PAGE}
    done = crawl(routes, ["/no"])
    assert done.outcome("/no").startswith(outcome)
    assert done.asked[:6] == names[:6]


def test_a_crawl_delay_beyond_all_bounds_is_said(crawl: Crawls) -> None:
    done = crawl(
        {"/robots.txt": {"body": "User-agent: *\nCrawl-delay: 9999\nDisallow: /\n"}}, ["/"]
    )
    assert "asks for 9999 s between two requests in its robots.txt; 300 s are kept" in done.stderr


@pytest.mark.parametrize(("kind", "tries"), [("feed", 2), ("article", 3)])
def test_what_fails_for_a_moment_is_asked_again(crawl: Crawls, kind: str, tries: int) -> None:
    routes = {"/robots.txt": NO_RULES, "/1": [{"status": 502}] * (tries - 1) + [PAGE]}
    done = crawl(routes, ["/1"], kind=kind)
    assert done.outcome("/1") == "HTTP 200"
    assert done.asked.count("/1") == tries
    assert done.stat("retry/count") == tries - 1
    assert min(done.gaps_s[1:]) >= 2 - LATE_S


def test_what_cannot_succeed_is_asked_once(crawl: Crawls) -> None:
    routes = {"/robots.txt": NO_RULES, "/404": {"status": 404}, "/501": {"status": 501}}
    done = crawl(routes, ["/404", "/501"], kind="article")
    assert done.asked == ["/robots.txt", "/404", "/501"]
    assert done.stat("retry/count") == 0
