"""What a host asks of us, and when it may be asked again.

Pure: moments are arguments. A gap is measured on a monotonic clock (``tick_s``,
seconds since any one moment), so that a clock set anew neither shortens nor
stretches it; a rest ends at a moment of the day (``at``, aware UTC), so that it
can outlive the process.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST_RETRY_AFTER = timedelta(days=7)  # above: a broken header, not a wish
LONGEST_CRAWL_DELAY_S = 300.0  # RFC 9309 knows none; as Heritrix keeps it by default
FIRST_REST_S = 60.0
LONGEST_REST_S = 86_400.0
JITTER_RATIO = 0.25  # a rest is lengthened by up to this share, never shortened
EXACT_STRIKES = 3  # refusals in a row for which a Retry-After alone decides
FORGIVING_ANSWERS = 10  # good answers in a row that halve the strikes
FORGIVING_QUIET = timedelta(days=1)  # time without a refusal that halves them, too
_REFUSALS = (429, 503)
_DELTA = re.compile(r"[0-9]+")
_LONGEST_DELTA = 12  # digits; more is above any bound


def parse_retry_after(value: str | None, now: datetime) -> datetime | None:
    """Return when a Retry-After header lets us come back; None where it says nothing.

    Args:
        value: delta-seconds, or an HTTP-date in any of its three forms (IMF-fixdate,
            RFC 850, asctime). A date that has passed comes back as it is.
        now: from when delta-seconds count; aware UTC.

    At most `LONGEST_RETRY_AFTER` from `now`. Source: RFC 9110, 10.2.3 and 5.6.7.
    """
    text = (value or "").strip()
    latest = now + LONGEST_RETRY_AFTER
    if not _DELTA.fullmatch(text):
        moment = parse_http_date(text, now)
        return moment and min(moment, latest)
    if len(text) > _LONGEST_DELTA:
        return latest
    return min(now + timedelta(seconds=min(int(text), 10**9)), latest)


def parse_http_date(text: str, now: datetime) -> datetime | None:
    """Return the moment of an HTTP-date, aware UTC; None where it is none.

    A two-digit year is of the century that puts it at most 50 years after `now`.
    """
    if len(text) > 64 or not text[:3].isalpha():
        return None
    try:
        moment = parsedate_to_datetime(text)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        if re.match(r"[A-Za-z]+day, \d\d-[A-Za-z]{3}-\d\d ", text):
            century = now.year - now.year % 100
            moment = moment.replace(year=century + moment.year % 100)
            if moment.year > now.year + 50:
                moment = moment.replace(year=moment.year - 100)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return moment


def retry_after_of(value: str | None, date: str | None, now: datetime) -> datetime | None:
    """Return when a Retry-After lets us come back, never early for a host whose clock is wrong.

    Args:
        value: the header Retry-After.
        date: the header Date of the same answer. A date in `value` is also read as a
            span from it, and the later of the two readings holds.
        now: when the answer came.
    """
    by_our_clock = parse_retry_after(value, now)
    its_now = parse_http_date((date or "").strip(), now)
    if by_our_clock is None or its_now is None or _DELTA.fullmatch((value or "").strip()):
        return by_our_clock
    by_its_clock = parse_retry_after(value, its_now)
    return by_its_clock and max(by_our_clock, now + (by_its_clock - its_now))


def back_off_s(strikes: int, jitter: float) -> float:
    """Return how long to leave a host alone that refuses without saying for how long, in seconds.

    `FIRST_REST_S` doubling to `LONGEST_REST_S`, and up to `JITTER_RATIO` more.

    Args:
        strikes: refusals so far, this one included; below 1 counts as no rest.
        jitter: from 0 to 1.
    """
    if strikes < 1:
        return 0.0
    rest_s = min(FIRST_REST_S * 2.0 ** min(strikes - 1, 32), LONGEST_REST_S)
    return rest_s * (1 + JITTER_RATIO * jitter)


@dataclass(slots=True)
class HostState:
    """What is known of one host: its gap, its rest, and how often it has refused."""

    gap_s: float = 0.0
    crawl_delay_s: float = 0.0
    started_tick_s: float | None = None  # the latest start
    rests_until: datetime | None = None
    strikes: int = 0
    struck_at: datetime | None = None  # the latest refusal, or the latest halving by quiet
    good_answers: int = 0

    @property
    def spacing_s(self) -> float:
        """Least time from one start to the next, in seconds."""
        return max(self.gap_s, min(self.crawl_delay_s, LONGEST_CRAWL_DELAY_S))

    def wait_s(self, at: datetime, tick_s: float) -> float:
        """Return how long until the host may be asked, in seconds; 0 = now."""
        return max(self.gap_left_s(tick_s), self.rest_left_s(at))

    def gap_left_s(self, tick_s: float) -> float:
        """Return what is left of the gap after the latest start, in seconds."""
        if self.started_tick_s is None:
            return 0.0
        return max(0.0, self.started_tick_s + self.spacing_s - tick_s)

    def rest_left_s(self, at: datetime) -> float:
        """Return what is left of the rest, in seconds."""
        if self.rests_until is None:
            return 0.0
        return max(0.0, (self.rests_until - at).total_seconds())

    def start(self, tick_s: float) -> None:
        """Note that a request starts."""
        self.started_tick_s = tick_s

    def rest(self, until: datetime) -> None:
        """Leave the host alone until a moment; a rest is never shortened."""
        if self.rests_until is None or until > self.rests_until:
            self.rests_until = until

    def answer(
        self, status: int, retry_after: datetime | None, at: datetime, jitter: float
    ) -> bool:
        """Learn from an answer; return whether it put the host to rest.

        A refusal is 429, 503, or any error that bears a Retry-After. The first
        `EXACT_STRIKES` of them with a Retry-After rest exactly that long. A host that
        goes on refusing after the time it gave itself is backed off as well, and so is
        one whose Retry-After has passed already.
        """
        self._forgive_quiet(at)
        if retry_after is not None and retry_after <= at:
            retry_after = None
        if status not in _REFUSALS and (status < 400 or retry_after is None):
            self._count_good(status)
            return False
        self.good_answers = 0
        self.strikes += 1
        self.struck_at = at
        counted = self.strikes if retry_after is None else self.strikes - EXACT_STRIKES
        own = at + timedelta(seconds=back_off_s(counted, jitter))
        self.rest(max(own, retry_after or own))
        return True

    def is_forgettable(self, at: datetime, tick_s: float) -> bool:
        """Return whether nothing would be lost by forgetting the host."""
        self._forgive_quiet(at)
        return self.strikes == 0 and self.wait_s(at, tick_s) == 0

    def _count_good(self, status: int) -> None:
        if status >= 500:
            self.good_answers = 0
            return
        self.good_answers += 1
        if self.good_answers >= FORGIVING_ANSWERS:
            self.good_answers = 0
            self.strikes //= 2

    def _forgive_quiet(self, at: datetime) -> None:
        """Halve the strikes for each whole span of quiet since the host last refused."""
        while self.strikes and self.struck_at and at - self._quiet_from() >= FORGIVING_QUIET:
            self.struck_at = self._quiet_from() + FORGIVING_QUIET
            self.strikes //= 2

    def _quiet_from(self) -> datetime:
        """Return since when the host could have refused: a rest is no quiet."""
        struck_at = self.struck_at or datetime.min.replace(tzinfo=UTC)
        return max(struck_at, self.rests_until or struck_at)
