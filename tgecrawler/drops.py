"""How a pipeline says what became of an entry that it lets go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrapy.exceptions import DropItem

if TYPE_CHECKING:
    from tgecrawler.items import Outcome


class EntryDropped(DropItem):
    """An entry that goes no further; `outcome` is what the ledger books.

    `remember` asks the database pipeline to note the verdict, so that the page
    is not fetched again under the same rules. Logged at DEBUG: most entries of
    most feeds end here.
    """

    def __init__(self, message: str, *, outcome: Outcome, remember: bool = True) -> None:
        super().__init__(message, log_level="DEBUG")
        self.outcome = outcome
        self.remember = remember
