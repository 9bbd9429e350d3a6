"""Fixtures that several unit tests share."""

from __future__ import annotations

import time

import pytest
from virtual_time import VirtualClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """A clock that jumps in place of the real one."""
    clock = VirtualClock()
    monkeypatch.setattr(time, "time", clock.time)
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock
