"""Run a scrapy command, and write when its spider was opened and closed.

``python cycle_timed.py SECONDS.json crawl rss …`` is ``scrapy crawl rss …``; the file holds the
seconds and the processor's seconds from the one to the other, and the latter up to the opening,
which is what starting takes: imports, configuration, database. They count all threads.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from pydispatch import dispatcher
from scrapy import signals
from scrapy.cmdline import execute

OUT, COMMAND = Path(sys.argv[1]), sys.argv[2:]


def opened(**_: Any) -> None:
    marks.update(opened_s=time.perf_counter(), start_cpu_s=time.process_time())


def closed(**_: Any) -> None:
    report = {
        "cycle_s": time.perf_counter() - marks["opened_s"],
        "cpu_s": time.process_time() - marks["start_cpu_s"],
        "start_cpu_s": marks["start_cpu_s"],
    }
    OUT.write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    marks: dict[str, float] = {}
    dispatcher.connect(opened, signal=signals.spider_opened)
    dispatcher.connect(closed, signal=signals.spider_closed)
    execute(["scrapy", *COMMAND])
