"""How long to go on trying where a database's failure may pass."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from tgecrawler.errors import DatabaseRefusalError
from tgecrawler.storage.engine import database_error
from tgecrawler.storage.failures import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 2.0
ATTEMPTS = 8  # with the delays above about 7 s: a server that restarts is back by then
# A server that does not even refuse takes 10 s an attempt; a lock that is held, 30 s.
LONGEST_S = 60.0


def with_retries(
    action: Callable[[], T],
    *,
    url: URL,
    sleep: Callable[[float], None],
    attempts: int = ATTEMPTS,
) -> T:
    """Return what `action` returns, after trying again where a failure may pass.

    Raises:
        DatabaseRefusalError: the database took offence at the rows.
        DatabaseError: the database is away, or was so for the last time.
    """
    delay_s = FIRST_DELAY_S
    give_up_s = time.monotonic() + LONGEST_S
    for attempt in range(1, attempts + 1):
        try:
            return action()
        except SQLAlchemyError as error:
            kind = kind_of(error)
            reason = database_error(error, url)
            if kind == "refused":
                raise DatabaseRefusalError(str(reason)) from error
            if attempt == attempts or kind == "away" or time.monotonic() > give_up_s:
                raise reason from error
            logger.warning("attempt %d of %d: %s", attempt, attempts, reason)
        sleep(delay_s)
        delay_s = min(2 * delay_s, LONGEST_DELAY_S)
    raise AssertionError("the last attempt returns or raises")
