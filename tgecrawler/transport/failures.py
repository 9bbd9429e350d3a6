"""What the client raises, as Scrapy's own exceptions."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import aiohttp
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    UnsupportedURLSchemeError,
)

from tgecrawler.transport.deadlines import describe_timeout
from tgecrawler.transport.guarded_connect import AddressNotPublicError
from tgecrawler.transport.refusal import count_refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrapy.statscollectors import StatsCollector

    from tgecrawler.transport.deadlines import Deadlines

# How the parser begins its messages; the exceptions are those of any fault
_TOO_LARGE = ("Too many headers", "Got more than")


@contextmanager
def scrapy_exceptions(deadlines: Deadlines, stats: StatsCollector) -> Iterator[None]:
    """Turn what the client raises inside into what Scrapy's middlewares know.

    Raises:
        RequestRefused: the connection would have left the public Internet.
        DownloadTimeoutError: a deadline passed; the message says which.
        DownloadCancelledError: the answer is too large to go on with.
        CannotResolveHostError: the name has no address.
        DownloadConnectionRefusedError: nothing accepts connections there.
        DownloadFailedError: everything else between connection and last byte.
        UnsupportedURLSchemeError: the client cannot read the address.
    """
    try:
        yield
    except TimeoutError as error:
        raise DownloadTimeoutError(describe_timeout(error, deadlines)) from error
    except aiohttp.ClientConnectorError as error:
        raise _of_connecting(error, stats) from error
    except aiohttp.InvalidURL as error:
        raise UnsupportedURLSchemeError(str(error)) from error
    except aiohttp.ClientResponseError as error:
        raise _of_headers(error) from error
    except aiohttp.ClientError as error:
        raise DownloadFailedError(str(error) or type(error).__name__) from error


def _of_connecting(error: aiohttp.ClientConnectorError, stats: StatsCollector) -> Exception:
    cause = error.os_error
    if isinstance(cause, AddressNotPublicError):
        return count_refusal(f"address: {cause}", stats)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return CannotResolveHostError(str(error))
    if isinstance(error, (aiohttp.ClientConnectorSSLError, aiohttp.ClientSSLError)):
        return DownloadFailedError(f"TLS: {error}")
    if isinstance(cause, ConnectionRefusedError):
        return DownloadConnectionRefusedError(str(error))
    return DownloadFailedError(str(error))


def _of_headers(error: aiohttp.ClientResponseError) -> Exception:
    message = " ".join(str(error.message).split())[:120]
    if message.startswith(_TOO_LARGE):
        return DownloadCancelledError("headers beyond every measure")
    return DownloadFailedError(f"no readable answer: {message}")
