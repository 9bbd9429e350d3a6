"""Put before a tested process: it lives in virtual time, and reaches loopback only.

The clock comes first, so that no module has kept a function of the real one.
"""

import runpy
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TESTS / "world"))

import virtual_clock  # noqa: E402

virtual_clock.install_from_environment()
runpy.run_path(str(TESTS / "crawl" / "guard" / "sitecustomize.py"))
