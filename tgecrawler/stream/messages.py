"""What a message on the stream is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import zstandard

from tgecrawler.domain.alert import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tgecrawler.storage.outbox import OutboxRow

STREAM = "{tge:1:stream}"
"""The stream's key; the number grows when a reader of before could not read it any more."""

KINDS = ("alert", "event")
CHANGES = ("new", "changed")

COMPRESSED_FROM_BYTES = 1_000
MOST_BYTES = 16_000_000
"""A message that says it holds more is none of ours, and is not unpacked."""


class BrokenMessageError(ValueError):
    """An entry of the stream that is no message of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing that was committed.

    Attributes:
        id: of the message, the same however often it is written or delivered. Equal ids
            are the same message, and a later one's number is higher.
        ref: the id of the alert or event.
        was: the id under which it was told before, "" where that is the same.
        at: when it was committed.
        body: what `scrapy alerts --json` or `scrapy events --json` says of it; None where
            it was gone by the time it was to be told, and another message says where to.
        again: it may have been handled before, by a reader that died or took too long.
    """

    id: str
    kind: str
    ref: str
    change: str
    was: str
    at: datetime
    body: dict[str, Any] | None
    again: bool = False


def number_of(message_id: str) -> int:
    """Return the first part of a message's id, which is the row's id in the outbox."""
    return int(message_id.partition("-")[0])


def encode(row: OutboxRow, body: Mapping[str, Any] | None) -> list[bytes | str]:
    """Return the fields of a row's message, each name before its value."""
    at = rfc3339(row.created_at) or ""
    fields: list[bytes | str] = ["kind", row.kind, "id", row.ref, "change", row.change, "at", at]
    if row.was:
        fields += ["was", row.was]
    if body is not None:
        plain = orjson.dumps(body)
        if len(plain) > COMPRESSED_FROM_BYTES:
            fields += ["zstd", zstandard.compress(plain)]
        else:
            fields += ["json", plain]
    return fields


def decode(message_id: bytes, fields: Mapping[bytes, bytes], *, again: bool = False) -> Message:
    """Return the message of an entry.

    Raises:
        BrokenMessageError: it is none of ours.
    """
    try:
        kind, ref, change, was = (_text(fields, name) for name in ("kind", "id", "change", "was"))
        at = datetime.fromisoformat(_text(fields, "at")).astimezone(UTC)
        body = _body(fields)
        return Message(
            id=message_id.decode(),
            kind=kind,
            ref=ref,
            change=change,
            was=was,
            at=at,
            body=body,
            again=again,
        )
    except (ValueError, OverflowError, zstandard.ZstdError) as error:
        raise BrokenMessageError(f"{message_id!r}: {error}") from error


def _text(fields: Mapping[bytes, bytes], name: str) -> str:
    return fields.get(name.encode(), b"").decode()


def _body(fields: Mapping[bytes, bytes]) -> dict[str, Any] | None:
    plain = fields.get(b"json")
    if (packed := fields.get(b"zstd")) is not None:
        if not 0 <= zstandard.frame_content_size(packed) <= MOST_BYTES:
            raise ValueError("its size is not told, or too large")
        plain = zstandard.decompress(packed)
    if plain is None:
        return None
    body = orjson.loads(plain)
    if not isinstance(body, dict):
        raise ValueError("no object")
    return body
