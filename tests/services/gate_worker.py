"""A worker of its own process that asks hosts through the shared gate.

``python gate_worker.py URL JOB``, where JOB is JSON: ``{"hosts": [...], "requests": 5,
"takes_s": 0.05, "gap_s": 0.2, "limit": 1, "expiry_s": 15}``, the last two of which may be
left out. Prints a line of JSON for each start and each end: ``{"host", "worker", "number",
"started"}`` or ``"ended"``, by the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tgecrawler.redis_link import connect_async
from tgecrawler.scheduling import gate_rounds
from tgecrawler.scheduling.shared_gate import SharedHostGate


def note(**line: Any) -> None:
    sys.stdout.write(json.dumps({"worker": os.getpid(), **line}) + "\n")
    sys.stdout.flush()


async def main(url: str, job: dict[str, Any]) -> None:
    gate_rounds.EXPIRY_S = job.get("expiry_s", gate_rounds.EXPIRY_S)
    gate = SharedHostGate(connect_async(url), job["gap_s"], limit=job.get("limit", 1))

    async def request(host: str, number: int) -> None:
        async with gate.turn(host) as turn:
            note(host=host, number=number, started=time.monotonic())
            turn.sent()
            await asyncio.sleep(job["takes_s"])
            note(host=host, number=number, ended=time.monotonic())

    numbers = range(job["requests"])
    await asyncio.gather(*(request(host, n) for n in numbers for host in job["hosts"]))
    await gate.close()
    note(violations=gate.violations, turns=gate.turns, rounds=gate.rounds.rounds)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
