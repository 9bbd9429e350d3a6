"""The body of an archived response, read within a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tgecrawler.archive.records import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LONGEST_SIZE_LINE = 1024  # bytes: a size in hex and extensions that nobody uses


class BodyTooLargeError(Exception):
    """A body above the caller's limit; `size` is at least its size in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"a body of {size:,} bytes or more")
        self.size = size


def read_body(headers: Iterable[tuple[str, str]], content: Any, max_bytes: int = 0) -> bytes:
    """Return what is left of a record's content, free of transfer encoding.

    Args:
        max_bytes: longest body to hold in memory; 0 = any.

    Raises:
        BodyTooLargeError: the body is longer.
    """
    chunked = any(
        name.lower() == "transfer-encoding" and value.strip().lower() == "chunked"
        for name, value in headers
    )
    if max_bytes and not chunked and content.limit > max_bytes:
        raise BodyTooLargeError(content.limit)
    body = bytearray()
    for part in _dechunked(content) if chunked else _parts(content):
        body += part
        if max_bytes and len(body) > max_bytes:
            raise BodyTooLargeError(len(body))
    return bytes(body)


def _parts(content: Any) -> Iterator[bytes]:
    while part := content.read(CHUNK):
        yield part


def _dechunked(content: Any) -> Iterator[bytes]:
    """Yield the data of chunks; of a body that is not in chunks, all of it.

    Many archives keep the header of a body that they have put together.
    """
    line = content.readline(_LONGEST_SIZE_LINE)
    if _chunk_size(line) is None:
        yield line
        yield from _parts(content)
        return
    while size := _chunk_size(line):
        while size and (part := content.read(min(size, CHUNK))):
            size -= len(part)
            yield part
        content.readline(_LONGEST_SIZE_LINE)  # the line break after a chunk
        line = content.readline(_LONGEST_SIZE_LINE)


def _chunk_size(line: bytes) -> int | None:
    digits = line.partition(b";")[0].strip()
    try:
        return int(digits, 16) if 0 < len(digits) <= 16 and digits.isalnum() else None
    except ValueError:
        return None
