"""Files that are whole or not there."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

UNFINISHED = ".part"
"""Ends the name of a file that is being written, and of what a killed process leaves."""


class Unfinished:
    """A file that is being written beside the one that it is going to be."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self.target = target

    def finish(self) -> None:
        """Let the content be on the disk, and the file take its name, in place of another."""
        sync(self.path)
        self.path.replace(self.target)
        sync(self.target.parent)


@contextmanager
def unfinished(target: Path) -> Iterator[Unfinished]:
    """Yield a new file, for its owner's eyes alone; it is gone at the end if not finished."""
    descriptor, name = mkstemp(prefix=f".{target.name}.", suffix=UNFINISHED, dir=target.parent)
    os.close(descriptor)
    path = Path(name)
    try:
        yield Unfinished(path, target)
    finally:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Let a file's content, or a folder's names, be on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
