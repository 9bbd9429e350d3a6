"""A failed download in words."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from scrapy.exceptions import IgnoreRequest
from scrapy.spidermiddlewares.httperror import HttpError

if TYPE_CHECKING:
    from twisted.python.failure import Failure

LONGEST = 200  # characters: one line of a log

# by class name: Scrapy wraps and renames transport errors between releases
_IN_WORDS = {
    "DNSLookupError": "the host name does not resolve",
    "CannotResolveHostError": "the host name does not resolve",
    "ConnectionRefusedError": "the connection was refused",
    "DownloadConnectionRefusedError": "the connection was refused",
    "TimeoutError": "no answer in time",
    "TCPTimedOutError": "no answer in time",
    "DownloadTimeoutError": "no answer in time",
}


def rests_until(failure: Failure) -> datetime | None:
    """Return until when the host asks to be left alone; None where it does not."""
    until = getattr(failure.value, "until", None)
    return until if isinstance(until, datetime) else None


def is_put_off(failure: Failure) -> bool:
    """Return whether the same request is worth making later: the host is busy or rests."""
    error = failure.value
    if isinstance(error, HttpError):
        return error.response.status in (429, 503)
    return rests_until(failure) is not None


def describe_failure(failure: Failure) -> str:
    """Return why a request failed, as one line without a trace.

    The trace is let go of: it holds what was unpacked of a bomb until the collector comes by.
    """
    error = failure.value
    if error is not None and error.__cause__ is not None:
        error.__cause__.__traceback__ = None
    if isinstance(error, HttpError):
        return f"HTTP {error.response.status}"
    if isinstance(error, IgnoreRequest):
        return str(error) or "refused by a rule"
    name = type(error).__name__
    if name in _IN_WORDS:
        return _IN_WORDS[name]
    message = " ".join(str(error).split())
    return f"{name}: {message}"[:LONGEST] if message else name
