"""Failures of a database that may pass, and how long to go on trying."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from tgecrawler.storage.engine import database_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 2.0
ATTEMPTS = 8  # with the delays above about 7 s: a server that restarts is back by then

SQLITE_BUSY, SQLITE_LOCKED = 5, 6
TRANSIENT_STATES = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available: lock_timeout
    "53300",  # too_many_connections
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now
}
CONNECTION_CLASS = "08"


def with_retries(action: Callable[[], T], *, url: URL, sleep: Callable[[float], None]) -> T:
    """Return what `action` returns, after trying again where a failure may pass.

    Raises:
        DatabaseError: it failed for good, or for the last time.
    """
    delay_s = FIRST_DELAY_S
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except SQLAlchemyError as error:
            if attempt == ATTEMPTS or not is_transient(error):
                raise database_error(error, url) from error
            reason = database_error(error, url)
            logger.warning("attempt %d of %d: %s", attempt, ATTEMPTS, reason)
        sleep(delay_s)
        delay_s = min(2 * delay_s, LONGEST_DELAY_S)
    raise AssertionError("the last attempt returns or raises")


def is_transient(error: SQLAlchemyError) -> bool:
    """Return whether the same statements may succeed a little later."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return (code & 0xFF) in (SQLITE_BUSY, SQLITE_LOCKED)
    return _is_transient_state(error)


def _is_transient_state(error: DBAPIError) -> bool:
    state = getattr(error.orig, "pgcode", "")
    if state is None:  # libpq's own failures have no state: no connection was made
        return type(error).__name__ == "OperationalError"
    return state in TRANSIENT_STATES or state.startswith(CONNECTION_CLASS)
