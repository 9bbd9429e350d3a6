"""An event loop that sleeps no second: its clock jumps to the next thing that is due."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class VirtualClock:
    """Stands for ``time.time`` and ``time.monotonic``; it moves only when the loop would sleep."""

    def __init__(self, starts_at: float = 1_800_000_000.0) -> None:
        self.passed_s = 0.0
        self.starts_at = starts_at

    def time(self) -> float:
        return self.starts_at + self.passed_s

    def monotonic(self) -> float:
        return 5_000.0 + self.passed_s

    def run(self, main: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end, however many hours it sleeps."""
        loop = asyncio.SelectorEventLoop(_JumpingSelector(self))
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(main)


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for something that never comes"
            self.clock.passed_s += timeout
        return ready
