"""How large a body may be, by what is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# The largest real feed seen has 2 MB, and no page above 4,000,000 characters is read. Reading
# takes some ten times a body's size in memory, and a process is to stay below 200 MB: run
# tests/crawl/test_hostile.py after a change. Sitemaps may have what DOWNLOAD_MAXSIZE allows.
MOST_BYTES: Mapping[str, int] = {
    "feed": 5 * 2**19,
    "article": 3 * 2**20,
    "listing": 3 * 2**20,
}


def most_bytes_of(meta: Mapping[str, Any], default: int) -> int:
    """Return from what size on a body is given up, on the wire and unpacked alike.

    Args:
        meta: a request's; ``download_maxsize`` beats its ``kind``.
        default: what DOWNLOAD_MAXSIZE says; 0 = no bound.
    """
    if "download_maxsize" in meta:
        return int(meta["download_maxsize"])
    return min(MOST_BYTES.get(str(meta.get("kind", "")), default), default) if default else 0
