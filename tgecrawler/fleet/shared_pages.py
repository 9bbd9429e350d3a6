"""Article pages in the queue that several workers share.

A page's request bears its entry, since another process may fetch it. The entry is
open in the books of whoever has it: the one who read the feed lets go of it once
the queue has it, and the one who fetched the page holds the request's lease until
the entry's outcome is committed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from tgecrawler.domain.delivery import UNFINISHED, DeliveredBody
from tgecrawler.extensions.ledger import WAITING
from tgecrawler.spiders.poll_payload import one_line
from tgecrawler.spiders.waiting import dump_waiting, load_waiting

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from scrapy import Request

    from tgecrawler.domain.delivery import Delivery
    from tgecrawler.extensions.ledger import EntryLedger
    from tgecrawler.items import Outcome
    from tgecrawler.spiders.polls import PollBook
    from tgecrawler.spiders.waiting import Waiting

logger = logging.getLogger(__name__)

VERSION = 1
GROUP = "lease_group"  # request.meta: the body that told the entry
LEASE_ID = "lease_id"  # request.meta: two requests of one id are one request
_TEXTS = ("slug", "content_key", "etag", "last_modified")


class SharedQueue(Protocol):
    """What a spider needs of the scheduler; see `LeasedScheduler`."""

    worker: str
    on_pushed: Callable[[Request, Any], None] | None
    on_group_closed: Callable[[str, bytes, int], None] | None

    @property
    def is_full(self) -> bool: ...
    def hold(self, request: Request) -> None: ...
    def release(
        self, request: Request, *, unfinished: bool = False, again: bool = False
    ) -> None: ...
    def travels(self, request: Request) -> bool:
        """Return whether a page came from the queue; one that could not be sent has stayed here."""
        return LEASE_ID not in request.meta

    def put_off(self, request: Request, until: datetime) -> None: ...
    def close_group(self, group: str, payload: bytes, unfinished: int) -> None: ...


class PageLease:
    """An `Account` that keeps a request leased until its entry is decided."""

    def __init__(self, queue: SharedQueue, request: Request) -> None:
        self.queue = queue
        self.request = request

    def opened(self) -> None:
        """Hold the request."""
        self.queue.hold(self.request)

    def closed(self, outcome: Outcome, *, again: bool = False) -> None:
        """Let the request go; whoever told the entry hears how it ended."""
        self.queue.release(self.request, unfinished=outcome in UNFINISHED, again=again)

    def handed_over(self) -> None:
        """Let the request go."""
        self.queue.release(self.request)


class SharedPages:
    """Puts page requests into the queue, and takes entries out of those that come from it."""

    def __init__(self, queue: SharedQueue, ledger: EntryLedger, book: PollBook) -> None:
        self.queue = queue
        self.ledger = ledger
        self.book = book
        queue.on_pushed = self._pushed
        queue.on_group_closed = self._group_closed
        book.on_handed_over = self._handed_over

    def put(self, request: Request, one: Waiting, delivery: Delivery | None) -> Request:
        """Return a page's request as it travels, with the entry that waits for it."""
        request.cb_kwargs["waiting"] = dump_waiting(one)
        request.meta[LEASE_ID] = one.entry_id
        if delivery is not None:
            request.meta[GROUP] = delivery.id
        return request

    def arrived(self, request: Request, given: dict[str, Any]) -> Waiting | None:
        """Open the entry of a page that has come; None where it is on its way here already.

        Raises:
            ValueError: the request bears no entry.
        """
        one = load_waiting(given)
        is_open_here = not self.travels(request) and self.ledger.book.is_open(one.entry_id)
        if not (is_open_here or self.ledger.open(one.entry_id, PageLease(self.queue, request))):
            return None
        request.meta[WAITING] = [one]  # closed by the ledger where the callback fails
        return one

    def travels(self, request: Request) -> bool:
        """Return whether a page came from the queue; one that could not be sent has stayed here."""
        return LEASE_ID not in request.meta

    def put_off(self, request: Request, until: datetime) -> None:
        """Leave a page to whoever comes once its host wants to be asked again."""
        self.queue.put_off(request, until)

    def _pushed(self, request: Request, status: Any) -> None:
        entry_id = str(request.meta.get(LEASE_ID, ""))
        if self.ledger.book.is_open(entry_id):
            self.ledger.hand_over(entry_id, anew=str(status) == "new")

    def _handed_over(self, delivery: Delivery) -> None:
        payload = {name: getattr(delivery, name) for name in _TEXTS}
        payload |= {"v": VERSION, "again": delivery.is_wanted_again}
        self.queue.close_group(delivery.id, orjson.dumps(payload), delivery.unfinished)

    def _group_closed(self, group: str, payload: bytes, unfinished: int) -> None:
        """Settle a body whose last entry was decided here; its reader may be another process."""
        try:
            found = orjson.loads(payload)
            slug, content_key, etag, last_modified = (one_line(str(found[name])) for name in _TEXTS)
            again = bool(found["again"])
        except (ValueError, KeyError, TypeError):
            logger.warning("queue: the account of a body cannot be read; it is read once more")
            return
        self.book.settle(
            DeliveredBody(
                slug=slug,
                content_key=content_key,
                etag=etag,
                last_modified=last_modified,
                settled=not unfinished,
                is_wanted_again=again,
            )
        )
