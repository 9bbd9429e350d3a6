"""How a request that must not be sent ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrapy.exceptions import IgnoreRequest

if TYPE_CHECKING:
    from scrapy.statscollectors import StatsCollector


class RequestRefused(IgnoreRequest):
    """A request that the guard does not let out; its text is one line.

    Never retried: the same address would be refused again.
    """


def count_refusal(reason: str, stats: StatsCollector) -> RequestRefused:
    """Count a refusal under its cause, and return the exception to raise.

    Args:
        reason: ``why: what``, as `tgecrawler.domain.addresses.refuse_url` gives it.
    """
    stats.inc_value(f"tge/guard/refused/{reason.partition(':')[0]}")
    return RequestRefused(f"refused, {reason}")
