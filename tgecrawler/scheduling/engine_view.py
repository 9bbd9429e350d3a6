"""What a lease depends on of Scrapy's engine; some of it is private to Scrapy.

A signal tells of a response, but none of a failed download or of the moment at which the
engine lets go of a request. So the engine's own sets are looked into, and whether they
are there is checked before the crawl begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy import __version__ as scrapy_version
from scrapy.core.scraper import Slot
from scrapy.utils.asyncio import is_asyncio_available

if TYPE_CHECKING:
    from collections.abc import Set

    from scrapy import Request
    from scrapy.crawler import Crawler


class EngineView:
    """The requests that a crawler's engine has.

    Raises:
        RuntimeError: this Scrapy has them in other places, or runs without asyncio.
    """

    def __init__(self, crawler: Crawler) -> None:
        if not is_asyncio_available():
            raise RuntimeError("leases need asyncio; set TWISTED_REACTOR to the asyncio reactor")
        engine: Any = crawler.engine
        slot = getattr(engine, "_slot", None)
        places = {
            "engine._slot.inprogress": isinstance(getattr(slot, "inprogress", None), set),
            "engine._slot.closing": hasattr(slot, "closing"),
            "engine._slot.nextcall.schedule": callable(
                getattr(getattr(slot, "nextcall", None), "schedule", None)
            ),
            "engine.scraper.slot": hasattr(getattr(engine, "scraper", None), "slot"),
            "scraper.Slot.active": isinstance(getattr(Slot(), "active", None), set),
        }
        if missing := [name for name, is_there in places.items() if not is_there]:
            raise RuntimeError(
                f"Scrapy {scrapy_version} has no {', '.join(missing)}: without it no lease would "
                "end; use the version that requirements.txt names"
            )
        self._slot: Any = slot
        self._scraper: Any = engine.scraper

    @property
    def requests(self) -> Set[Request]:
        """The requests that the engine has not let go of."""
        requests: set[Request] = self._slot.inprogress
        return requests

    @property
    def scraped(self) -> Set[Request]:
        """Those of them whose answer, or failure, is with the spider or its items on their way."""
        slot = self._scraper.slot
        return slot.active if slot is not None else frozenset()

    @property
    def is_closing(self) -> bool:
        """Whether no request is begun any more."""
        return self._slot.closing is not None

    def wake(self) -> None:
        """Let the engine ask the scheduler soon."""
        if not self.is_closing:
            self._slot.nextcall.schedule()
