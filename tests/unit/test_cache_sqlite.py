"""The shared level in an SQLite file."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from cache_cases import DAY_S, START_S, LevelCases, stored

from tgecrawler.cache.level import Gone, LevelError
from tgecrawler.cache.sqlite import CHECK_EVERY, GONE_KEPT, SqliteLevel
from tgecrawler.cache.sqlite_file import SCHEMA_VERSION

ROOT = Path(__file__).parents[2]
MOST_BYTES = 50_000_000


@pytest.fixture
def level(tmp_path):
    level = SqliteLevel(tmp_path / "cache.sqlite", MOST_BYTES)
    yield level
    level.close()


@pytest.fixture
def other(tmp_path):
    level = SqliteLevel(tmp_path / "cache.sqlite", MOST_BYTES)
    yield level
    level.close()


class TestSqliteLevel(LevelCases):
    """See ``LevelCases``."""


def test_what_is_over_is_not_found_and_is_cleared_away(level):
    level.write(("feed", "a"), stored(keep_s=60), START_S)
    assert level.read(("feed", "a"), START_S + 59)
    assert level.read(("feed", "a"), START_S + 60) is None
    for _ in range(CHECK_EVERY):
        level.write(("feed", "b"), stored(keep_s=DAY_S), START_S + 61)
    assert level.sizes()["feed"].entries == 1


def test_a_lower_bound_gives_space_back_to_the_disk(level):
    for number in range(300):
        level.write(("feed", str(number)), stored(bytes(10_000)), START_S + number)
    before = level.used_bytes()
    level.most_bytes = 500_000
    for number in range(1_000):
        level.write(("feed", f"n{number}"), stored(b"small"), START_S + 999)
    assert level.used_bytes() <= 500_000
    level.close()  # the last connection brings the log into the file
    assert level.path.stat().st_size < before / 4


def test_who_has_missed_too_many_words_forgets_everything(level, other):
    other.heard()
    for number in range(GONE_KEPT + 5):
        level.drop(Gone(tag=str(number)), START_S)
    assert list(other.heard()) == [Gone()]
    assert list(other.heard()) == []


@pytest.mark.parametrize("content", [b"", b"no database at all " * 500])
def test_a_file_that_is_none_is_put_aside_and_said_once(tmp_path, caplog, content):
    path = tmp_path / "cache.sqlite"
    path.write_bytes(content)
    level = SqliteLevel(path, MOST_BYTES)
    level.write(("feed", "a"), stored(), START_S)
    assert level.read(("feed", "a"), START_S)
    level.close()
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == bool(content)
    aside = tmp_path / "cache.sqlite.damaged"
    assert aside.exists() == bool(content)
    assert not content or aside.read_bytes() == content


def test_a_file_that_is_damaged_later_is_begun_anew(level, other, caplog):
    for number in range(500):
        level.write(("feed", str(number)), stored(bytes(2_000)), START_S)
    assert other.read(("feed", "7"), START_S)
    for one in (level, other):
        one.close()
    size = level.path.stat().st_size
    with level.path.open("r+b") as file:  # the header stays: only use shows the damage
        file.seek(8_192)
        file.write(os.urandom(size - 8_192))
    for one in (level, other):
        for _ in range(3):
            try:
                one.write(("feed", "new"), stored(), START_S)
            except LevelError:
                continue
            break
    assert other.read(("feed", "new"), START_S) is not None
    assert level.read(("feed", "new"), START_S) is not None  # both are in the same new file
    assert caplog.text.count("cannot be read") == 1


def test_of_two_that_meet_the_damage_the_second_leaves_the_new_file_alone(level, other, caplog):
    for number in range(500):
        level.write(("feed", str(number)), stored(bytes(2_000)), START_S)
    for one in (level, other):
        assert one.read(("feed", "7"), START_S)
    with level._write() as db:
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        db.execute("BEGIN")
    with level.path.open("r+b") as file:
        size = level.path.stat().st_size
        file.seek(8_192)
        file.write(os.urandom(size - 8_192))

    def meet_the_damage(one):
        for number in range(500):
            try:
                one.read(("feed", str(number)), START_S)
            except LevelError:
                return True
        return False

    assert meet_the_damage(level)
    level.write(("feed", "new"), stored(), START_S)
    assert meet_the_damage(other)  # it still held the old file
    assert other.read(("feed", "new"), START_S) is not None
    assert caplog.text.count("cannot be read") == 1


def test_a_file_that_somebody_removed_is_made_again(level, other):
    for one in (level, other):
        one.write(("feed", "a"), stored(), START_S)
        one.heard()
    for path in level.path.parent.iterdir():
        path.unlink()
    for one in (level, other):
        one.heard()
        assert one.read(("feed", "a"), START_S) is None
    level.write(("feed", "a"), stored(), START_S)
    assert other.read(("feed", "a"), START_S) is not None


def test_another_versions_file_is_put_aside(level, other):
    level.write(("feed", "a"), stored(), START_S)
    level.close()
    with sqlite3.connect(level.path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    assert other.read(("feed", "a"), START_S) is None
    other.write(("feed", "a"), stored(), START_S)
    assert other.read(("feed", "a"), START_S)


def test_a_folder_that_cannot_be_is_an_error_to_rest_from(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    level = SqliteLevel(tmp_path / "file" / "cache.sqlite", MOST_BYTES)
    with pytest.raises(LevelError) as raised:
        level.read(("feed", "a"), START_S)
    assert raised.value.rests


def test_a_locked_file_is_waited_for_and_given_up(level):
    level.write(("feed", "a"), stored(b"one"), START_S)
    lock = sqlite3.connect(level.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(LevelError) as raised:
            level.write(("feed", "a"), stored(b"two"), START_S)
        assert not raised.value.rests
        assert level.read(("feed", "a"), START_S) == (b"head", b"one")  # readers do not wait
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    level.write(("feed", "a"), stored(b"two"), START_S)


FULL_DISK = """
import resource, sys
from pathlib import Path
from tgecrawler.cache.tiered import TieredCache
from tgecrawler.cache.sqlite import SqliteLevel
cache = TieredCache(SqliteLevel(Path(sys.argv[1]), 10**9), memory_bytes=0)
cache.set("article", "before", b"before" * 1000)
# from here on writes fail, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
for number in range(60):
    cache.set("article", str(number), bytes(range(256)) * 40 + str(number).encode() * 3000)
print(cache.stats()["shared_failures"], cache.get("article", "before") == b"before" * 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
"""


@pytest.mark.slow
def test_a_full_disk_fails_nothing_and_leaves_what_was_there(tmp_path):
    path = tmp_path / "cache.sqlite"

    done = run(FULL_DISK, path)
    assert done.returncode == 0, done.stderr
    failures, readable = done.stdout.split()
    assert int(failures) > 0
    assert readable == "True"
    assert done.stderr.count("the crawl goes on") == 1, done.stderr
    level = SqliteLevel(path, MOST_BYTES)
    assert level.read(("article", "before"), 0.0) is not None
    level.write(("article", "after"), stored(), START_S)
    level.close()


READ_ONLY = """
import os, sys
from pathlib import Path
from tgecrawler.cache.tiered import TieredCache
from tgecrawler.cache.sqlite import SqliteLevel
if os.geteuid() == 0:
    os.seteuid(65_534)  # root may write everywhere
cache = TieredCache(SqliteLevel(Path(sys.argv[1]), 10**9), memory_bytes=10**6)
cache.set("article", "a", b"value")
print(cache.get("article", "a"), cache.stats()["shared_failures"])
"""


@pytest.mark.slow
def test_a_folder_that_must_not_be_written_fails_nothing():
    with tempfile.TemporaryDirectory() as name:  # not pytest's: another user cannot enter that
        Path(name).chmod(0o555)
        done = run(READ_ONLY, Path(name) / "cache.sqlite")
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["b'value'", "1"]
        assert done.stderr.count("the crawl goes on") == 1
        Path(name).chmod(0o755)


KILLED = """
import os, sys
from pathlib import Path
from tgecrawler.cache.tiered import TieredCache
from tgecrawler.cache.sqlite import SqliteLevel
cache = TieredCache(SqliteLevel(Path(sys.argv[1]), 3_000_000), memory_bytes=0)
number = int(sys.argv[2])
while True:
    value = os.urandom(20) * 500 + os.urandom(number % 7 * 3_000)
    cache.set("article", str(number), value, tags=(str(number % 5),))
    cache.touch("article", str(number - 3))
    print(number, flush=True)
    number += 1
"""


@pytest.mark.slow
def test_kill_9_in_mid_write_leaves_a_usable_cache(tmp_path):
    """Killed ten times at random moments, also while the bound is at work."""
    path, number = tmp_path / "cache.sqlite", 0
    for _ in range(10):
        command = [sys.executable, "-c", KILLED, str(path), str(number)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(120):  # so many writes it has told of; it is in one of the next
            number = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        level = SqliteLevel(path, 3_000_000)
        assert level.read(("article", str(number)), 0.0) is not None
        level.write(("feed", "after"), stored(), START_S)
        assert level.read(("feed", "after"), START_S)
        level.close()
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()
    assert not path.with_name("cache.sqlite.damaged").exists()
    assert path.stat().st_size < 5_000_000


def run(script, path):
    return subprocess.run(
        [sys.executable, "-c", script, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
