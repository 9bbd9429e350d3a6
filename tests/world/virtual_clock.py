"""Virtual time of several processes: one number in a file that all of them map.

The clock stands still while anybody works and is moved by one process alone, whose
event loop (`warped_loop.WarpedLoop`) goes on to the next timer when all is quiet. So a
day takes as long as its work, a wait of one second is exactly one second, and no figure
depends on how busy the machine is.

`install` must run before other modules are imported; ``warped/sitecustomize.py`` does.
It leaves every type as it is: `datetime.datetime` gets another ``now``, not a subclass
that libraries written in C would not know.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import time
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

NS = 1_000_000_000
MONOTONIC_FROM_S = 10_000  # small, so that a float keeps nanoseconds
CLOCK_VARIABLE = "VIRTUAL_CLOCK"

real_sleep = time.sleep


class VirtualClock:
    """The shared moment, in nanoseconds since 1970 (`now_ns`)."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 16)
        self._cells = memoryview(self._map).cast("q")

    @classmethod
    def create(cls, path: Path, start_at: datetime) -> VirtualClock:
        """Write a clock's file and return the clock; it shows `start_at`."""
        start_ns = int(start_at.timestamp()) * NS
        path.write_bytes(start_ns.to_bytes(8, "little") * 2)
        return cls(path)

    @property
    def now_ns(self) -> int:
        return self._cells[0]

    @property
    def elapsed_ns(self) -> int:
        """How far the clock has come since it was created."""
        return self._cells[0] - self._cells[1]

    def advance_to(self, moment_ns: int) -> None:
        """Move the clock; it never goes back."""
        if moment_ns > self._cells[0]:
            self._cells[0] = moment_ns

    def time(self) -> float:
        return self._cells[0] / NS

    def time_ns(self) -> int:
        return self._cells[0]

    def monotonic(self) -> float:
        return self.monotonic_ns() / NS

    def monotonic_ns(self) -> int:
        return self.elapsed_ns + MONOTONIC_FROM_S * NS

    def sleep(self, seconds: float) -> None:
        """Move the clock by a sleeping thread's time: its loop waits for it and would not."""
        real_sleep(min(seconds, 0.001))
        self._cells[0] += int(seconds * NS)


def install(clock: VirtualClock) -> None:
    """Let `time` and `datetime` of this process read `clock`.

    What takes the place of built-in functions is bound already: as attributes of a class
    (``logging.Formatter.converter``) they must not turn into methods.
    """
    time.time, time.time_ns = clock.time, clock.time_ns
    for name in ("monotonic", "perf_counter"):
        setattr(time, name, clock.monotonic)
        setattr(time, f"{name}_ns", clock.monotonic_ns)
    time.sleep = clock.sleep
    for name in ("gmtime", "localtime", "ctime"):
        setattr(time, name, _OfNow(clock, getattr(time, name)).__call__)
    _install_now(clock)


def install_from_environment() -> VirtualClock | None:
    """Install the clock that the environment names, if it names one."""
    path = os.environ.get(CLOCK_VARIABLE)
    if not path:
        return None
    clock = VirtualClock(Path(path))
    install(clock)
    return clock


class _OfNow:
    """A function of `time` whose moment is the clock's unless one is given."""

    def __init__(self, clock: VirtualClock, function: Any) -> None:
        self._clock = clock
        self._function = function

    def __call__(self, seconds: float | None = None) -> Any:
        return self._function(self._clock.time() if seconds is None else seconds)


def _install_now(clock: VirtualClock) -> None:
    """Replace ``now`` and ``utcnow`` in the type's own dictionary (CPython).

    ``today`` and `date.today` need nothing: they ask `time.time`.
    """

    def now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:
        seconds, rest_ns = divmod(clock.now_ns, NS)
        return cls.fromtimestamp(seconds, tz).replace(microsecond=rest_ns // 1000)

    def utcnow(cls: type[datetime]) -> datetime:
        return now(cls, UTC).replace(tzinfo=None)

    (attributes,) = gc.get_referents(datetime.__dict__)
    attributes["now"] = classmethod(now)
    attributes["utcnow"] = classmethod(utcnow)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))
