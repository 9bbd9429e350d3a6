"""Virtual time itself: a day in a second, exact waits, and libraries that notice nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from virtual_clock import CLOCK_VARIABLE, VirtualClock

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
START_AT = datetime(2026, 10, 5, tzinfo=UTC)


def run_warped(code: str, folder: Path) -> Any:
    """Return what `code` prints as JSON, run in virtual time from START_AT on."""
    VirtualClock.create(folder / "clock", START_AT)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env=os.environ
        | {
            "PYTHONPATH": str(HERE / "warped"),
            CLOCK_VARIABLE: str(folder / "clock"),
            "NETWORK_ATTEMPTS": str(folder / "attempts.log"),
            "NETWORK_LOOKUPS": str(folder / "lookups.log"),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


SPIDER = """
import asyncio, json, time
from datetime import UTC, date, datetime
from scrapy import Spider
from scrapy.crawler import CrawlerProcess

SEEN = {}

class Sleeper(Spider):
    name = "sleeper"

    async def start(self):
        from twisted.internet import reactor
        SEEN["before"] = [datetime.now(UTC).isoformat(), time.time(), time.monotonic()]
        asyncio.get_running_loop().call_later(3600, lambda: SEEN.update(hour=time.time()))
        reactor.callLater(7200, lambda: SEEN.update(twisted=time.time(), reactor=reactor.seconds()))
        SEEN["reactor"] = reactor.seconds()
        SEEN["thread"] = await asyncio.to_thread(lambda: sum(range(3_000_000)))
        SEEN["after_thread"] = time.time()
        await asyncio.sleep(86400)
        SEEN["after"] = [datetime.now(UTC).isoformat(), time.time(), time.monotonic()]
        SEEN["today"] = date.today().isoformat()
        return
        yield

process = CrawlerProcess({"ASYNCIO_EVENT_LOOP": "warped_loop.WarpedLoop",
                          "TELNETCONSOLE_ENABLED": False, "LOG_LEVEL": "ERROR"})
process.crawl(Sleeper)
process.start()
print(json.dumps(SEEN))
"""


@pytest.mark.slow
def test_a_spider_sleeps_a_day_in_seconds(tmp_path: Path) -> None:
    started_s = time.monotonic()
    seen = run_warped(SPIDER, tmp_path)
    assert time.monotonic() - started_s < 30
    start_s = START_AT.timestamp()
    assert seen["before"][0] == "2026-10-05T00:00:00+00:00"
    assert seen["before"][1] == pytest.approx(start_s, abs=0.01)
    assert seen["hour"] == pytest.approx(start_s + 3600, abs=0.01)
    assert seen["twisted"] == pytest.approx(start_s + 7200, abs=0.01)
    assert seen["after_thread"] == pytest.approx(start_s, abs=0.01), "a thread's work takes no time"
    assert seen["after"][1] - seen["before"][1] == pytest.approx(86400, abs=0.01)
    assert seen["after"][2] - seen["before"][2] == pytest.approx(86400, abs=0.01)
    assert seen["today"] == "2026-10-06"


GAPS = """
import asyncio, json, os, time
from pathlib import Path
from warped_loop import WarpedLoop

async def main():
    loop = asyncio.get_running_loop()
    moments = []
    for n in range(2000):
        moments.append(loop.time())
        if n % 100 == 0:
            sum(range(1_000_000))  # work that takes real milliseconds
        await asyncio.sleep(1)
    return [later - earlier for earlier, later in zip(moments, moments[1:])]

with asyncio.Runner(loop_factory=WarpedLoop) as runner:
    print(json.dumps(runner.run(main())))
"""


def test_a_gap_of_a_second_is_a_second(tmp_path: Path) -> None:
    gaps = run_warped(GAPS, tmp_path)
    assert len(gaps) == 1999
    assert min(gaps) >= 1 - 1e-6
    assert max(gaps) <= 1.001


LIBRARIES = """
import json, time
from datetime import UTC, datetime, timedelta
import logging, email.utils, orjson, pydantic
from sqlalchemy import Column, DateTime, Integer, MetaData, Table, create_engine, select

now = datetime.now(UTC)
assert type(now) is datetime and isinstance(datetime.strptime("2026", "%Y"), datetime)

class Model(pydantic.BaseModel):
    at: datetime

engine = create_engine("sqlite://")
table = Table("t", MetaData(), Column("id", Integer, primary_key=True), Column("at", DateTime))
with engine.begin() as connection:
    table.create(connection)
    connection.execute(table.insert(), {"at": now})
    (row,) = connection.execute(select(table.c.at)).scalars()
class Holder:
    clock = time.monotonic

before = Holder().clock()
time.sleep(100)
print(json.dumps({
    "orjson": orjson.loads(orjson.dumps(now)),
    "pydantic": Model(at=now).model_dump_json(),
    "row": row.isoformat(),
    "http": email.utils.formatdate(usegmt=True),
    "gmtime": time.strftime("%Y-%m-%d", time.gmtime()),
    "formatted": logging.Formatter("%(asctime)s").format(
        logging.LogRecord("n", 0, "p", 0, "m", None, None))[:10],
    "logged": logging.LogRecord("n", 0, "p", 0, "m", None, None).created,
    "slept": time.monotonic() - before,
    "naive": datetime.utcnow().isoformat(),
}))
"""


def test_libraries_see_the_virtual_moment(tmp_path: Path) -> None:
    seen = run_warped(LIBRARIES, tmp_path)
    assert seen["orjson"] == "2026-10-05T00:00:00+00:00"
    assert seen["pydantic"] == '{"at":"2026-10-05T00:00:00Z"}'
    assert seen["row"] == "2026-10-05T00:00:00"
    assert seen["http"] == "Mon, 05 Oct 2026 00:01:40 GMT"
    assert seen["gmtime"] == "2026-10-05"
    assert seen["formatted"] == "2026-10-05"
    assert seen["logged"] == START_AT.timestamp() + 100
    assert seen["slept"] == 100
    assert seen["naive"] == "2026-10-05T00:01:40"
