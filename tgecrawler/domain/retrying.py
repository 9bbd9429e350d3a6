"""Which failed requests are worth another try, how many, and after how long.

A host's own refusals (429, 503) are not here: the gate lets the host rest, and an
article or feed is asked for again in its own time.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How a kind of request is tried: `tries` in all, the pauses doubling from `first_pause_s`."""

    tries: int
    first_pause_s: float


# What is polled again anyway gets one more try; a page is asked for once and gets two.
RULES = MappingProxyType(
    {
        "feed": RetryRule(tries=2, first_pause_s=2.0),
        "sitemap": RetryRule(tries=2, first_pause_s=2.0),
        "listing": RetryRule(tries=2, first_pause_s=2.0),
        "article": RetryRule(tries=3, first_pause_s=2.0),
        "robots": RetryRule(tries=2, first_pause_s=1.0),
    }
)
DEFAULT_RULE = RetryRule(tries=2, first_pause_s=2.0)
LONGEST_PAUSE_S = 30.0
JITTER_RATIO = 0.5  # a pause is lengthened by up to this share

# A request timed out or came too early, an upstream failed, or (52x) so says a CDN about
# the host behind it. 501 and 505 are about the request, and 4xx say that it is wrong.
RETRIED_STATUSES = frozenset({408, 425, 500, 502, 504, 520, 521, 522, 523, 524})

# by class name: the transport raises Scrapy's exceptions, which this room does not know
_TEMPORARY = frozenset(
    {
        "DownloadConnectionRefusedError",
        "DownloadFailedError",
        "DownloadTimeoutError",
        "ResponseDataLossError",
    }
)
# Anywhere in what led to the error; a certificate is no better a second later.
_HOPELESS = frozenset(
    {
        "AddressNotPublicError",
        "CannotResolveHostError",
        "CertificateError",
        "ClientConnectorCertificateError",
        "ClientConnectorSSLError",
        "ClientSSLError",
        "IgnoreRequest",
        "InvalidURL",
        "SSLError",
        "OpenSSL.SSL.Error",
        "VerificationError",
    }
)


def rule_for(kind: str, most_retries: int) -> RetryRule:
    """Return the rule of a kind, with at most `most_retries` tries after the first."""
    rule = RULES.get(kind, DEFAULT_RULE)
    return RetryRule(min(rule.tries, 1 + max(0, most_retries)), rule.first_pause_s)


def pause_s(rule: RetryRule, tried: int, jitter: float) -> float:
    """Return how long to wait before the next try, in seconds.

    Args:
        rule: of the request's kind.
        tried: tries so far, 1 or more.
        jitter: from 0 to 1.
    """
    pause = min(rule.first_pause_s * 2.0 ** min(tried - 1, 32), LONGEST_PAUSE_S)
    return pause * (1 + JITTER_RATIO * jitter)


def is_temporary_status(status: int, *, has_retry_after: bool = False) -> bool:
    """Return whether another try may succeed; a host that says when is left to the gate."""
    return status in RETRIED_STATUSES and not has_retry_after


def is_temporary_error(names: Collection[str], causes: Collection[str]) -> bool:
    """Return whether another try may succeed.

    Args:
        names: class names of the error, its bases included.
        causes: class names of everything that led to it, bases included, bare or
            with their module.
    """
    return bool(_TEMPORARY.intersection(names)) and _HOPELESS.isdisjoint({*names, *causes})
