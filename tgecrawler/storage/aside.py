"""Rows that the database refuses, put aside in a file where an operator finds them.

One line of JSON each: when, why, which entry, and the row itself, so that it can
be written once the reason is mended. Not a table: what refuses the row is the
database, and the file can be read without it.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fcntl import LOCK_EX, flock
from typing import TYPE_CHECKING, Any

from tgecrawler.errors import PayloadError, SpoolError
from tgecrawler.storage.batch import ids_of
from tgecrawler.storage.payload import batch_from_json, batch_to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tgecrawler.storage.batch import Batch

FILE_NAME = "put-aside.jsonl"


@dataclass(frozen=True, slots=True)
class AsideRow:
    """A row that was put aside. ``batch`` bears it alone; ``url`` is "" of a mere verdict."""

    at: datetime
    reason: str
    entry_id: str
    url: str
    batch: Batch

    def to_line(self) -> bytes:
        """Return it as one line of JSON."""
        value = {
            "at": self.at.isoformat(timespec="seconds"),
            "reason": self.reason,
            "entry_id": self.entry_id,
            "url": self.url,
            "row": json.loads(batch_to_json(self.batch)),
        }
        return json.dumps(value).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> AsideRow:
        """Return the row of a line.

        Raises:
            ValueError, KeyError, PayloadError: it cannot be read.
        """
        value: dict[str, Any] = json.loads(line)
        return cls(
            at=datetime.fromisoformat(value["at"]),
            reason=value["reason"],
            entry_id=value["entry_id"],
            url=value["url"],
            batch=batch_from_json(json.dumps(value["row"])),
        )


class Aside:
    """The file of rows put aside; several processes may add to it, and one may empty it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self._known: set[str] = set()
        self._known_size = 0  # of the file when `_known` was read

    def put(self, batch: Batch, reason: str) -> bool:
        """Add a batch of one row; return False where its entry is there already.

        A feed goes on telling an entry that cannot be stored, and each time it fails.

        Raises:
            SpoolError: it cannot be written.
        """
        [entry_id] = ids_of(batch)
        url = batch.mentions[0].url if batch.mentions else ""
        row = AsideRow(datetime.now(UTC), reason, entry_id, url, batch)
        try:
            with self._locked():
                if self._knows(entry_id):
                    return False
                self._append(row.to_line())
                self._known.add(entry_id)
                self._known_size = self.path.stat().st_size
        except OSError as error:
            raise SpoolError(f"{self.path} cannot be written ({error.strerror})") from error
        return True

    def rows(self) -> list[AsideRow]:
        """Return all rows, oldest first; a line that a killed process left half is none."""
        return [row for _, row in self._lines() if row is not None]

    def remove(self, entry_ids: Iterable[str]) -> None:
        """Take rows out that were written after all; lines that cannot be read stay."""
        gone = set(entry_ids)
        with self._locked():
            kept = [line for line, row in self._lines() if row is None or row.entry_id not in gone]
            beside = self.path.with_suffix(".new")
            with beside.open("wb") as file:
                file.writelines(kept)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)

    def _lines(self) -> Iterator[tuple[bytes, AsideRow | None]]:
        if not self.path.exists():
            return
        for line in self.path.read_bytes().splitlines(keepends=True):
            try:
                yield line, AsideRow.from_line(line)
            except (ValueError, KeyError, PayloadError):
                yield line, None

    def _knows(self, entry_id: str) -> bool:
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != self._known_size:  # another process was here
            self._known = {row.entry_id for row in self.rows()}
            self._known_size = size
        return entry_id in self._known

    def _append(self, line: bytes) -> None:
        with self.path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 1))
            if end and file.read(1) != b"\n":  # a process was killed here
                line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A file of its own: the other one is replaced when rows are taken out.
        with self.path.with_suffix(".lock").open("ab") as lock:
            flock(lock, LOCK_EX)
            yield
