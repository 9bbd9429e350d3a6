"""Writers killed, stopped and cut off: nothing lost, nothing twice, no batch in part.

`make bench` does the same for longer; see tests/bench/bench_storage_chaos.py.
"""

from __future__ import annotations

import os
import pwd
import resource
import tempfile
from pathlib import Path

import pytest
from chaos import AROUND, WITHIN, Damage, compare
from chaos_events import Child, kill, outages, pauses

from tgecrawler.storage.engine import create_engine

pytestmark = pytest.mark.slow

KILLS = 16


def assert_unharmed(url: str, folder: Path, batches: int) -> None:
    engine = create_engine(url)
    assert compare(engine, folder, batches) == Damage()
    engine.dispose()


def test_killed_within_transactions(database_url, tmp_path):
    damage = kill(database_url, tmp_path, times=KILLS, seed=5)
    places = {WITHIN: KILLS // 2} | {place: KILLS // 2 // len(AROUND) for place in AROUND}
    assert damage == Damage(kills=KILLS, places=places)


def test_a_server_stopped_and_started(postgresql, postgresql_url, tmp_path):
    batches, said = outages(postgresql, postgresql_url, tmp_path, times=3, away_s=0.2)
    assert_unharmed(postgresql_url, tmp_path, batches)
    assert "rows wait in" in said
    assert "rows of the spool are written" in said


def test_writers_and_a_server_that_stand_still(postgresql, database_url, tmp_path):
    server = postgresql.process.pid if "postgresql" in database_url else None
    batches = pauses(database_url, tmp_path, still_s=3.0, server=server)
    assert_unharmed(database_url, tmp_path, batches)


def test_a_disk_that_is_full(tmp_path):
    """No file may grow beyond a bound: SQLite's are refused, and those of the spool are small."""
    url, folder = f"sqlite:///{tmp_path}/tge.db", tmp_path / "spool"
    with Child(url, folder, batches=4) as child:
        child.finish()
    bound = (tmp_path / "tge.db").stat().st_size + 50_000

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (bound, resource.RLIM_INFINITY))

    with Child(url, folder, first=4, batches=16, preexec_fn=limit) as child:
        child.read_until(15)
        child.process.kill()
    assert "disk" in child.said
    assert "rows wait in" in child.said
    assert list(folder.glob("*.batch"))
    with Child(url, folder, first=16, batches=17) as child:
        child.finish()
    assert_unharmed(url, tmp_path, 17)


def test_a_file_that_becomes_read_only(tmp_path):
    uid = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    # Not pytest's folder: the user could not enter that one.
    with tempfile.TemporaryDirectory(prefix="tge-chaos-") as name:
        place = Path(name)
        database, folder = place / "tge.db", place / "spool"
        with Child(f"sqlite:///{database}", folder, batches=2) as child:
            child.finish()
        for path in (place, folder, *place.glob("*"), *folder.glob("*")):
            if path.exists():
                os.chown(path, uid, -1)
        given = {"uid": uid, "pause": 0.02}
        with Child(f"sqlite:///{database}", folder, first=2, batches=30, **given) as child:
            child.read_until(5)
            database.chmod(0o444)
            child.read_until(25)
            for path in place.glob("tge.db*"):  # what SQLite made beside it is like it
                path.chmod(0o644)
            child.finish()
        assert "readonly" in child.said or "unable to open" in child.said
        assert "rows of the spool are written" in child.said
        assert_unharmed(f"sqlite:///{database}", place, 30)
