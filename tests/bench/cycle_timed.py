"""Run a scrapy command, and write what passed from the opening of its spider to the close.

``python cycle_timed.py SECONDS.json crawl rss …`` is ``scrapy crawl rss …``; the file holds the
seconds and the processor's seconds. These are of all threads, and of processes that it started
from their start to their end. What comes before is what starting takes: imports, configuration,
database.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from pydispatch import dispatcher
from scrapy import signals
from scrapy.cmdline import execute

OUT, COMMAND = Path(sys.argv[1]), sys.argv[2:]
marks: dict[str, tuple[float, float]] = {}


def opened(**_: Any) -> None:
    marks["opened"] = time.perf_counter(), time.process_time()


def closed(**_: Any) -> None:
    marks["closed"] = time.perf_counter(), time.process_time()


def report() -> dict[str, float]:
    (opened_at, before_s), (closed_at, after_s) = marks["opened"], marks["closed"]
    others = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after_s - before_s + others.ru_utime + others.ru_stime
    return {"cycle_s": closed_at - opened_at, "cpu_s": cpu_s}


if __name__ == "__main__":
    dispatcher.connect(opened, signal=signals.spider_opened)
    dispatcher.connect(closed, signal=signals.spider_closed)
    try:
        execute(["scrapy", *COMMAND])
    finally:
        OUT.write_text(json.dumps(report()), encoding="utf-8")
