"""Memory is given back, and no more of it is taken than is allowed."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what Linux alone can do")

PRELUDE = """
import pathlib, re
from tgecrawler.heap import bound_heap, limit_growth, trim_heap

def resident_mb():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\\s+(\\d+)", status)[1]) / 1024
"""
FREED = """
bound_heap()
before = resident_mb()
pages = [bytes(300_000) for _ in range(200)]
kept = pages[::50]  # between them the room stays with the heap
del pages
trim_heap()
print(resident_mb() - before)
"""
GROWN = """
limit_growth(50 * 2**20)
held = bytes(30 * 2**20)
try:
    bytes(30 * 2**20)
except MemoryError:
    print("refused")
print(len(bytes(10 * 2**20)) >> 20)
"""


def run(code: str) -> list[str]:
    command = [sys.executable, "-c", PRELUDE + code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def test_what_is_freed_goes_back_to_the_system() -> None:
    assert float(run(FREED)[0]) < 5


def test_more_than_is_allowed_is_refused_and_the_process_goes_on() -> None:
    assert run(GROWN) == ["refused", "10"]
