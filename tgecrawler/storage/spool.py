"""Batches on disk while the database is away: one file each, whole or not there at all.

A file gets its name only once its bytes are on the disk, so that a process may
be killed at any of them. Each process owns the files that bear its mark, by a
lock that ends with it; those of dead ones are adopted. Should two processes
write the same file to the database after all, nothing comes of it: what is
written twice is there once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import time
import zlib
from collections import defaultdict
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from tgecrawler.errors import PayloadError, SpoolError, SpoolFullError
from tgecrawler.storage.batch import row_count
from tgecrawler.storage.payload import batch_from_json, batch_to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO

    from tgecrawler.storage.batch import Batch

logger = logging.getLogger(__name__)

MARK = b"tge-spool 1"  # the form of the files; the payload has a version of its own
SUFFIX = ".batch"
UNFINISHED = ".part"
DAMAGED = ".damaged"
_NAME = re.compile(r"(\d{20})-(\d+)-([0-9a-z-]+)\.batch")


class SpoolFile(NamedTuple):
    """A batch on disk; files sort by their age."""

    path: Path
    rows: int
    owner: str


class Spool:
    """The spool of one process in a folder that others may share.

    Not for several threads at once. Nothing is made on disk before the first
    `keep`.

    Args:
        most_bytes: of all files in the folder, whoever owns them.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self.most_bytes = most_bytes
        self.owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._files: dict[str, SpoolFile] = {}
        self._locks: dict[str, IO[bytes]] = {}
        self._last_ns = 0

    @property
    def files(self) -> list[SpoolFile]:
        """The batches that are this process's to write, oldest first."""
        return [self._files[name] for name in sorted(self._files)]

    @property
    def rows(self) -> int:
        """How many rows these have."""
        return sum(file.rows for file in self._files.values())

    def keep(self, batch: Batch, *, beyond: bool = False) -> None:
        """Put a batch on disk; it is there for good when this returns.

        Args:
            beyond: also where it is more than the spool is to hold, as at the close.

        Raises:
            SpoolFullError: there is no room until something is written.
            SpoolError: the disk or the folder refuses.
        """
        payload = batch_to_json(batch).encode()
        head = b"%s %08x\n" % (MARK, zlib.crc32(payload))
        try:
            self._own()
            if not beyond and self._bytes() + len(head) + len(payload) > self.most_bytes:
                raise SpoolFullError(f"the spool {self.folder} is full")
            # Names are an order, also where the clock was set back.
            self._last_ns = max(time.time_ns(), self._last_ns + 1)
            name = f"{self._last_ns:020}-{row_count(batch)}-{self.owner}{SUFFIX}"
            self._write_whole(self.folder / name, head + payload)
        except OSError as error:
            raise self._unusable(error) from error
        self._files[name] = SpoolFile(self.folder / name, row_count(batch), self.owner)

    def load(self, file: SpoolFile) -> Batch | None:
        """Return a batch; None for a file that cannot be read, which stays, and is said.

        One that is damaged gets another name; one that is whole may be of a newer version,
        which will find it.
        """
        try:
            head, _, payload = file.path.read_bytes().partition(b"\n")
            if head == b"%s %08x" % (MARK, zlib.crc32(payload)):
                return batch_from_json(payload)
            logger.error("spool: %s with %d rows is damaged", file.path, file.rows)
            file.path.rename(file.path.with_suffix(DAMAGED))
        except FileNotFoundError:
            # One that was adopted may have been written by whoever adopted it as well.
            level = logging.ERROR if file.owner == self.owner else logging.DEBUG
            logger.log(level, "spool: %s is gone, with %d rows", file.path, file.rows)
        except (PayloadError, OSError) as error:
            logger.error("spool: %s with %d rows cannot be read: %s", file.path, file.rows, error)
        self.leave([file])
        return None

    def remove(self, files: Iterable[SpoolFile]) -> None:
        """Take batches off the disk that are in the database."""
        listed = list(files)
        for file in listed:
            try:
                file.path.unlink(missing_ok=True)
            except OSError as error:  # the next process writes it once more, to no harm
                logger.error("spool: %s cannot be removed (%s)", file.path, error.strerror)
        self.leave(listed)

    def adopt(self) -> int:
        """Take over what processes left that are no more; return how many rows that is.

        Raises:
            SpoolError: the folder cannot be used.
        """
        before = self.rows
        try:
            self._adopt()
        except OSError as error:
            raise self._unusable(error) from error
        return self.rows - before

    def _adopt(self) -> None:
        for owner, names in self._strangers().items():
            if not self._lock(owner):
                continue
            for name in names:
                if (self.folder / name).suffix == UNFINISHED:
                    (self.folder / name).unlink(missing_ok=True)
                elif (file := self._parsed(name)) is not None:
                    self._files[name] = file
        self._release_adopted()

    def check(self) -> None:
        """Find out beforehand whether batches could be kept.

        Raises:
            SpoolError: the folder is not there and cannot be made, or cannot be written.
        """
        place = self.folder
        while not place.exists() and place != place.parent:
            place = place.parent
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            raise SpoolError(f"the spool {self.folder} cannot be used: {place} is not writable")

    def leave(self, files: Iterable[SpoolFile]) -> None:
        """Forget batches; those that are still on disk, a later process adopts."""
        for file in files:
            self._files.pop(file.path.name, None)
        self._release_adopted()

    def close(self) -> None:
        """Let go of what is left; the next process adopts it."""
        for owner, lock in list(self._locks.items()):
            if not any(file.owner == owner for file in self._files.values()):
                self._lock_path(owner).unlink(missing_ok=True)
            lock.close()
        self._locks.clear()

    def _unusable(self, error: OSError) -> SpoolError:
        return SpoolError(f"the spool {self.folder} cannot be used ({error.strerror})")

    def _own(self) -> None:
        """Lock this process's mark. It has its name only once it is locked: no moment is unsafe."""
        if self.owner in self._locks:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        unnamed = self.folder / f".{self.owner}.lock{UNFINISHED}"
        lock = unnamed.open("wb")
        try:
            flock(lock, LOCK_EX | LOCK_NB)
            unnamed.rename(self._lock_path(self.owner))
        except OSError:
            lock.close()
            raise
        self._locks[self.owner] = lock

    def _lock(self, owner: str) -> bool:
        """Return whether an owner is dead, and its files are ours from now on."""
        lock = self._lock_path(owner).open("ab")
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except OSError:
            lock.close()
            return False
        self._locks[owner] = lock
        return True

    def _release_adopted(self) -> None:
        owners = {file.owner for file in self._files.values()} | {self.owner}
        for owner in self._locks.keys() - owners:
            self._lock_path(owner).unlink(missing_ok=True)
            self._locks.pop(owner).close()

    def _lock_path(self, owner: str) -> Path:
        return self.folder / f"{owner}.lock"

    def _strangers(self) -> dict[str, list[str]]:
        """Return the names of files that are not ours, by owner."""
        found: dict[str, list[str]] = defaultdict(list)
        for path in self._on_disk():
            file = self._parsed(path.name.removeprefix(".").removesuffix(UNFINISHED))
            if file is not None and file.owner not in self._locks:
                found[file.owner].append(path.name)
        return found

    def _parsed(self, name: str) -> SpoolFile | None:
        found = _NAME.fullmatch(name)
        return SpoolFile(self.folder / name, int(found[2]), found[3]) if found else None

    def _bytes(self) -> int:
        total = 0
        for path in self._on_disk():
            if path.suffix == SUFFIX:
                with suppress(FileNotFoundError):  # its owner has just written it
                    total += path.stat().st_size
        return total

    def _on_disk(self) -> Iterator[Path]:
        with suppress(FileNotFoundError, NotADirectoryError):
            yield from self.folder.iterdir()

    def _write_whole(self, path: Path, content: bytes) -> None:
        unfinished = path.with_name(f".{path.name}{UNFINISHED}")
        try:
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
            _sync_folder(path.parent)
        except OSError:
            # What this raises for is not kept: it must not be found later either.
            for leftover in (unfinished, path):
                with suppress(OSError):
                    leftover.unlink(missing_ok=True)
            raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rows_on_disk(folder: Path) -> int:
    """Return how many rows wait in a folder, whoever owns them."""
    names = (path.name for path in folder.glob(f"*{SUFFIX}"))
    return sum(int(found[2]) for name in names if (found := _NAME.fullmatch(name)))


def spool_folder(database_url: str, path: str = "") -> Path:
    """Return the folder of a database's spool.

    Beside an SQLite file; for PostgreSQL in ``var/spool``, one for each server and
    database, whoever logs in: what a user wrote may be stored by another.

    Args:
        path: what the operator chose in place of ``var/spool`` or the file's folder.
    """
    url = sa.make_url(database_url)
    if url.drivername.startswith("sqlite"):
        file = Path(str(url.database))
        if not path:
            return file.with_name(f"{file.name}.spool")
        return Path(path) / f"{file.name}-{_digest(str(file.resolve()))}"
    places = [url.host, url.port or 5432, url.query.get("host"), url.query.get("port")]
    database = url.database or url.username or ""
    place = _digest(repr((*places, database)))
    readable = re.sub(r"[^0-9A-Za-z_.-]+", "-", f"{database}@{url.host or 'local'}")
    return (Path(path) if path else Path("var") / "spool") / f"{readable}-{place}"


def _digest(place: str) -> str:
    return hashlib.blake2b(place.encode(), digest_size=4).hexdigest()
