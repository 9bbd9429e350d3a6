"""Batches on disk: whole or not there, bounded, and taken over from the dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from storage_cases import NOW, assessment, batch, mention, mention_sets, quickly, rejected

from tgecrawler.errors import PayloadError, SpoolError, SpoolFullError
from tgecrawler.items import EventTraits, Reason
from tgecrawler.storage.payload import batch_from_json, batch_to_json
from tgecrawler.storage.spool import Spool, spool_folder

MB = 1_000_000
FULL = mention(
    1,
    summary="In short",
    text="At length \ud83d \x00 \U0001f600",
    author="A. Writer",
    lang="en",
    medium="post",
    page_error="HTTP 503",
    links=(("https://news.example/other", "other"),),
    fingerprint=b"\x00\xff",
    near=(("1abc", 0.9),),
    copy_of="1abc",
    traits=EventTraits("caldera", "CAL", "main", 2),
    assessment=assessment(
        companies=("Caldera",),
        missing=("no event",),
        score=float("inf"),
        reasons=(Reason(rule="r", weight=2.5, field="title", start=0, end=5, text="Story"),),
    ),
)
# A line of version 1 as it was written: what waits on a disk outlives an upgrade.
VERSION_1 = (
    '{"v":1,"rules_version":"rules-1","mentions":[{"entry_id":"1a","source":"desk","owner":"desk",'
    '"tier":2,"url":"https://desk.example/a","canonical_url":"https://desk.example/a",'
    '"title":"Nimbus opens claims","summary":"","text":"","author":"","lang":"","medium":"article",'
    '"published_at":null,"seen_at":"2026-03-01T12:00:00.123456+00:00","page_error":"","links":[],'
    '"assessment":{"score":0.9,"relevant":true,"kind":"airdrop","status":"none","companies":[],'
    '"project":"","token":"","event_date":"","event_date_precision":null,"chain":"",'
    '"exchange":"","claim_url":"","claim_url_official":null,"promo":false,"reasons":[],'
    '"missing":[]},"url_key":"","text_key":"","fingerprint":"00ff","near":[["1b",0.9]],'
    '"copy_of":"","traits":["nimbus","NIM","main",0]}],"rejected":[{"id":"1c",'
    '"outcome":"irrelevant","rules_version":"rules-1/7","seen_at":"2026-03-01T12:00:00+00:00"}]}'
)


def test_a_payload_comes_back_whole_but_for_the_links() -> None:
    told = batch(FULL, mention(2, published_at=None, assessment=None), reject=[rejected(3)])
    line = batch_to_json(told)
    assert "\n" not in line
    back = batch_from_json(line)
    assert list(back.mentions) == [replace(FULL, links=()), told.mentions[1]]
    assert list(back.rejected) == [rejected(3)]
    assert back.rules_version == told.rules_version


@quickly
@given(mention_sets())
def test_any_payload_comes_back(mentions) -> None:
    assert list(batch_from_json(batch_to_json(batch(*mentions))).mentions) == mentions


def test_times_keep_what_they_lack() -> None:
    naive = mention(1, published_at=datetime(2026, 1, 1))  # noqa: DTZ001
    [back] = batch_from_json(batch_to_json(batch(naive))).mentions
    assert back == naive


def test_a_line_of_version_1_is_read_and_still_written_so() -> None:
    told = batch_from_json(VERSION_1)
    [one] = told.mentions
    assert (one.entry_id, one.seen_at, one.fingerprint) == ("1a", NOW, b"\x00\xff")
    assert one.traits == EventTraits("nimbus", "NIM", "main", 0)
    assert one.near == (("1b", 0.9),)
    assert told.rejected[0].outcome == "irrelevant"
    assert batch_to_json(told) == VERSION_1


@pytest.mark.parametrize(
    "line", ["", "{", "[]", '{"v":2,"mentions":[]}', '{"v":1}', VERSION_1.replace("tier", "rank")]
)
def test_what_is_no_payload_is_refused(line: str) -> None:
    with pytest.raises(PayloadError):
        batch_from_json(line)


def ids(spool: Spool) -> list[str]:
    batches = [spool.load(file) for file in spool.files]
    return [one.entry_id for told in batches if told for one in told.mentions]


@pytest.fixture
def spool(tmp_path: Path):
    spool = Spool(tmp_path / "spool", MB)
    yield spool
    spool.close()


def test_batches_come_back_oldest_first(spool: Spool) -> None:
    for number in (3, 1, 2):
        spool.keep(batch(mention(number), reject=[rejected(9)]))
    assert ids(spool) == [mention(number).entry_id for number in (3, 1, 2)]
    assert spool.rows == 6
    spool.remove(spool.files[:1])
    assert (len(spool.files), spool.rows) == (2, 4)


def test_nothing_is_made_before_it_is_needed(spool: Spool) -> None:
    assert spool.adopt() == 0
    spool.check()
    assert not spool.folder.exists()


def test_the_bound_holds_for_all_processes_together(spool: Spool) -> None:
    spool.keep(batch(mention(1)))
    size = spool.files[0].path.stat().st_size
    other = Spool(spool.folder, 2 * size - 1)
    with pytest.raises(SpoolFullError):
        other.keep(batch(mention(2)))
    other.keep(batch(mention(2)), beyond=True)
    other.close()


def test_a_living_process_keeps_its_files_and_a_dead_one_loses_them(spool: Spool) -> None:
    spool.keep(batch(mention(1)))
    heir = Spool(spool.folder, MB)
    assert heir.adopt() == 0
    spool.close()
    assert heir.adopt() == 1
    assert ids(heir) == [mention(1).entry_id]
    third = Spool(spool.folder, MB)
    assert third.adopt() == 0
    heir.remove(heir.files)
    assert list(spool.folder.iterdir()) == []
    heir.close()


def test_a_file_whose_lock_is_gone_is_adopted(spool: Spool) -> None:
    spool.keep(batch(mention(1)))
    spool.close()
    for lock in spool.folder.glob("*.lock"):
        lock.unlink()
    heir = Spool(spool.folder, MB)
    assert heir.adopt() == 1
    heir.close()


def test_an_unfinished_file_of_a_dead_process_is_swept_away(spool: Spool) -> None:
    spool.keep(batch(mention(1)))
    whole = spool.files[0].path
    part = whole.with_name(f".{whole.name}.part")
    part.write_bytes(whole.read_bytes()[:100])
    whole.unlink()
    spool.close()
    heir = Spool(spool.folder, MB)
    assert heir.adopt() == 0
    assert not part.exists()
    heir.close()


def test_a_disk_that_refuses_leaves_nothing_half(tmp_path: Path) -> None:
    """A bound on the size of files is a real refusal of write(2)."""
    code = (
        "import resource, signal, sys; from storage_cases import batch, mention\n"
        "from pathlib import Path; from tgecrawler.storage.spool import Spool\n"
        "from tgecrawler.errors import SpoolError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "spool = Spool(Path(sys.argv[1]), 1_000_000)\n"
        "spool.keep(batch(mention(1)))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))\n"
        "try: spool.keep(batch(*map(mention, range(50))))\n"
        "except SpoolError as error: print(error)\n"
        "spool.keep(batch(mention(2)))\n"
    )
    done = run(code, tmp_path / "spool")
    assert done.stdout.strip().endswith("cannot be used (File too large)"), done.stderr
    heir = Spool(tmp_path / "spool", MB)
    assert heir.adopt() == 2
    assert ids(heir) == [mention(1).entry_id, mention(2).entry_id]
    assert [path for path in heir.folder.iterdir() if path.name.endswith(".part")] == []
    heir.close()


KEEP_FOR_EVER = (
    "import sys; from storage_cases import batch, mention\n"
    "from pathlib import Path; from tgecrawler.storage.spool import Spool\n"
    "spool = Spool(Path(sys.argv[1]), 10**9)\n"
    "for n in range(10**6):\n"
    "    spool.keep(batch(mention(n, text='x' * 50_000)))\n"
    "    print(n, flush=True)\n"
)


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.slow
def test_a_killed_process_has_kept_all_that_it_said(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for repetition in range(5):
        folder = tmp_path / str(repetition)
        command = [sys.executable, "-c", KEEP_FOR_EVER, str(folder)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
            for _ in range(1 + 7 * repetition):
                child.stdout.readline()
            child.send_signal(signal.SIGKILL)
            child.stdout.read()
        heir = Spool(folder, MB)
        found = heir.adopt()
        assert ids(heir) == [mention(number).entry_id for number in range(found)]
        assert found >= 1 + 7 * repetition
        heir.close()


def test_a_folder_that_cannot_be_made_is_said_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="is not writable"):
        Spool(tmp_path / "file" / "spool", MB).check()


def test_each_database_has_a_folder_of_its_own() -> None:
    assert spool_folder("sqlite:///var/tge.db") == Path("var/tge.db.spool")
    elsewhere = {spool_folder(f"sqlite:////{place}/a.db", "/spool") for place in ("one", "two")}
    assert len(elsewhere) == 2
    assert all(folder.parent == Path("/spool") for folder in elsewhere)
    urls = [
        "postgresql://tge:secret@db.example/tge",
        "postgresql://tge@db.example/other",
        "postgresql://tge@db.example:5433/tge",
        "postgresql:///tge?host=/run/one",
        "postgresql:///tge?host=/run/two",
    ]
    folders = {spool_folder(url) for url in urls}
    assert len(folders) == len(urls)
    assert not any("secret" in str(folder) for folder in folders)
    assert spool_folder(urls[0]) == spool_folder("postgresql+psycopg2://root@db.example:5432/tge")
    assert spool_folder(urls[0]).parent == Path("var/spool")
