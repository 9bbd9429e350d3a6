"""Writers that are killed, stopped and cut off; what they leave is compared with what was due.

    python tests/bench/chaos.py kill URL FOLDER --times 200     kill -9, within transactions
    python tests/bench/chaos.py write URL FOLDER --batches 50   write until all is stored

Each batch is numbered, and a writer that is started again goes on with the first
one that was not confirmed, as a queue would deliver it again. The first prints
its `Damage` as JSON; the second a line for each batch.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE.parents[1], HERE.parent / "unit"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

import sqlalchemy as sa  # noqa: E402
from sqlalchemy import event  # noqa: E402
from storage_cases import NOW, RULES, assessment, mention, rejected, settled  # noqa: E402

from tgecrawler.items import EventTraits  # noqa: E402
from tgecrawler.storage.aside import Aside  # noqa: E402
from tgecrawler.storage.batch import Batch  # noqa: E402
from tgecrawler.storage.engine import create_engine, write_transaction  # noqa: E402
from tgecrawler.storage.lasting import LastingWriter  # noqa: E402
from tgecrawler.storage.models import ALERTS, MENTIONS, SEEN  # noqa: E402
from tgecrawler.storage.readiness import ensure_schema  # noqa: E402
from tgecrawler.storage.spool import Spool  # noqa: E402
from tgecrawler.storage.writer import Writer  # noqa: E402

SIZE = 20
SPOOL_BYTES = 100_000_000
COMMIT_S = 0.004  # a kill during a commit falls anywhere within so long after its beginning
STATEMENTS = 30  # of a batch, about
WITHIN = "during commit"
AROUND = ("statement", "before commit", "after commit", "keeping")
WAIT_S = 120.0


@dataclass(frozen=True)
class Damage:
    """What went wrong, which is to be nothing; `places` counts where the kills fell."""

    kills: int = 0
    lost: int = 0
    duplicates: int = 0
    partial: int = 0
    places: dict[str, int] | None = None


def batch_of(number: int) -> Batch:
    """Return the batch of a number: stories that go over from one batch to the next."""
    numbers = range(number * SIZE, (number + 1) * SIZE)
    return Batch(
        mentions=[
            mention(
                at,
                source=f"batch-{number}",
                text=f"word {at} " * 300,
                text_key=f"t{at // 3}",
                traits=EventTraits(f"project-{at // 7}", "", "main", 0),
                assessment=assessment(companies=(f"Company {at % 5}",), status="announced"),
            )
            for at in numbers
        ],
        rejected=[rejected(10_000_000 + number)],
        rules_version=RULES,
    )


def open_writer(url: str, folder: Path, pace: float = 1.0) -> LastingWriter:
    """Return a writer over a database and the spool in a folder.

    Args:
        pace: share of the usual pauses between attempts.
    """
    engine = create_engine(url)
    ensure_schema(engine)
    lasting = LastingWriter(
        engine, Aside(folder), Spool(folder, SPOOL_BYTES), sleep=lambda s: time.sleep(s * pace)
    )
    for writer in (lasting.writer, lasting.impatient):
        writer.clock = lambda: NOW  # so that the rows do not depend on the day
    return lasting


def write(lasting: LastingWriter, numbers: Iterable[int], confirm: Callable[[int], None]) -> None:
    """Write numbered batches, and confirm each once it is in the database or in the spool."""
    for number in numbers:
        batch = batch_of(number)
        while True:
            fate = lasting.write(batch)
            if not fate.held.mentions:
                break
            time.sleep(0.1)
        if fate.refused or fate.given_up.mentions:
            raise RuntimeError(f"batch {number} was refused or given up")
        confirm(number)
        if lasting.wait_s() == 0:
            lasting.drain()
    deadline = time.monotonic() + WAIT_S
    while (wait_s := lasting.wait_s()) is not None and time.monotonic() < deadline:
        time.sleep(wait_s)
        lasting.drain()


def arm(engine: sa.Engine, spool: Spool, place: str, rng: random.Random) -> None:
    """Kill this very process at a place that chance chooses within the transactions to come."""
    countdown = rng.randrange(3)  # transactions that go well before

    def kill(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def due() -> bool:
        nonlocal countdown
        countdown -= 1
        return countdown < 0

    if place == "statement":
        countdown = rng.randrange(3 * STATEMENTS)
        moment = rng.choice(("before_cursor_execute", "after_cursor_execute"))
        event.listen(engine, moment, lambda *_: kill() if due() else None)
    elif place == "before commit":
        event.listen(engine, "commit", lambda _: kill() if due() else None)
    elif place == WITHIN:

        def start(_: object) -> None:
            if due():
                threading.Timer(rng.uniform(0, COMMIT_S), kill).start()

        event.listen(engine, "commit", start)
    elif place == "after commit":
        event.listen(engine, "checkin", lambda *_: kill() if due() else None)
    else:
        _cut_off(engine)
        write_whole = spool._write_whole

        def keep(path: Path, content: bytes) -> None:
            if due():
                threading.Timer(rng.uniform(0, COMMIT_S), kill).start()
            write_whole(path, content)

        spool._write_whole = keep  # type: ignore[method-assign]


def halt(engine: sa.Engine, transactions: int) -> None:
    """Stop this very process (SIGSTOP) within a transaction, before its commit."""
    countdown = transactions

    @event.listens_for(engine, "commit")
    def _stop(_: object) -> None:
        nonlocal countdown
        countdown -= 1
        if countdown == 0:
            os.kill(os.getpid(), signal.SIGSTOP)


def _cut_off(engine: sa.Engine) -> None:
    """Let this process find the database away: its connections are to be to nobody."""

    @event.listens_for(engine, "before_cursor_execute")
    def _refuse(*_: object) -> None:
        raise sa.exc.OperationalError(
            "", {}, ConnectionError("cut off"), connection_invalidated=True
        )


def killed_once(url: str, folder: Path, first: int, place: str, seed: int) -> tuple[int, int]:
    """Write in a process that kills itself; return what it confirmed, and its exit status."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            lasting = open_writer(url, folder, pace=0.01)
            lasting.recover()
            arm(lasting.engine, lasting.spool, place, random.Random(seed))  # type: ignore[arg-type]
            write(lasting, itertools.count(first), lambda number: _say(writing, number))
        finally:
            os._exit(1)  # not killed: the caller counts that
    os.close(writing)
    with os.fdopen(reading) as lines:
        confirmed = [int(line) for line in lines]
    return (confirmed[-1] + 1 if confirmed else first), os.waitpid(child, 0)[1]


def _say(descriptor: int, number: int) -> None:
    os.write(descriptor, f"{number}\n".encode())


def kill_often(url: str, folder: Path, times: int, seed: int) -> Damage:
    """Kill a writer so many times, let another one finish, and compare."""
    rng = random.Random(seed)
    places: Counter[str] = Counter()
    first = partial = 0
    engine = create_engine(url)
    ensure_schema(engine)
    for turn in range(times):
        place = AROUND[turn // 2 % len(AROUND)] if turn % 2 else WITHIN
        engine.dispose()  # a connection must not be in two processes
        first, status = killed_once(url, folder, first, place, rng.randrange(2**32))
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            places[place] += 1
        partial += len(partial_batches(engine))
    finish(url, folder, first, first + 2)
    damage = compare(engine, folder, first + 2)
    engine.dispose()
    return Damage(
        kills=places.total(),
        lost=damage.lost,
        duplicates=damage.duplicates,
        partial=partial,
        places=dict(places),
    )


def finish(url: str, folder: Path, first: int, batches: int) -> None:
    """Write the rest, with nobody to disturb."""
    lasting = open_writer(url, folder)
    lasting.recover()
    write(lasting, range(first, batches), lambda _: None)
    lasting.close()
    lasting.engine.dispose()


def partial_batches(engine: sa.Engine) -> list[str]:
    """Return what of the batches is there in part, once a killed one's server is done with it."""
    per_batch = sa.select(MENTIONS.c.source, sa.func.count()).group_by(MENTIONS.c.source)
    kept = sa.select(SEEN.c.id).where(SEEN.c.outcome.in_(["stored", "duplicate"]))
    originals = sa.select(MENTIONS.c.id).where(MENTIONS.c.duplicate_of.is_(None))
    with write_transaction(engine) as connection:
        found = [name for name, count in connection.execute(per_batch) if count != SIZE]
        ids = set(connection.scalars(sa.select(MENTIONS.c.id)))
        if set(connection.scalars(kept)) != ids:
            found.append("seen")
        if set(connection.scalars(sa.select(ALERTS.c.id))) != set(connection.scalars(originals)):
            found.append("alerts")
    return found


def compare(engine: sa.Engine, folder: Path, batches: int) -> Damage:
    """Return in what the database differs from one that was written in peace."""
    peaceful = create_engine(f"sqlite:///{folder}/peaceful-{time.time_ns()}.db")
    ensure_schema(peaceful)
    writer = Writer(peaceful, clock=lambda: NOW)
    for number in range(batches):
        writer.write(batch_of(number))
    due, found = (set(_rows(one)) for one in (peaceful, engine))
    peaceful.dispose()
    return Damage(
        lost=len(due - found), duplicates=len(found - due), partial=len(partial_batches(engine))
    )


def _rows(engine: sa.Engine) -> Iterator[str]:
    for table, rows in settled(engine).items():
        for row in rows:
            yield f"{table} {row}"


def _until(enough: Path | None, numbers: Iterable[int]) -> Iterator[int]:
    for number in numbers:
        if enough is not None and enough.exists():
            return
        yield number


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("kill", "write"))
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--batches", type=int, default=1_000_000)
    parser.add_argument("--enough", type=Path, help="a file that ends it when it is there")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds after each batch")
    parser.add_argument("--pace", type=float, default=1.0, help="share of the usual pauses")
    parser.add_argument("--halt", type=int, help="transactions until it stops itself in a commit")
    parser.add_argument("--uid", type=int, default=0, help="whom to be, once all is loaded")
    given = parser.parse_args()
    if given.action == "kill":
        damage = kill_often(given.url, given.folder, given.times, given.seed)
        print(json.dumps(asdict(damage)))
        return

    def confirm(number: int) -> None:
        print(number, flush=True)
        time.sleep(given.pause)
        if given.uid:  # a file that was open before would not be asked whose it is
            lasting.engine.dispose()

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if given.uid:
        os.setuid(given.uid)
    lasting = open_writer(given.url, given.folder, given.pace)
    lasting.recover()
    if given.halt is not None:
        halt(lasting.engine, given.halt)
    print("ready", flush=True)
    write(lasting, _until(given.enough, range(given.first, given.batches)), confirm)
    print("done", lasting.waiting_rows, flush=True)


if __name__ == "__main__":
    main()
