"""What a shared level does, and what it is told and tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tgecrawler.errors import TgeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Key = tuple[str, str]
"""Tier and key within it."""


class LevelError(TgeError):
    """A shared level that cannot be used.

    `rests`: the next try would fail or wait as well, so that it is left alone for a while.
    """

    def __init__(self, message: str, *, rests: bool = False) -> None:
        super().__init__(message)
        self.rests = rests


@dataclass(frozen=True, slots=True)
class Gone:
    """Something that some process has dropped: by tag, by tier, one key of a tier, or all."""

    tag: str | None = None
    tier: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry in bytes. `gone_s` is when (Unix seconds) nobody has a use for it any more."""

    head: bytes
    body: bytes
    gone_s: float
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What has happened since the last time: uses (how many, the last when), and counts."""

    uses: Mapping[Key, tuple[int, float]] = field(default_factory=dict)
    counts: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TierSize:
    """Entries of a tier, and the bytes that they take."""

    entries: int
    size_bytes: int


class SharedLevel(Protocol):
    """A level that several processes share. Safe for threads.

    Every method may raise LevelError. `now_s` are Unix seconds. Size is bounded:
    a write drops a few of the least recently used entries where the bound is met.
    """

    evictions: int

    def read(self, key: Key, now_s: float) -> tuple[bytes, bytes] | None:
        """Return head and body; None where there is none or its time is over."""
        ...

    def write(self, key: Key, stored: Stored, now_s: float) -> None:
        """Keep an entry, in place of an older one."""
        ...

    def write_head(self, key: Key, head: bytes, gone_s: float, now_s: float) -> bool:
        """Renew an entry's head alone; return False where there is no entry any more."""
        ...

    def drop(self, gone: Gone, now_s: float) -> int:
        """Drop what is named and tell the other processes; return how many entries that were."""
        ...

    def heard(self) -> Sequence[Gone]:
        """Return what was dropped since the last call; `Gone()` where some word was missed."""
        ...

    def record(self, usage: Usage) -> None:
        """Take down what was used and counted."""
        ...

    def counts(self) -> Mapping[tuple[str, str], float]:
        """Return the sums of all that any process has recorded, by tier and name."""
        ...

    def hottest(self, limit: int) -> Sequence[Key]:
        """Return the keys of the most used entries, most used first."""
        ...

    def sizes(self) -> Mapping[str, TierSize]:
        """Return what each tier holds; walks through all entries."""
        ...

    def used_bytes(self) -> int:
        """Return what the bound is held against."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...
