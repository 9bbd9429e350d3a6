"""What one answer of a source has brought, and whether all of it has come to rest.

Validators are promises: whoever sends them asks to be told only what is new.
They may be kept, therefore, only once every entry of the body that they belong
to is stored, or decided for good; a process that dies before that asks for the
whole body again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from tgecrawler.items import Outcome

UNFINISHED: tuple[Outcome, ...] = ("failed", "pending")


class Account(Protocol):
    """Who is told what becomes of an entry."""

    def opened(self) -> None:
        """Note an entry that waits for its outcome."""

    def closed(self, outcome: Outcome, *, again: bool = False) -> None:
        """Note an entry's outcome; `again`: it is nowhere but in its source."""

    def handed_over(self) -> None:
        """Note an entry whose outcome another process will see to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredBody:
    """What is left to say of a body once all of its entries are decided."""

    slug: str
    content_key: str
    etag: str
    last_modified: str
    settled: bool
    is_wanted_again: bool


class Delivery:
    """One body's entries. `at_rest` is called once, when the last of them is decided.

    An entry that is handed over is decided elsewhere: a body of which some were
    comes to rest here, and is settled by whoever decides the last of them.
    """

    def __init__(
        self,
        slug: str,
        content_key: str,
        *,
        etag: str = "",
        last_modified: str = "",
        at_rest: Callable[[Delivery], None],
        id: str = "",
    ) -> None:
        self.id = id
        self.slug = slug
        self.content_key = content_key
        self.etag = etag
        self.last_modified = last_modified
        self.unfinished = 0
        self.is_wanted_again = False
        self.handed = 0
        self._at_rest = at_rest
        self._open = 0
        self._taken = False

    def opened(self) -> None:
        """Note an entry that waits for its outcome."""
        self._open += 1

    def closed(self, outcome: Outcome, *, again: bool = False) -> None:
        """Note an entry's outcome.

        Args:
            again: it is nowhere but in its source, for the fault of none: whatever
                comes, the body is to be read again.
        """
        self._open -= 1
        self.is_wanted_again |= again
        self.unfinished += outcome in UNFINISHED
        self._check()

    def handed_over(self) -> None:
        """Note an entry whose outcome another process will see to."""
        self._open -= 1
        self.handed += 1
        self._check()

    def left(self, entries: int) -> None:
        """Note entries that this run does not open."""
        self.unfinished += entries

    def taken(self) -> None:
        """Note that every entry of the body has been opened."""
        self._taken = True
        self._check()

    @property
    def settled(self) -> bool:
        """Whether every entry was stored or decided for good."""
        return self._taken and not self._open and not self.unfinished

    def body(self, unfinished: int = 0) -> DeliveredBody:
        """Return the account as it was closed, with entries that did not end well elsewhere."""
        return DeliveredBody(
            slug=self.slug,
            content_key=self.content_key,
            etag=self.etag,
            last_modified=self.last_modified,
            settled=self.settled and not unfinished,
            is_wanted_again=self.is_wanted_again,
        )

    def _check(self) -> None:
        if self._taken and self._open == 0:
            self._at_rest(self)
