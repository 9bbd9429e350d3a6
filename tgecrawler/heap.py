"""What a process does with memory: give back what is free, and take no more than it may."""

from __future__ import annotations

import ctypes
import re
import resource
from contextlib import suppress
from pathlib import Path

# <malloc.h> of glibc. Left alone, it raises the first two by itself to 32 and 64 MB, after
# which the room of a large body that was refused stays with the process.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
MAPPED_BYTES = 512 * 1024  # from here on a block is of its own, and is returned when it is freed
KEPT_BYTES = 1024 * 1024  # at the end of the heap
ARENAS = 1  # each keeps a rest of its own, and our threads wait for databases, not for memory


def bound_heap() -> None:
    """Have freed memory returned to the system; without glibc this does nothing."""
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        library.mallopt(_M_ARENA_MAX, ARENAS)


def trim_heap() -> None:
    """Return to the system what lies free between what is used; takes milliseconds."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def limit_growth(most_bytes: int) -> None:
    """Have this process refused more memory than so much on top of what it has; Linux alone.

    Python then raises MemoryError, and so does lxml.
    """
    with suppress(OSError):
        held = re.search(r"VmData:\s+(\d+)", Path("/proc/self/status").read_text())
        if held:
            limit = int(held[1]) * 1024 + most_bytes
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
