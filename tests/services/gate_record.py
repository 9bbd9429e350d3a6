"""What a host saw of several workers: who began when, and how many at once."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from itertools import pairwise

from tgecrawler.scheduling.shared_gate import SharedHostGate


@dataclass
class Record:
    """Starts and ends by host, all by one clock."""

    spans: dict[str, list[tuple[float, float, int]]] = field(default_factory=dict)

    def add(self, host: str, started: float, ended: float, worker: int) -> None:
        self.spans.setdefault(host, []).append((started, ended, worker))

    def of(self, host: str) -> list[tuple[float, float, int]]:
        return sorted(self.spans.get(host, []))

    def workers(self, host: str) -> list[int]:
        return [worker for _, _, worker in self.of(host)]

    def gaps(self, host: str) -> list[float]:
        starts = [started for started, _, _ in self.of(host)]
        return [after - before for before, after in pairwise(starts)]

    def smallest_gap(self) -> float:
        return min((gap for host in self.spans for gap in self.gaps(host)), default=math.inf)

    def most_at_once(self) -> int:
        return max(most_at_once(spans) for spans in self.spans.values())

    async def request(
        self,
        gate: SharedHostGate,
        host: str,
        *,
        worker: int = 0,
        takes_s: float = 0.02,
    ) -> None:
        """Ask a host through a gate, and note it."""
        async with gate.turn(host) as turn:
            started = time.monotonic()
            turn.sent()
            try:
                await asyncio.sleep(takes_s)
            finally:
                self.add(host, started, time.monotonic(), worker)


def most_at_once(spans: list[tuple[float, float, int]]) -> int:
    steps = sorted([(start, 1) for start, _, _ in spans] + [(end, -1) for _, end, _ in spans])
    running = most = 0
    for _, step in steps:
        running += step
        most = max(most, running)
    return most
