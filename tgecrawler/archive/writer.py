"""Writes responses to a web archive, one by one."""

from __future__ import annotations

import hashlib
import io
import os
import re
import threading
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, Self
from urllib.parse import quote
from uuid import UUID

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tgecrawler import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tgecrawler.archive.response import ArchivedResponse

_VERSION = "WARC/1.1"  # 1.0 knows whole seconds only
_BLANK = re.compile(r"[\x00-\x20\x7f]")
_LINE_BREAKS = re.compile(r"[\r\n]+")


def archive_path(folder: Path, spider: str, started_at: datetime) -> Path:
    """Return a file name of its own for one run of one process."""
    name = re.sub(r"[^\w.-]+", "-", spider)
    stem = f"tgecrawler-{name}-{started_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
    path, count = folder / f"{stem}.warc.gz", 1
    while path.exists():  # another crawl of this process, within the second
        count += 1
        path = folder / f"{stem}-{count}.warc.gz"
    return path


class WarcWriter:
    """Writes responses to a new file, each as a gzip member of its own.

    A record is handed to the system whole and at once: what was written
    survives the end of the process, and a torn last record costs nobody else.
    May be shared by threads. Nothing written leaves no file.

    Args:
        deterministic: ids come from the content, so that the same responses
            make the same file, byte for byte (with one version of zlib).

    Raises:
        FileExistsError: there is such a file; an archive is never overwritten.
    """

    def __init__(self, path: Path, *, deterministic: bool = False) -> None:
        self.path = path
        self._file: BinaryIO = path.open("xb", buffering=0)
        self._deterministic = deterministic
        self._lock = threading.Lock()
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, response: ArchivedResponse) -> int:
        """Write one response; return how many bytes the file grew by.

        Raises:
            OSError: it could not be written; the file is as it was before.
        """
        member = self._member(response)
        with self._lock:
            if self._size == 0:
                member = self._about(response) + member
            self._append(member)
        return len(member)

    def close(self) -> None:
        """Close the file; more than once is harmless."""
        with self._lock:
            if not self._file.closed and self._size == 0:
                self.path.unlink(missing_ok=True)
            self._file.close()

    def _append(self, content: bytes) -> None:
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:  # a full disk takes a part of it first
            self._file.truncate(self._size)
            self._file.seek(self._size)
            raise
        self._size += len(content)

    def _about(self, response: ArchivedResponse) -> bytes:
        about = f"software: tgecrawler/{__version__}\r\nformat: {_VERSION}\r\n".encode()
        return self._record("warcinfo", response, about)

    def _member(self, response: ArchivedResponse) -> bytes:
        line = f"{response.status} {_reason(response.status)}"
        # the body is free of transfer encoding; a reader would undo it once more
        headers = [pair for pair in response.headers if pair[0].lower() != "transfer-encoding"]
        head = _HttpHead(line, _one_line_each(headers), protocol="HTTP/1.1")
        return self._record("response", response, response.body, head)

    def _record(
        self, kind: str, response: ArchivedResponse, body: bytes, http: _HttpHead | None = None
    ) -> bytes:
        moment = response.fetched_at.astimezone(UTC).isoformat()
        headers = {"WARC-Date": moment.replace("+00:00", "Z")}
        if self._deterministic:
            headers["WARC-Record-ID"] = f"<urn:uuid:{_content_id(kind, response)}>"
        packed = io.BytesIO()
        writer = WARCWriter(packed, gzip=True, warc_version=_VERSION)
        record = writer.create_warc_record(
            _BLANK.sub(lambda match: quote(match.group()), response.url) if http else None,
            kind,
            payload=io.BytesIO(body),
            length=len(body),
            http_headers=http,
            warc_headers_dict=headers,
        )
        writer.write_record(record)
        return packed.getvalue()


class _HttpHead(StatusAndHeaders):  # type: ignore[misc]  # warcio has no types
    """Writes each character as the byte it stands for; warcio would escape it."""

    def to_ascii_bytes(self, filter_func: Any = None) -> bytes:
        return str(self.to_str(filter_func)).encode("latin-1") + b"\r\n"


def _one_line_each(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(_bytewise(name), _bytewise(value)) for name, value in headers]


def _bytewise(text: str) -> str:
    """Return `text` on one line, each character within the reach of a byte."""
    text = _LINE_BREAKS.sub(" ", text)
    return text if text.isascii() or max(text) <= "\xff" else text.encode().decode("latin-1")


def _content_id(kind: str, response: ArchivedResponse) -> UUID:
    content = repr((kind, response))
    return UUID(bytes=hashlib.sha256(content.encode("utf-8", "backslashreplace")).digest()[:16])


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
