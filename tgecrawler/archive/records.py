"""The records of a WARC file, one by one: gzip members or plain text, whole or damaged.

What is in a file is not trusted: heads are bounded, bodies are streamed, and a
damaged stretch is passed over to the next record that can be read.
"""

from __future__ import annotations

import io
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from warcio.limitreader import LimitReader
from warcio.statusandheaders import StatusAndHeadersParser, StatusAndHeadersParserException

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 1 << 16  # bytes read at a time
LONGEST_HEAD = 1 << 18  # bytes of one head; Scrapy takes a tenth of it from a live server
_GZIP = b"\x1f\x8b\x08"
_GZIP_MEMBER = 16 + zlib.MAX_WBITS
_VERSIONS = ["WARC/1.1", "WARC/1.0", "WARC/0.18", "WARC/0.17"]


class DamagedError(Exception):
    """Bytes that are no record."""


class CutError(DamagedError):
    """The file ends within a record."""


class _LongHeadError(DamagedError):
    """A head of more than LONGEST_HEAD bytes."""


class _HttpHeadParser(StatusAndHeadersParser):  # type: ignore[misc]  # warcio has no types
    """Keeps bytes as they are: one character for each."""

    @staticmethod
    def decode_header(line: bytes) -> str:
        return line.decode("latin-1")


_WARC_HEAD = StatusAndHeadersParser(_VERSIONS)
_HTTP_HEAD = _HttpHeadParser([], verify=False)


class Record(NamedTuple):
    """A record's heads; `http` is None where it holds no HTTP response.

    `offset` is where its gzip member (or, in a plain file, the record itself)
    begins in the file, `skip` how many unpacked bytes come before it there.
    """

    offset: int
    skip: int
    warc: Any
    http: Any


class Scan:
    """One pass over a file: iterating yields its whole records.

    Afterwards `damaged` counts the stretches that were passed over, `cut` says
    that the file ends within a record, and `lumped` that records share a gzip
    member, so that reading one means unpacking those before it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        self.cut = False
        self.lumped = False
        self._reached = 0  # no record begins before it that was not yielded

    def __iter__(self) -> Iterator[Record]:
        with self.path.open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
            step = self._member if packed else self._plain
            seek = _next_member if packed else _next_plain
            offset: int | None = 0
            while offset is not None:
                try:
                    yield from step(file, offset)
                    offset = None if _at_end(file) else file.tell()
                except DamagedError as error:
                    offset = seek(file, self._reached + 1)
                    if offset is None and isinstance(error, CutError):
                        self.cut = True
                    else:
                        self.damaged += 1

    def _member(self, file: BinaryIO, offset: int) -> Iterator[Record]:
        """Yield the records of one gzip member; leaves `file` at its end."""
        self._reached = offset
        member = _Member(file, offset)
        stream = io.BufferedReader(member, CHUNK)
        for count, (skip, warc, http) in enumerate(_records(stream)):
            self.lumped |= count > 0
            yield Record(offset, skip, warc, http)
        file.seek(member.end)

    def _plain(self, file: BinaryIO, offset: int) -> Iterator[Record]:
        """Yield the records of a plain file from `offset` on."""
        self._reached = offset
        file.seek(offset)
        for start, warc, http in _records(file):
            yield Record(start, 0, warc, http)
            self._reached = file.tell() - 1


@contextmanager
def open_record(path: Path, offset: int, skip: int) -> Iterator[tuple[Any, Any]]:
    """Give the HTTP head of the record at a place, and the stream of what follows it.

    Raises:
        DamagedError: there is no HTTP response at that place.
    """
    with path.open("rb") as file:
        file.seek(offset)
        packed = file.read(len(_GZIP)) == _GZIP
        file.seek(offset)
        stream = io.BufferedReader(_Member(file, offset), CHUNK) if packed else file
        _skip(LimitReader(stream, skip))
        _, content = _open(stream, stream.readline(CHUNK))
        http = _http_head(content)
        if http is None:
            raise DamagedError("no HTTP response")
        yield http, content


class _Member(io.RawIOBase):
    """One gzip member, unpacked as it is read; ends where the member ends."""

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self._file = file
        self._file.seek(offset)
        self._unpacker = zlib.decompressobj(_GZIP_MEMBER)
        self._given = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._given

    @property
    def end(self) -> int:
        """Where the next member begins in the file, once this one is read."""
        return self._file.tell() - len(self._unpacker.unused_data)

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data and not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail or self._file.read(CHUNK)
            try:
                data = self._unpacker.decompress(packed, len(buffer))
            except zlib.error as error:
                raise DamagedError(str(error)) from None
            if not packed and not data and not self._unpacker.eof:
                raise CutError("the file ends within a gzip member")
        buffer[: len(data)] = data
        self._given += len(data)
        return len(data)


class _Lines:
    """Lines of a head, no more than LONGEST_HEAD bytes of them."""

    def __init__(self, stream: Any, *, ends_blank: bool) -> None:
        self._stream = stream
        self._ends_blank = ends_blank
        self._left = LONGEST_HEAD

    def readline(self) -> bytes:
        line: bytes = self._stream.readline(self._left)
        self._left -= len(line)
        if self._left <= 0:
            raise _LongHeadError
        if self._ends_blank and not line:
            raise CutError("the file ends within a head")
        return line


def _records(stream: Any) -> Iterator[tuple[int, Any, Any]]:
    """Yield position and heads of each record, once it was read to its end."""
    line = _first_line(stream)
    while line:
        start = stream.tell() - len(line)
        warc, content = _open(stream, line)
        http = _http_head(content) if warc.get_header("WARC-Type") == "response" else None
        _skip(content)
        line = _first_line(stream)  # at the end of a gzip member its checksum is compared
        yield start, warc, http


def _first_line(stream: Any) -> bytes:
    """Return the next line that is not blank, b"" at the end."""
    while line := stream.readline(CHUNK):
        if line.strip():
            return bytes(line)
    return b""


def _open(stream: Any, first_line: bytes) -> tuple[Any, Any]:
    """Return the head of a record and the stream of its content."""
    try:
        warc = _WARC_HEAD.parse(_Lines(stream, ends_blank=True), first_line)
    except (StatusAndHeadersParserException, EOFError):
        raise DamagedError("no WARC record") from None
    length = warc.get_header("Content-Length") or ""
    if not (length.isascii() and length.isdigit() and len(length) < 19):
        raise DamagedError("a record without its length")
    return warc, LimitReader(stream, int(length))


def _http_head(content: Any) -> Any:
    """Return the HTTP head at the start of a content, None where there is none."""
    try:
        head = _HTTP_HEAD.parse(_Lines(content, ends_blank=False))
    except (_LongHeadError, EOFError):
        return None
    status = head.get_statuscode()
    whole = head.protocol.upper().startswith("HTTP/") and len(status) == 3 and status[0] != "0"
    return head if whole and status.isascii() and status.isdigit() else None


def _skip(content: Any) -> None:
    while content.read(CHUNK):
        pass
    if content.limit > 0:
        raise CutError("the file ends within a record")


def _at_end(file: BinaryIO) -> bool:
    here = file.tell()
    ended = not file.read(1)
    file.seek(here)
    return ended


def _next_member(file: BinaryIO, offset: int) -> int | None:
    """Return where the next gzip member that begins a record is, at or after `offset`."""
    for found in _find(file, _GZIP, offset):
        file.seek(found)
        try:
            start = zlib.decompressobj(_GZIP_MEMBER).decompress(file.read(1024), 5)
        except zlib.error:
            continue
        if start == b"WARC/":  # an archived body may well hold gzip of its own
            return found
    return None


def _next_plain(file: BinaryIO, offset: int) -> int | None:
    """Return where the next line is that looks like a record's first."""
    found = next(_find(file, b"\nWARC/", offset - 1), None)
    return None if found is None else found + 1


def _find(file: BinaryIO, what: bytes, offset: int) -> Iterator[int]:
    """Yield each place of `what` in a file from `offset` on."""
    kept = b""
    file.seek(offset)
    while block := file.read(CHUNK):
        after = file.tell()
        text = kept + block
        at = text.find(what)
        while at >= 0:
            yield after - len(text) + at
            at = text.find(what, at + 1)
        kept = text[-(len(what) - 1) :]
        file.seek(after)  # whoever takes a place may have read there
