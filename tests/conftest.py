"""What all tests share: cases that hold on every engine live beside the unit tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "unit"))
pytest.register_assert_rewrite(
    "storage_cases", "event_cases", "cache_cases", "lasting_cases",
    "integrity_cases", "growth_cases", "backup_cases",
)  # fmt: skip
