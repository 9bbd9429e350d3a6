"""What storage loses when its writers are killed and its server goes away: nothing.

Soaks only, of some minutes; tests/services/test_chaos.py does the same in short. Every figure
has the limit 0. Damage is what differs from a database that was written in peace, row by row,
in all tables.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos import Damage, compare
from chaos_events import kill, outages, pauses

from run import ROOT, Row
from tgecrawler.storage.engine import create_engine

sys.path.append(str(ROOT / "tests" / "services"))
from postgresql_server import serving

KILLS = 400  # every second one during a commit, the others around it
OUTAGES = 20
STILL_S = 30.0


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tge-chaos-") as folder:
        yield Path(folder)


def _rows(name: str, damage: Damage, note: str = "") -> list[Row]:
    return [
        Row(f"{name}: rows lost", damage.lost, "", 0, note),
        Row("  rows that should not be there", damage.duplicates, "", 0),
        Row("  batches in part", damage.partial, "", 0),
    ]


def _compared(url: str, folder: Path, batches: int) -> Damage:
    engine = create_engine(url)
    damage = compare(engine, folder, batches)
    engine.dispose()
    return damage


def _killed(engine: str, url: str, folder: Path) -> list[Row]:
    damage = kill(url, folder, times=KILLS, seed=7)
    places = ", ".join(f"{count} {place}" for place, count in (damage.places or {}).items())
    missed = Row(f"{engine}: kills that missed", KILLS - damage.kills, "", 0)
    return [*_rows(f"{engine}, killed {damage.kills} times", damage, places), missed]


def soak_killed() -> list[Row]:
    """Kill -9 within transactions, on both engines."""
    with _folder() as folder:
        rows = _killed("SQLite", f"sqlite:///{folder}/tge.db", folder)
    with _folder() as folder, serving() as server, server.database() as url:
        return rows + _killed("PostgreSQL", url, folder)


def soak_outages() -> list[Row]:
    """Stop PostgreSQL, by turns in order and as a crash, and start it."""
    with _folder() as folder, serving() as server, server.database() as url:
        batches, said = outages(server, url, folder, times=OUTAGES, away_s=1.0)
        damage = _compared(url, folder, batches)
    untold = OUTAGES - said.count("rows wait in")
    return [
        *_rows(f"PostgreSQL stopped and started {OUTAGES} times", damage, f"{batches} batches"),
        Row("  outages without a clear error", max(0, untold), "", 0),
    ]


def soak_standstill() -> list[Row]:
    """SIGSTOP of a writer in the middle, and of PostgreSQL with all its processes."""
    rows: list[Row] = []
    with _folder() as folder:
        url = f"sqlite:///{folder}/tge.db"
        batches = pauses(url, folder, still_s=STILL_S, server=None)
        rows += _rows(f"SQLite, a writer still for {STILL_S:g} s", _compared(url, folder, batches))
    with _folder() as folder, serving() as server, server.database() as url:
        batches = pauses(url, folder, still_s=STILL_S, server=server.process.pid)
        damage = _compared(url, folder, batches)
        rows += _rows(f"PostgreSQL, a writer still for {STILL_S:g} s", damage)
    return rows
