"""Requests on their way from one worker to the queue.

Those that a leased request may have brought are numbered: its lease is acknowledged once
all up to the number of its end are stored. They are taken by a full queue as well: what
would make room in it waits for them. All others (of the spider's start, of requests that
are not shared) stay here while the queue is full.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scrapy import Request

    from tgecrawler.scheduling.queue_values import Offer, PushStatus

MOST_OFFERS = 300  # of one round, and
MOST_BYTES = 2_000_000
FULL_FOR_S = 1.0  # until a queue that was full is offered something again


@dataclass(frozen=True, slots=True)
class Parcel:
    """A request and the offer that was made of it; numbered from 1 where it is not bounded."""

    request: Request
    offer: Offer
    number: int = 0


class Outbox:
    """Offers in their order, until the queue has answered for each."""

    def __init__(self) -> None:
        self.number = 0
        self.is_full = False
        self._numbered: deque[Parcel] = deque()
        self._bounded: deque[Parcel] = deque()
        self._groups: Counter[str] = Counter()
        self._full_until_s = 0.0

    def __len__(self) -> int:
        return len(self._numbered) + len(self._bounded)

    @property
    def is_due(self) -> bool:
        """Whether there is something that the queue may take now."""
        return bool(self._numbered) or (bool(self._bounded) and not self._rests())

    def put(self, request: Request, offer: Offer) -> None:
        """Take a request in."""
        self._groups[offer.group] += 1
        if offer.bounded:
            self._bounded.append(Parcel(request, offer))
        else:
            self.number += 1
            self._numbered.append(Parcel(request, offer, self.number))

    def take(self) -> list[Parcel]:
        """Return what the next round offers; `answer` or `put_back` follows."""
        taken: list[Parcel] = []
        size = 0
        sources = (self._numbered,) if self._rests() else (self._numbered, self._bounded)
        for source in sources:
            while source and len(taken) < MOST_OFFERS and size < MOST_BYTES:
                taken.append(source.popleft())
                size += len(taken[-1].offer.payload)
        return taken

    @property
    def number_taken(self) -> int:
        """Up to which number all are stored, once those are that were taken."""
        return self._numbered[0].number - 1 if self._numbered else self.number

    def answer(self, taken: Sequence[Parcel], statuses: Sequence[PushStatus]) -> None:
        """Let go of what was taken; what met a full queue stays."""
        left = []
        for parcel, status in zip(taken, statuses, strict=True):
            if status == "full":
                left.append(parcel)
            else:
                self._groups[parcel.offer.group] -= 1
                if not self._groups[parcel.offer.group]:
                    del self._groups[parcel.offer.group]
        self._bounded.extendleft(reversed(left))
        if left:
            self._full_until_s = time.monotonic() + FULL_FOR_S
        if left or any(not parcel.number for parcel in taken):
            self.is_full = bool(left)

    def put_back(self, taken: Sequence[Parcel]) -> None:
        """Keep what could not be offered, in its place."""
        self._numbered.extendleft(reversed([one for one in taken if one.number]))
        self._bounded.extendleft(reversed([one for one in taken if not one.number]))

    def awaits(self, group: str) -> bool:
        """Return whether a request of a group has not been answered for."""
        return group in self._groups

    def insist(self) -> None:
        """Let a full queue take everything: this worker ends."""
        self._full_until_s = 0.0
        self._bounded = deque(
            replace(one, offer=replace(one.offer, bounded=False)) for one in self._bounded
        )

    def _rests(self) -> bool:
        return time.monotonic() < self._full_until_s
