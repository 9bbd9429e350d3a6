"""A batch written although some of its rows are refused: these are found by halving."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tgecrawler.errors import DatabaseError, DatabaseRefusalError
from tgecrawler.storage.batch import Batch, halves, joined, row_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from tgecrawler.storage.batch import WriteResult


@dataclass(frozen=True, slots=True)
class Commit:
    """A batch that is in the database, and how long its transaction took."""

    batch: Batch
    result: WriteResult
    took_s: float


@dataclass(frozen=True, slots=True)
class Refused:
    """A batch of one row that cannot be written, and why; ``fault`` where it is our own."""

    batch: Batch
    reason: str
    fault: Exception | None = None


@dataclass(slots=True)
class Parts:
    """What became of a batch. ``left`` was not tried to its end: the database is away."""

    commits: list[Commit] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    left: Batch = field(default_factory=Batch)
    error: DatabaseError | None = None


def write_in_parts(write: Callable[[Batch], WriteResult], batch: Batch) -> Parts:
    """Write a batch, in one transaction where all of its rows are accepted.

    With k rows that are refused among n it takes at most 1 + 2·k·⌈log2 n⌉ transactions.

    Args:
        write: raises DatabaseError where the database is away, anything else (also a
            DatabaseRefusalError) where it is the rows' fault.
    """
    parts = Parts()
    waiting = [batch]
    while waiting:
        part = waiting.pop()
        started = time.perf_counter()
        try:
            result = write(part)
        except DatabaseRefusalError as refusal:
            _halve(Refused(part, str(refusal)), waiting, parts)
        except DatabaseError as error:
            parts.left, parts.error = joined([part, *reversed(waiting)]), error
            break
        except MemoryError:  # says nothing about the rows
            raise
        except Exception as error:  # a row that our own code cannot cope with must stop no other
            _halve(Refused(part, f"{type(error).__name__}: {error}", error), waiting, parts)
        else:
            parts.commits.append(Commit(part, result, time.perf_counter() - started))
    return parts


def _halve(refused: Refused, waiting: list[Batch], parts: Parts) -> None:
    if row_count(refused.batch) == 1:
        parts.refused.append(refused)
    else:
        waiting += reversed(halves(refused.batch))
