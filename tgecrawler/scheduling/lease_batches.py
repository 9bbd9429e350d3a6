"""What one worker has to say to the leased queue, a batch at a time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tgecrawler.scheduling.queue_values import Ack, Batch, Close, Leased, Mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scrapy import Request

    from tgecrawler.scheduling.engine_view import EngineView
    from tgecrawler.scheduling.lease_book import Lease, LeaseBook
    from tgecrawler.scheduling.lease_outbox import Outbox, Parcel

MOST_SAID = 1_000  # of each kind, in one batch


@dataclass(frozen=True, slots=True)
class Closing:
    """A group that is to be closed, once a request has left the engine."""

    close: Close
    after: Request | None


@dataclass(frozen=True, slots=True)
class Marking:
    """A continuation that waits for its fingerprint to be looked up."""

    request: Request
    lease: Lease
    mark: Mark


@dataclass(frozen=True, slots=True)
class Said:
    """A batch, and what it was made of."""

    batch: Batch
    parcels: Sequence[Parcel]
    markings: Sequence[Marking]
    ends: Sequence[tuple[int, Ack]]
    closings: Sequence[Closing]
    changes: int  # how often something had come up when it was made
    is_all: bool  # nothing else was left to be said


class LeaseBatches:
    """Gathers what there is to say, in the order in which it may be said.

    The end of a lease is said together with the last request that it may have brought,
    or later: the queue stores those first.
    """

    def __init__(self, book: LeaseBook, outbox: Outbox, view: EngineView) -> None:
        self.book = book
        self.outbox = outbox
        self.view = view
        self.changes = 0
        self.is_leaving = False
        self._landed: list[Leased] = []
        self._ends: deque[tuple[int, Ack]] = deque()
        self._closings: list[Closing] = []
        self._markings: list[Marking] = []

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to say that should not wait for long."""
        return bool(self.outbox.is_due or self._ends or self._closings or self._markings)

    def end(self, ack: Ack) -> None:
        """Say how a lease ended, after all that was put into the outbox before."""
        self._ends.append((self.outbox.number, ack))

    def close_group(self, close: Close, after: Request | None) -> None:
        """Close a group once its requests are all stored, and a request has left the engine."""
        self._closings.append(Closing(close, after))
        self.changes += 1

    def mark(self, request: Request, lease: Lease, fingerprint: bytes) -> None:
        """Ask whether a continuation of a leased request may be made."""
        mark = Mark(id=lease.leased.id, token=lease.leased.token, fingerprint=fingerprint)
        self._markings.append(Marking(request, lease, mark))
        self.changes += 1

    def look(self) -> None:
        """Take up what has landed and ended since the last time."""
        self.book.sweep(self.view.requests, self.view.scraped)
        self._landed += self.book.take_landed()
        for lease in self.book.take_ended():
            self.end(lease.ack())

    def gather(self, want: int, *, busy: bool, with_offers: bool) -> Said:
        """Return the next batch."""
        self.look()
        parcels = self.outbox.take() if with_offers else []
        ends = self._take_ends(self.outbox.number_taken)
        landed, self._landed = self._landed, []
        markings, self._markings = self._markings[:MOST_SAID], self._markings[MOST_SAID:]
        closings = [one for one in self._closings if self._may_close(one)]
        self._closings = [one for one in self._closings if one not in closings]
        batch = Batch(
            offers=tuple(parcel.offer for parcel in parcels),
            marks=tuple(one.mark for one in markings),
            landed=tuple(landed),
            acks=tuple(ack for _, ack in ends),
            closes=tuple(one.close for one in closings),
            want=want,
            mine=self.book.not_landed,
            busy=busy,
            leaving=self.is_leaving or self.view.is_closing,
        )
        is_all = not (self.is_waiting or self.outbox)
        return Said(batch, parcels, markings, ends, closings, self.changes, is_all)

    def take_back(self, said: Said) -> None:
        """Keep what could not be said, in its place."""
        self.outbox.put_back(said.parcels)
        self._landed[:0] = said.batch.landed
        self._ends.extendleft(reversed(said.ends))
        self._closings[:0] = said.closings
        self._markings[:0] = said.markings

    def _take_ends(self, number: int) -> list[tuple[int, Ack]]:
        taken: list[tuple[int, Ack]] = []
        while self._ends and self._ends[0][0] <= number and len(taken) < MOST_SAID:
            taken.append(self._ends.popleft())
        return taken

    def _may_close(self, one: Closing) -> bool:
        if one.after is not None and one.after in self.view.requests:
            return False
        return not self.outbox.awaits(one.close.group)
