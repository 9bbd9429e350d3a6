"""What an archive holds of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedResponse:
    """A response as it crossed the wire.

    `body` is free of transfer encoding and keeps its content encoding. In
    `headers` each character stands for one byte (latin-1), so that a header in
    any encoding comes back as it was. `fetched_at` is aware UTC.
    """

    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    fetched_at: datetime
