"""Web archives (WARC): responses written one by one, and found again by address."""

from __future__ import annotations

import hashlib
import io
import os
import zlib
from contextlib import redirect_stderr
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self
from uuid import UUID

from warcio.archiveiterator import ArchiveIterator
from warcio.bufferedreaders import ChunkedDataReader
from warcio.exceptions import ArchiveLoadFailed
from warcio.statusandheaders import StatusAndHeaders, StatusAndHeadersParserException
from warcio.warcwriter import WARCWriter

from tgecrawler import __version__
from tgecrawler.domain.urls import resolve_url
from tgecrawler.errors import ReplayError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIXES = (".warc", ".warc.gz")
_CHUNK = 1 << 16  # bytes
_BROKEN = (
    ArchiveLoadFailed,
    StatusAndHeadersParserException,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    AttributeError,  # warcio, on a record without its headers
)


class BodyTooLargeError(Exception):
    """A body above the caller's limit; `size` is at least its size in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"a body of {size:,} bytes or more")
        self.size = size


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedResponse:
    """A response as it crossed the wire: `body` keeps its content encoding."""

    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    fetched_at: datetime


def archive_path(folder: Path, spider: str, started_at: datetime) -> Path:
    """Return a file name of its own for one run of one process."""
    stamp = f"{started_at.astimezone(UTC):%Y%m%dT%H%M%S%fZ}"
    return folder / f"tgecrawler-{spider}-{stamp}-{os.getpid()}.warc.gz"


class WarcWriter:
    """Writes responses to a new file, each as a gzip member of its own.

    A record is handed to the system whole and at once: what was written
    survives the end of the process, and a torn last record costs nobody else.

    Args:
        deterministic: ids come from the content, so that the same responses
            make the same file, byte for byte.

    Raises:
        FileExistsError: there is such a file; an archive is never overwritten.
    """

    def __init__(self, path: Path, *, deterministic: bool = False) -> None:
        self._file: BinaryIO = path.open("xb", buffering=0)
        self._deterministic = deterministic
        self._begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, response: ArchivedResponse) -> int:
        """Write one response; return how many bytes the file grew by."""
        if not self._begun:
            self._begun = True
            self._append("warcinfo", response, b"")
        return self._append("response", response, response.body)

    def close(self) -> None:
        """Close the file; more than once is harmless."""
        self._file.close()

    def _append(self, kind: str, response: ArchivedResponse, body: bytes) -> int:
        member = io.BytesIO()
        writer = WARCWriter(member, gzip=True)
        headers = {"WARC-Date": f"{response.fetched_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        if self._deterministic:
            headers["WARC-Record-ID"] = f"<urn:uuid:{_content_id(kind, response)}>"
        if kind == "warcinfo":
            about = f"software: tgecrawler/{__version__}\r\nformat: WARC File Format 1.0\r\n"
            record = writer.create_warc_record(
                None, kind, payload=io.BytesIO(about.encode()), warc_headers_dict=headers
            )
        else:
            line = StatusAndHeaders(
                f"{response.status} {_reason(response.status)}",
                list(response.headers),
                protocol="HTTP/1.1",
            )
            record = writer.create_warc_record(
                response.url,
                kind,
                payload=io.BytesIO(body),
                http_headers=line,
                warc_headers_dict=headers,
            )
        writer.write_record(record)
        content = member.getvalue()
        self._file.write(content)
        return len(content)


class Place(NamedTuple):
    """Where a capture lies, and when it was taken."""

    path: Path
    offset: int
    fetched_at: datetime


class WarcIndex:
    """Captures of one archive file, or of all in a folder, by address.

    Of several captures of one address the newest counts. `warnings` says what
    could not be read; everything else is served. Reads are independent of one
    another: safe from several threads.
    """

    def __init__(self, places: dict[str, Place], warnings: tuple[str, ...]) -> None:
        self._places = places
        self._spellings = {_spelling(url): url for url in places}
        self.warnings = warnings

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the index of an archive, after one pass over it.

        Raises:
            ReplayError: there is no such archive, or not one whole response in it.
        """
        places: dict[str, Place] = {}
        warnings: list[str] = []
        for file in _archives(path):
            whole = 0
            try:
                with redirect_stderr(io.StringIO()):  # warcio prints damage, chunk by chunk
                    for url, place in _captures(file):
                        whole += 1
                        if url not in places or places[url].fetched_at <= place.fetched_at:
                            places[url] = place
            except _BROKEN as error:
                what = " ".join(str(error).split())[:120] or type(error).__name__
                warnings.append(
                    f"{file.name} is cut or damaged after {whole} responses; "
                    f"those are replayed ({what})"
                )
        if not places:
            why = f" ({warnings[0]})" if warnings else ""
            raise ReplayError(f"{path} holds no whole response; name a .warc or .warc.gz{why}")
        return cls(places, tuple(warnings))

    def __len__(self) -> int:
        return len(self._places)

    @property
    def newest_at(self) -> datetime:
        """When the newest capture was taken."""
        return max(place.fetched_at for place in self._places.values())

    def get(self, url: str, *, max_bytes: int = 0) -> ArchivedResponse | None:
        """Return the capture of an address, or None where there is none.

        Fragments are not minded, nor are spellings that mean the same address.

        Args:
            max_bytes: longest body to read; 0 = any.

        Raises:
            BodyTooLargeError: the body is longer.
        """
        exact = url.partition("#")[0]
        key = exact if exact in self._places else self._spellings.get(_spelling(exact))
        if key is None:
            return None
        place = self._places[key]
        with place.path.open("rb") as file:
            file.seek(place.offset)
            record = next(ArchiveIterator(file))
            return ArchivedResponse(
                url=key,
                status=int(record.http_headers.get_statuscode()),
                headers=tuple(record.http_headers.headers),
                body=_body(record, max_bytes),
                fetched_at=place.fetched_at,
            )


def _archives(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.name.endswith(SUFFIXES))
        if not found:
            raise ReplayError(f"the folder {path} holds no .warc or .warc.gz")
        return found
    if not path.is_file():
        raise ReplayError(f"there is no archive {path}; name a .warc, a .warc.gz or a folder")
    return [path]


def _captures(path: Path) -> Iterator[tuple[str, Place]]:
    """Yield each whole response of a file; raises one of `_BROKEN` where it is damaged."""
    with path.open("rb") as file:
        records = ArchiveIterator(file)
        for record in records:
            offset = records.get_record_offset()
            is_response = record.rec_type == "response" and record.http_headers is not None
            _skip_body(record)
            if not is_response or not str(record.http_headers.get_statuscode()).isdigit():
                continue
            url = record.rec_headers.get_header("WARC-Target-URI") or ""
            date = record.rec_headers.get_header("WARC-Date") or ""
            yield url.strip("<>"), Place(path, offset, datetime.fromisoformat(date))


def _skip_body(record: Any) -> None:
    """Read past a body; EOFError where it ends before its stated length."""
    stream = record.raw_stream
    while stream.read(_CHUNK):
        pass
    if getattr(stream, "limit", 0) > 0:
        raise EOFError("the last record is incomplete")


def _body(record: Any, max_bytes: int) -> bytes:
    stream = record.raw_stream
    if (record.http_headers.get_header("Transfer-Encoding") or "").lower() == "chunked":
        stream = ChunkedDataReader(stream)
    parts: list[bytes] = []
    size = 0
    while part := stream.read(_CHUNK):
        size += len(part)
        if max_bytes and size > max_bytes:
            raise BodyTooLargeError(size)
        parts.append(part)
    return b"".join(parts)


def _spelling(url: str) -> str:
    return resolve_url(url) or url


def _content_id(kind: str, response: ArchivedResponse) -> UUID:
    content = repr((kind, response.url, response.status, response.headers, response.body))
    return UUID(bytes=hashlib.sha256(content.encode()).digest()[:16])


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
