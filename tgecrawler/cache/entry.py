"""What the cache keeps, and its form in bytes: a head that is cheap to renew, and a body."""

from __future__ import annotations

import struct
import threading
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson
import zstandard

from tgecrawler.domain.caching import ChangeHistory

MOST_VALUE_BYTES = 5_000_000
"""A larger value is not kept: it would drive out hundreds of pages of usual size."""

CLOCK_SLACK_S = 60.0
"""An entry from further in the future was stored by a clock that was wrong."""

_HEAD = struct.Struct("<2sBddddddI")  # mark, version, five moments and sums, length of the tags
_BODY = struct.Struct("<BI")  # codec, CRC-32 of the value
_MARK, _VERSION = b"TC", 1
_RAW, _ZSTD = 0, 1
_LEAST_COMPRESSED_BYTES = 256
_WORTHWHILE = 0.9  # of the raw size; pages that crossed the wire compressed gain nothing
_codec = threading.local()  # neither a compressor nor a decompressor may serve two threads at once


class FrameError(ValueError):
    """Bytes that this version did not write, or that have changed since."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and what is known of it; moments are Unix seconds.

    `checked_s` is when the original was last found to be the same, `stored_s`
    when it was last found to be another.
    """

    value: bytes
    stored_s: float
    checked_s: float
    expires_s: float
    meta: bytes = b""
    tags: tuple[str, ...] = ()
    history: ChangeHistory = field(default_factory=ChangeHistory)

    def is_fresh(self, now_s: float, max_age_s: float | None = None) -> bool:
        """Return whether it may be used unasked; `max_age_s` may shorten that, never lengthen."""
        age_s = now_s - self.checked_s
        if age_s < -CLOCK_SLACK_S or now_s >= self.expires_s:
            return False
        return max_age_s is None or age_s < max_age_s


@dataclass(frozen=True, slots=True)
class Hit:
    """What a look-up found; `fresh` is False for what may only be asked for again."""

    entry: Entry
    fresh: bool

    @property
    def value(self) -> bytes:
        return self.entry.value

    @property
    def meta(self) -> bytes:
        return self.entry.meta

    @property
    def tags(self) -> tuple[str, ...]:
        return self.entry.tags

    @property
    def stored_at(self) -> datetime:
        """When this value was first seen."""
        return datetime.fromtimestamp(self.entry.stored_s, UTC)

    @property
    def checked_at(self) -> datetime:
        """When this value was last known to be the current one."""
        return datetime.fromtimestamp(self.entry.checked_s, UTC)


def pack_head(entry: Entry) -> bytes:
    """Return everything but the value."""
    tags = orjson.dumps(entry.tags)
    history = entry.history
    moments = (entry.stored_s, entry.checked_s, entry.expires_s)
    numbers = (history.checks, history.changes, history.watched_s)
    return _HEAD.pack(_MARK, _VERSION, *moments, *numbers, len(tags)) + tags + entry.meta


def pack_body(value: bytes) -> bytes:
    """Return a value as it is stored: with a checksum, and compressed where that gains."""
    codec, data = _RAW, value
    if len(value) >= _LEAST_COMPRESSED_BYTES:
        smaller = _compressor().compress(value)
        if len(smaller) <= _WORTHWHILE * len(value):
            codec, data = _ZSTD, smaller
    return _BODY.pack(codec, zlib.crc32(value)) + data


def unpack_entry(head: bytes, body: bytes) -> Entry:
    """Return the entry of a head and a body.

    Raises:
        FrameError: they are not of this version, or damaged.
    """
    try:
        mark, version, stored, checked, expires, checks, changes, watched, size = _HEAD.unpack_from(
            head
        )
        tags = orjson.loads(head[_HEAD.size : _HEAD.size + size])
    except (struct.error, orjson.JSONDecodeError) as error:
        raise FrameError(str(error)) from None
    if (mark, version) != (_MARK, _VERSION):
        raise FrameError(f"a head of version {version}")
    return Entry(
        value=_unpack_body(body),
        stored_s=stored,
        checked_s=checked,
        expires_s=expires,
        meta=head[_HEAD.size + size :],
        tags=tuple(tags),
        history=ChangeHistory(checks, changes, watched),
    )


def _unpack_body(body: bytes) -> bytes:
    try:
        codec, checksum = _BODY.unpack_from(body)
        value = body[_BODY.size :]
        if codec == _ZSTD:
            # the size stands in the frame: a wrong one must not make us reserve gigabytes
            if zstandard.frame_content_size(value) > MOST_VALUE_BYTES:
                raise FrameError("a body that is too large")
            value = _decompressor().decompress(value)
    except (struct.error, zstandard.ZstdError) as error:
        raise FrameError(str(error)) from None
    if codec not in (_RAW, _ZSTD) or zlib.crc32(value) != checksum:
        raise FrameError("a body that is damaged")
    return value


def _compressor() -> zstandard.ZstdCompressor:
    if not hasattr(_codec, "compressor"):
        _codec.compressor = zstandard.ZstdCompressor(level=3)
    compressor: zstandard.ZstdCompressor = _codec.compressor
    return compressor


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_codec, "decompressor"):
        _codec.decompressor = zstandard.ZstdDecompressor()
    decompressor: zstandard.ZstdDecompressor = _codec.decompressor
    return decompressor
