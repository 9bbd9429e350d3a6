"""Politeness by the server's own log, of crawls by several processes that share a Redis."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from gate_record import Record

from harness import HERE as CRAWLS
from harness import Project
from tgecrawler.redis_link import connect
from tgecrawler.scheduling.shared_gate import PREFIX

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent
GAP_S = 0.2
# A worker that is interrupted between its turn and its sending is late, and the gap that follows
# is shorter by as much; on a busy machine some milliseconds. Without a gate there would be none.
LATE_S = 0.02


class Fleet:
    """Several crawls at once, each of some pages of every host."""

    def __init__(self, folder: Path, redis_url: str, *, crawl_delay_s: str = "") -> None:
        self.project = Project(folder)
        self.log = folder / "access.log"
        self.redis_url = redis_url
        words = [str(self.log), "0.05", *([crawl_delay_s] if crawl_delay_s else [])]
        self.server = subprocess.Popen(
            [sys.executable, str(HERE / "recording_server.py"), *words],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.server.stdout is not None
        self.port = int(self.server.stdout.readline())

    def run(self, shares: list[list[list[str]]], **settings: object) -> tuple[Record, list[str]]:
        """Run a process for each share, with a spider for each of its lists of pages."""
        workers = [self._start(n, share, settings) for n, share in enumerate(shares)]
        try:
            for worker in workers:
                out, err = worker.communicate(timeout=90)
                assert worker.returncode == 0, err
                assert err == ""
                for spider in json.loads(out):
                    assert spider["stats"]["tge/politeness/violations"] == 0
                    assert set(spider["outcomes"].values()) == {"HTTP 200"}
        finally:
            for worker in workers:
                worker.kill()
                worker.communicate()
        self.stop()
        record, asked = Record(), []
        for line in map(json.loads, self.log.read_text().splitlines()):
            record.add(line["host"], line["asked"], line["answered"], 0)
            asked.append(line["host"] + line["path"])
        return record, asked

    def stop(self) -> None:
        self.server.terminate()
        self.server.wait(10)
        if self.server.stdout is not None:
            self.server.stdout.close()

    def _start(self, number: int, share: list[list[str]], settings: dict[str, object]):
        job = {
            "settings": {
                "DOWNLOAD_HANDLERS": {
                    "http": "tgecrawler.transport.handler.GuardedDownloadHandler"
                },
                "TGE_ALLOW_PRIVATE_NETWORKS": True,
                "TGE_REDIS_URL": self.redis_url,
                "DOWNLOAD_DELAY": GAP_S,
                "HTTPCACHE_ENABLED": False,
                **settings,
            },
            "spiders": [
                [(f"http://{page.replace('/', f':{self.port}/', 1)}", "page") for page in pages]
                for pages in share
            ],
        }
        path = self.project.write(f"job{number}.json", json.dumps(job))
        return subprocess.Popen(
            [sys.executable, str(CRAWLS / "polite_crawl.py"), str(path)],
            env=self.project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def start_fleet(tmp_path, redis_url):
    made: list[Fleet] = []

    def start(**options: str) -> Fleet:
        made.append(Fleet(tmp_path, redis_url, **options))
        return made[-1]

    yield start
    for fleet in made:
        fleet.stop()


def shares_of(hosts: int, each: int, workers: int) -> list[list[str]]:
    """Return for each worker its share of the pages of every host."""
    return [
        [f"127.0.0.{2 + host}/{page}" for page in range(n, each, workers) for host in range(hosts)]
        for n in range(workers)
    ]


def pages_of(asked: list[str]) -> list[str]:
    return sorted(page for page in asked if not page.endswith("robots.txt"))


@pytest.mark.parametrize("workers", [1, 2, 10])
def test_as_polite_as_one(start_fleet, workers):
    shares = shares_of(4, 20, workers)
    record, asked = start_fleet().run([[share] for share in shares])
    gaps = sorted(gap for host in record.spans for gap in record.gaps(host))
    took_s = max(record.of(host)[-1][0] - record.of(host)[0][0] for host in record.spans)
    print(
        f"{workers} workers, 4 hosts, {len(asked)} requests: at once {record.most_at_once()}; "
        f"gap wanted {GAP_S} s, smallest in the server's log {gaps[0]:.4f}, median "
        f"{gaps[len(gaps) // 2]:.4f}, {sum(gap < GAP_S - 0.001 for gap in gaps)} of {len(gaps)} "
        f"below it by more than a millisecond; from a host's first to its last {took_s:.1f} s"
    )
    assert pages_of(asked) == sorted(page for share in shares for page in share)
    assert record.most_at_once() == 1
    assert [gap for gap in gaps if gap < GAP_S - LATE_S] == []


def test_without_redis_two_workers_would_meet(start_fleet):
    """The control."""
    record, _ = start_fleet().run([[share] for share in shares_of(4, 20, 2)], TGE_REDIS_URL="")
    gaps = [gap for host in record.spans for gap in record.gaps(host)]
    assert min(gaps) < GAP_S / 2


def test_two_spiders_in_each_of_two_processes(start_fleet, redis_url):
    shares = shares_of(2, 12, 4)
    record, asked = start_fleet().run([shares[:2], shares[2:]])
    assert pages_of(asked) == sorted(page for share in shares for page in share)
    assert record.most_at_once() == 1
    assert record.smallest_gap() >= GAP_S - LATE_S
    with connect(redis_url) as client:  # the gates were closed with the last engine
        keys = list(client.scan_iter(f"{PREFIX}*"))
    assert sorted(keys) == [
        f"{PREFIX}{name}".encode() for name in ("epoch", "h:127.0.0.2", "h:127.0.0.3")
    ]


def test_a_crawl_delay_holds_between_processes(start_fleet):
    shares = shares_of(1, 8, 2)
    record, asked = start_fleet(crawl_delay_s="0.7").run([[share] for share in shares])
    assert pages_of(asked) == sorted(page for share in shares for page in share)
    assert min(record.gaps("127.0.0.2")[1:]) >= 0.7 - LATE_S  # it was not known before
    assert record.most_at_once() == 1
