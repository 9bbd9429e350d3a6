"""How long a fetch may take, by what is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds for one fetch.

    ``connect_s`` covers the look-up of the name, TCP and TLS; ``idle_s`` is the
    longest silence between two reads, the first byte included; ``total_s`` ends
    everything, headers and bodies at one byte a second among it.
    """

    connect_s: float
    idle_s: float
    total_s: float

    def within(self, total_s: float) -> Deadlines:
        """Return the deadlines with no one above `total_s`."""
        if total_s >= self.total_s:
            return self
        return Deadlines(min(self.connect_s, total_s), min(self.idle_s, total_s), total_s)

    @property
    def timeout(self) -> aiohttp.ClientTimeout:
        """The deadlines in the words of the client."""
        return aiohttp.ClientTimeout(
            total=self.total_s, connect=self.connect_s, sock_read=self.idle_s
        )


# A healthy feed or page answers in one to three seconds; whatever takes longer than these is
# better asked again at its next turn. Sitemaps are large, and made when they are asked for.
DEADLINES: Mapping[str, Deadlines] = {
    "robots": Deadlines(connect_s=5, idle_s=5, total_s=10),
    "feed": Deadlines(connect_s=5, idle_s=10, total_s=20),
    "article": Deadlines(connect_s=5, idle_s=10, total_s=20),
    "listing": Deadlines(connect_s=5, idle_s=10, total_s=20),
    "sitemap": Deadlines(connect_s=5, idle_s=20, total_s=60),
}
OTHER = Deadlines(connect_s=5, idle_s=10, total_s=30)


def deadlines_of(meta: Mapping[str, Any]) -> Deadlines:
    """Return the deadlines of a request with this ``meta``.

    ``kind`` chooses them; ``download_timeout``, where it is lower, bounds the total.
    """
    deadlines = DEADLINES.get(str(meta.get("kind", "")), OTHER)
    return deadlines.within(float(meta.get("download_timeout") or deadlines.total_s))


def describe_timeout(error: BaseException, deadlines: Deadlines) -> str:
    """Return which deadline a timeout was, in words."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection within {deadlines.connect_s:g} s (connect deadline)"
    if isinstance(error, aiohttp.SocketTimeoutError):
        return f"silent for {deadlines.idle_s:g} s (idle deadline)"
    return f"not read to its end within {deadlines.total_s:g} s (total deadline)"
