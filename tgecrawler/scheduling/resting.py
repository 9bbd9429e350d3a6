"""A host that asks to be left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrapy.exceptions import IgnoreRequest

if TYPE_CHECKING:
    from datetime import datetime


class HostRestingError(IgnoreRequest):
    """A request that is not made because its host rests; its text is one line.

    Args:
        host: as the gate knows it.
        until: end of the rest, aware UTC.
        status: the answer that began it; None where it is not known (told by
            another process or an earlier run).
    """

    def __init__(self, host: str, until: datetime, status: int | None = None) -> None:
        self.host = host
        self.until = until
        self.status = status
        why = f" (HTTP {status})" if status else ""
        super().__init__(f"{host} asks to be left alone until {until:%Y-%m-%d %H:%M} UTC{why}")


class GateAwayError(HostRestingError):
    """A request that is not made since Redis, and with it the shared gate, is away at the close.

    The host has asked for nothing: the request may be made at any time.
    """

    def __init__(self, host: str, now: datetime) -> None:
        super().__init__(host, now)
        self.args = (f"{host} is not asked: Redis is away, and the crawl ends",)
