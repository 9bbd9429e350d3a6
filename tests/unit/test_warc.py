"""Responses come back from an archive as they went in, also from a damaged one."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from tgecrawler.archive.records import LONGEST_HEAD, Scan
from tgecrawler.archive.warc import (
    ArchivedResponse,
    BodyTooLargeError,
    WarcIndex,
    WarcWriter,
    archive_path,
)
from tgecrawler.errors import ReplayError

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("TGE_SHARED_DATA", ROOT.parent / "shared" / "data"))
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def page(path: str = "/a", body: bytes = b"text", **changes: Any) -> ArchivedResponse:
    given: dict[str, Any] = {
        "url": f"https://desk.example{path}",
        "status": 200,
        "headers": (("Content-Type", "text/html"),),
        "body": body,
        "fetched_at": NOON,
    }
    return ArchivedResponse(**(given | changes))


def write(path: Path, *pages: ArchivedResponse, deterministic: bool = False) -> Path:
    with WarcWriter(path, deterministic=deterministic) as writer:
        for one in pages:
            writer.write(one)
    return path


def raw_record(http: bytes, *, kind: str = "response", gz: bool = True, **headers: str) -> bytes:
    """Return a record put together by hand; a header set to "" is left out."""
    given = {
        "WARC-Type": kind,
        "WARC-Target-URI": "https://desk.example/raw",
        "WARC-Date": "2026-11-24T12:00:00Z",
        "Content-Length": str(len(http)),
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [b"WARC/1.0", *(f"{name}: {value}".encode() for name, value in given.items() if value)]
    record = b"\r\n".join([*lines, b"", http]) + b"\r\n\r\n"
    return gzip.compress(record) if gz else record


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    pages = [
        page("/gzip", gzip.compress(b"<p>text"), headers=(("Content-Encoding", "gzip"),)),
        page("/empty", b""),
        page("/binary", bytes(range(256)) * 300),
        page("/moved", b"", status=301, headers=(("Location", "https://desk.example/gzip"),)),
        page("/gone", b"not here", status=404),
        page("/odd", b"?", status=999),
        page("/cookies", headers=(("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/"))),
        page("/bytes", headers=(("X-Latin", "caf\xe9"), ("Location", "/caf\xc3\xa9: 50%"))),
        page("/none", headers=()),
        page("/late", fetched_at=NOON + timedelta(microseconds=5)),
        page("/?q=1&r=%2f"),
    ]
    index = WarcIndex.open(write(tmp_path / "a.warc.gz", *pages))
    assert [index.get(one.url) for one in pages] == pages
    assert len(index) == len(pages)
    assert index.warnings == ()
    assert index.newest_at == NOON + timedelta(microseconds=5)
    assert index.get("https://desk.example/missing") is None


@settings(deadline=None, max_examples=50)
@given(
    body=st.binary(max_size=300),
    headers=st.lists(
        st.tuples(
            st.text("abcXYZ-", min_size=1, max_size=9).filter(lambda name: name.strip("-") == name),
            st.text(
                st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x85\xa0")
            ),
        ),
        max_size=4,
    ),
    status=st.integers(100, 999),
)
def test_any_response_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    body: bytes,
    headers: list[tuple[str, str]],
    status: int,
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.warc.gz"
    one = page(body=body, headers=tuple(headers), status=status)
    assert WarcIndex.open(write(path, one)).get(one.url) == one


def test_others_can_read_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.warc.gz", page(body=b"one"), page("/b", b"two"))
    with path.open("rb") as file:
        read = [
            (record.rec_type, record.content_stream().read())
            for record in ArchiveIterator(file, check_digests="raise")
        ]
    assert [kind for kind, _ in read] == ["warcinfo", "response", "response"]
    assert b"tgecrawler/" in read[0][1]
    assert [body for _, body in read[1:]] == [b"one", b"two"]


def test_a_transfer_encoding_that_was_undone_is_not_written(tmp_path: Path) -> None:
    chunks = (("Transfer-Encoding", "chunked"), ("X-Kept", "1"))
    index = WarcIndex.open(write(tmp_path / "a.warc.gz", page(headers=chunks)))
    assert index.get(page().url) == page(headers=(("X-Kept", "1"),))


def test_nothing_breaks_out_of_its_line(tmp_path: Path) -> None:
    sly = page(
        "/a\r\nWARC-Type: metadata", headers=(("X", "1\r\nSet-Cookie: a=b\r\n\r\n<p>"), ("€", "€"))
    )
    index = WarcIndex.open(write(tmp_path / "a.warc.gz", sly))
    found = index.get("https://desk.example/a%0D%0AWARC-Type:%20metadata")
    assert found is not None
    assert found.headers == (("X", "1 Set-Cookie: a=b <p>"), ("\xe2\x82\xac", "\xe2\x82\xac"))
    assert found.body == sly.body


def test_the_same_responses_make_the_same_file(tmp_path: Path) -> None:
    pages = [page("/a"), page("/b", b"x" * 5000), page("/a", fetched_at=NOON + timedelta(1))]
    first, second = (
        write(tmp_path / name, *pages, deterministic=True) for name in ("1.warc.gz", "2.warc.gz")
    )
    assert first.read_bytes() == second.read_bytes()
    with first.open("rb") as file:
        ids = [record.rec_headers["WARC-Record-ID"] for record in ArchiveIterator(file)]
    assert len(set(ids)) == 4


def test_an_archive_is_never_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "a.warc.gz", page())
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        WarcWriter(path)
    assert path.read_bytes() == before


def test_nothing_written_leaves_no_file(tmp_path: Path) -> None:
    writer = WarcWriter(tmp_path / "a.warc.gz")
    writer.close()
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_its_own_for_every_run(tmp_path: Path) -> None:
    at = datetime(2026, 11, 24, 16, 15, tzinfo=timezone(timedelta(hours=1)))
    first = archive_path(tmp_path, "rss", at)
    assert first.name == f"tgecrawler-rss-20261124T151500Z-{os.getpid()}.warc.gz"
    first.touch()
    assert archive_path(tmp_path, "rss", at).name.endswith(f"-{os.getpid()}-2.warc.gz")
    assert archive_path(tmp_path, "../a b", at).parent == tmp_path


def test_a_full_disk_leaves_whole_records(tmp_path: Path) -> None:
    script = """
import random, resource, signal, sys
from pathlib import Path
sys.path.insert(0, "tests/unit")
from test_warc import page
from tgecrawler.archive.warc import WarcIndex, WarcWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
path = Path(sys.argv[1])
noise = random.Random(1).randbytes(5000)
with WarcWriter(path) as writer:
    writer.write(page("/a"))
    size = path.stat().st_size
    try:
        writer.write(page("/big", noise))
    except OSError:
        assert path.stat().st_size == size
        writer.write(page("/b"))
index = WarcIndex.open(path)
print(len(index), index.warnings)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.warc.gz")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("2 ()\n", "")


def test_what_was_written_survives_kill_9(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
sys.path.insert(0, "tests/unit")
from test_warc import page
from tgecrawler.archive.warc import WarcWriter
writer = WarcWriter(Path(sys.argv[1]))
for n in range(10**9):
    writer.write(page(f"/{n}", b"%d" % n * 500))
    print(n, flush=True)
"""
    path = tmp_path / "a.warc.gz"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writing:
        assert writing.stdout is not None
        for line in writing.stdout:
            if line == "40\n":
                break
        writing.send_signal(signal.SIGKILL)
        last = int(([line, *writing.stdout.read().split("\n")[:-1]])[-1])
    index = WarcIndex.open(path)
    assert len(index) >= last + 1
    for n in range(last + 1):
        found = index.get(page(f"/{n}").url)
        assert found is not None
        assert found.body == b"%d" % n * 500


class TestAddresses:
    @pytest.mark.parametrize(
        ("archived", "asked"),
        [
            ("https://desk.example/a", "https://desk.example/a#part"),
            ("https://desk.example/a#part", "https://desk.example/a"),
            ("https://desk.example", "https://desk.example/"),
            ("https://desk.example/", "https://desk.example"),
            ("https://desk.example:443/a", "https://desk.example/a"),
            ("http://desk.example/a", "http://desk.example:80/a"),
            ("https://desk.example/%c3%a9", "https://desk.example/%C3%A9"),
            ("https://desk.example/é?q=ü", "https://desk.example/%C3%A9?q=%C3%BC"),
            ("https://desk.example/a b|c", "https://desk.example/a%20b%7Cc"),
            ("https://Desk.Example/A", "https://desk.example/A"),
            ("<https://desk.example/a>", "https://desk.example/a"),
        ],
    )
    def test_spellings_of_one_address(self, tmp_path: Path, archived: str, asked: str) -> None:
        record = raw_record(OK, **{"WARC-Target-URI": archived})
        (tmp_path / "a.warc.gz").write_bytes(record)
        found = WarcIndex.open(tmp_path / "a.warc.gz").get(asked)
        assert found is not None
        assert found.body == b"hello"

    @pytest.mark.parametrize("asked", ["http://desk.example/a", "https://desk.example/A", "x:", ""])
    def test_other_addresses(self, tmp_path: Path, asked: str) -> None:
        assert WarcIndex.open(write(tmp_path / "a.warc.gz", page())).get(asked) is None

    def test_the_exact_spelling_comes_first(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.warc.gz", page("/%c3", b"lower"), page("/%C3", b"upper"))
        index = WarcIndex.open(path)
        for spelling, body in (("%c3", b"lower"), ("%C3", b"upper")):
            found = index.get(page(f"/{spelling}").url)
            assert found is not None
            assert found.body == body

    def test_the_newest_capture_counts(self, tmp_path: Path) -> None:
        newer = page(body=b"newer", fetched_at=NOON + timedelta(hours=1))
        write(tmp_path / "1.warc.gz", newer)
        write(tmp_path / "2.warc.gz", page(body=b"older"), page("/b"))
        (tmp_path / "notes.txt").write_text("not for replay")
        index = WarcIndex.open(tmp_path)
        assert index.get(newer.url) == newer
        assert len(index) == 2

    def test_not_modified_is_no_page(self, tmp_path: Path) -> None:
        later = page(status=304, body=b"", fetched_at=NOON + timedelta(hours=1))
        index = WarcIndex.open(write(tmp_path / "a.warc.gz", page(), later))
        assert index.get(later.url) == page()

    def test_a_revisit_is_the_page_again(self, tmp_path: Path) -> None:
        again = raw_record(
            b"",
            kind="revisit",
            WARC_Target_URI="https://desk.example/mirror",
            WARC_Refers_To_Target_URI="https://desk.example/raw",
            WARC_Date="2026-11-25T12:00:00Z",
        )
        (tmp_path / "a.warc.gz").write_bytes(raw_record(OK) + again)
        found = WarcIndex.open(tmp_path / "a.warc.gz").get("https://desk.example/mirror")
        assert found is not None
        assert (found.body, found.fetched_at) == (b"hello", NOON + timedelta(1))


class TestForeignFiles:
    def test_plain_files_and_other_kinds(self, tmp_path: Path) -> None:
        kinds = ("warcinfo", "request", "metadata", "resource")
        others = [raw_record(b"GET / HTTP/1.1\r\n\r\n", kind=kind, gz=False) for kind in kinds]
        second = raw_record(OK, gz=False, WARC_Target_URI="https://desk.example/2")
        path = tmp_path / "a.warc"
        path.write_bytes(b"".join([*others, raw_record(OK, gz=False), second]))
        index = WarcIndex.open(path)
        assert (len(index), index.warnings) == (2, ())
        found = index.get("https://desk.example/2")
        assert found is not None
        assert found.body == b"hello"

    def test_a_file_packed_as_a_whole(self, tmp_path: Path) -> None:
        urls = [f"https://desk.example/{n}" for n in range(5)]
        records = [raw_record(OK, gz=False, WARC_Target_URI=url) for url in urls]
        path = tmp_path / "a.warc.gz"
        path.write_bytes(gzip.compress(b"".join(records)))
        index = WarcIndex.open(path)
        assert all(index.get(url) for url in urls)
        assert "warcio recompress" in index.warnings[0]

    @pytest.mark.parametrize(
        ("content", "body"),
        [
            (b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", b"hello world"),
            (b"5\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n", b"hello"),
            (b"<p>put together already</p>", b"<p>put together already</p>"),
            (b"5\r\nhel", b"hel"),
            (b"5\r\nhello\r\nrubbish", b"hello"),
            (b"", b""),
            (b"0\r\n\r\n", b""),
            (b"-5\r\nhello", b"-5\r\nhello"),
        ],
    )
    def test_bodies_in_chunks(self, tmp_path: Path, content: bytes, body: bytes) -> None:
        http = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + content
        (tmp_path / "a.warc.gz").write_bytes(raw_record(http))
        found = WarcIndex.open(tmp_path / "a.warc.gz").get("https://desk.example/raw")
        assert found is not None
        assert found.body == body

    @pytest.mark.parametrize(
        "broken",
        [
            raw_record(b"<html>HTTP/0.9 has no head</html>"),
            raw_record(b""),
            raw_record(b"HTTP/1.1 abc\r\n\r\n"),
            raw_record(b"HTTP/1.1 20\r\n\r\n"),
            raw_record(b"HTTP/1.1 200 OK\r\nX: " + b"x" * LONGEST_HEAD + b"\r\n\r\n"),
            raw_record(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (LONGEST_HEAD // 6) + b"\r\n"),
            raw_record(OK, WARC_Date="yesterday"),
            raw_record(OK, WARC_Date=""),
            raw_record(OK, WARC_Target_URI=""),
        ],
    )
    def test_a_broken_response_is_left_out_and_counted(self, tmp_path: Path, broken: bytes) -> None:
        good = raw_record(OK, WARC_Target_URI="https://desk.example/good")
        path = tmp_path / "a.warc.gz"
        path.write_bytes(broken + good)
        index = WarcIndex.open(path)
        assert len(index) == 1
        assert index.warnings == (
            "a.warc.gz: 1 responses without address, date or HTTP head are left out",
        )

    def test_a_moment_without_zone_is_utc(self, tmp_path: Path) -> None:
        (tmp_path / "a.warc.gz").write_bytes(raw_record(OK, WARC_Date="2026-11-24T12:00:00"))
        assert WarcIndex.open(tmp_path / "a.warc.gz").newest_at == NOON


class TestDamage:
    @pytest.fixture(params=[9, 0])
    def members(self, request: pytest.FixtureRequest) -> list[bytes]:
        # packed bodies; at level 0 their own gzip mark must not pass for the next record's
        bodies = [gzip.compress(os.urandom(200) * 20) for _ in range(6)]
        members = []
        for n, body in enumerate(bodies):
            http = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + body
            record = raw_record(http, gz=False, WARC_Target_URI=f"https://desk.example/{n}")
            members.append(gzip.compress(record, request.param))
        return members

    def index(self, tmp_path: Path, content: bytes) -> WarcIndex:
        path = tmp_path / "x.warc.gz"
        path.write_bytes(content)
        return WarcIndex.open(path)

    @pytest.mark.parametrize("gone", [1, 8, 9, 100, 300])
    def test_cut(self, tmp_path: Path, members: list[bytes], gone: int) -> None:
        index = self.index(tmp_path, b"".join(members)[:-gone])
        assert len(index) == 5
        assert index.warnings == ("x.warc.gz is cut after 5 responses; those are replayed",)
        assert all(index.get(f"https://desk.example/{n}") for n in range(5))

    def test_cut_between_records_is_whole(self, tmp_path: Path, members: list[bytes]) -> None:
        index = self.index(tmp_path, b"".join(members[:4]))
        assert (len(index), index.warnings) == (4, ())

    @pytest.mark.parametrize("at", [0, 3, 15, 60, 200, -20, -5])
    def test_a_damaged_member_costs_no_other(
        self, tmp_path: Path, members: list[bytes], at: int
    ) -> None:
        broken = bytearray(members[2])
        broken[at] ^= 0xFF
        index = self.index(tmp_path, b"".join([*members[:2], broken, *members[3:]]))
        assert index.warnings == (
            "x.warc.gz is damaged (1 times); its 5 whole responses are replayed",
        )
        for n in (0, 1, 3, 4, 5):
            assert index.get(f"https://desk.example/{n}") is not None

    def test_a_torn_record_in_the_middle(self, tmp_path: Path, members: list[bytes]) -> None:
        content = b"".join([*members[:2], members[2][:90], *members[3:]])
        index = self.index(tmp_path, content)
        assert len(index) == 5
        assert "damaged (1 times)" in index.warnings[0]

    @pytest.mark.parametrize("length", ["", "-5", "9" * 30, "5e3", "٣"])
    def test_a_record_without_its_length(
        self, tmp_path: Path, members: list[bytes], length: str
    ) -> None:
        broken = raw_record(OK, Content_Length=length)
        index = self.index(tmp_path, b"".join([members[0], broken, members[1]]))
        assert len(index) == 2
        assert "damaged" in index.warnings[0]

    def test_rubbish_behind(self, tmp_path: Path, members: list[bytes]) -> None:
        index = self.index(tmp_path, members[0] + b"\0" * 10_000)
        assert len(index) == 1
        assert "damaged" in index.warnings[0]

    def test_a_plain_file(self, tmp_path: Path) -> None:
        urls = [f"https://desk.example/{n}" for n in range(4)]
        records = [raw_record(OK, gz=False, WARC_Target_URI=url) for url in urls]
        records[1] = records[1].replace(b"WARC/1.0", b"WORK/1.0")
        index = self.index(tmp_path, b"".join(records))
        assert [index.get(url) is not None for url in urls] == [True, False, True, True]
        assert "damaged (1 times)" in index.warnings[0]
        index = self.index(tmp_path, b"".join(records)[:-10])
        assert [index.get(url) is not None for url in urls] == [True, False, True, False]
        assert any("is cut after 2 responses" in warning for warning in index.warnings)

    @settings(deadline=None, max_examples=150)
    @given(data=st.data())
    def test_any_damage_is_borne(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        gz = data.draw(st.booleans())
        content = bytearray(
            b"".join(
                raw_record(OK, gz=gz, WARC_Target_URI=f"https://desk.example/{n}") for n in range(3)
            )
        )
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(content) - 1))
            content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        path = tmp_path_factory.mktemp("any") / "a.warc.gz"
        path.write_bytes(content)
        try:
            index = WarcIndex.open(path)
        except ReplayError:
            return
        for n in range(3):
            index.get(f"https://desk.example/{n}")

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"no archive at all",
            gzip.compress(b"no archive at all", mtime=0),
            raw_record(OK)[:-12],
            raw_record(b"x", kind="metadata"),
            os.urandom(3000),
            b"\x1f\x8b\x08",
            b"WARC/1.0\r\n",
            b"filedesc://a.arc 0.0.0.0 20261124120000 text/plain 5\n1 0 A\nhello\n",
        ],
    )
    def test_no_whole_response(self, tmp_path: Path, content: bytes) -> None:
        with pytest.raises(ReplayError) as caught:
            self.index(tmp_path, content)
        assert "x.warc.gz" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_no_archive(self, tmp_path: Path) -> None:
        with pytest.raises(ReplayError, match="there is no archive"):
            WarcIndex.open(tmp_path / "none.warc")
        with pytest.raises(ReplayError, match=r"holds no \.warc"):
            WarcIndex.open(tmp_path)

    def test_one_unreadable_file_of_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.warc").mkdir()
        (tmp_path / "b.warc").write_bytes(b"rubbish")
        write(tmp_path / "c.warc.gz", page())
        index = WarcIndex.open(tmp_path)
        assert len(index) == 1
        assert [warning.split()[0] for warning in index.warnings] == ["a.warc", "b.warc"]

    def test_a_file_that_changes_underneath(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.warc.gz", page())
        index = WarcIndex.open(path)
        path.write_bytes(b"something else")
        with pytest.raises(ReplayError, match="has changed"):
            index.get(page().url)
        path.unlink()
        with pytest.raises(ReplayError, match="has changed"):
            index.get(page().url)


class TestBounds:
    def test_a_large_record_stays_on_disk(self, tmp_path: Path) -> None:
        url = "https://desk.example/large"
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        size, block = 60 << 20, b"text " * (1 << 16)
        http = b"HTTP/1.1 200 OK\r\n\r\n"
        parts = [
            b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Date: 2026-11-24T12:00:00Z\r\n"
            b"WARC-Target-URI: %s\r\nContent-Length: %d\r\n\r\n" % (url.encode(), size + len(http)),
            http,
        ]
        with (tmp_path / "a.warc.gz").open("wb") as file:
            for part in parts:
                file.write(packer.compress(part))
            for _ in range(size // len(block)):
                file.write(packer.compress(block))
            file.write(packer.compress(b" " * (size % len(block)) + b"\r\n\r\n") + packer.flush())
        tracemalloc.start()
        try:
            index = WarcIndex.open(tmp_path / "a.warc.gz")
            with pytest.raises(BodyTooLargeError) as caught:
                index.get(url, max_bytes=1 << 20)
            head = index.get(url, with_body=False)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert caught.value.size == size
        assert head is not None
        assert head.body == b""
        assert peak < 4 << 20
        found = index.get(url, max_bytes=size)
        assert found is not None
        assert len(found.body) == size

    def test_one_large_chunk(self, tmp_path: Path) -> None:
        data = b"x" * (20 << 20)
        http = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(data)
        (tmp_path / "a.warc.gz").write_bytes(raw_record(http + data + b"\r\n0\r\n\r\n"))
        index = WarcIndex.open(tmp_path / "a.warc.gz")
        tracemalloc.start()
        try:
            with pytest.raises(BodyTooLargeError):
                index.get("https://desk.example/raw", max_bytes=1 << 20)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4 << 20

    @pytest.mark.parametrize("gz", [True, False])
    def test_a_line_without_end(self, tmp_path: Path, gz: bool) -> None:
        endless = b"WARC/1.0\r\nWARC-Type: " + b"x" * (10 << 20)
        path = tmp_path / "a.warc"
        path.write_bytes(gzip.compress(endless) if gz else endless)
        tracemalloc.start()
        try:
            assert list(Scan(path)) == []
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4 << 20

    def test_reading_from_many_threads(self, tmp_path: Path) -> None:
        pages = [page(f"/{n}", b"%d" % n * 1000) for n in range(40)]
        index = WarcIndex.open(write(tmp_path / "a.warc.gz", *pages))
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(index.get, [one.url for one in pages * 3])) == pages * 3


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.warc.gz").write_bytes(raw_record(OK) + raw_record(OK)[:-30])
    WarcIndex.open(tmp_path / "a.warc.gz")
    assert capfd.readouterr() == ("", "")


def test_real_pages() -> None:
    archive = SHARED / "dev.warc.gz"
    if not archive.exists():
        pytest.skip(f"the captured pages are not here: {archive}")
    index = WarcIndex.open(archive)
    assert (len(index), index.warnings) == (251, ())
    with archive.open("rb") as file:
        for record in ArchiveIterator(file):
            found = index.get(record.rec_headers["WARC-Target-URI"])
            assert found is not None
            assert found.body == record.raw_stream.read()
