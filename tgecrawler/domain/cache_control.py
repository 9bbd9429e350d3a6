"""How long a server says that its answer will hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tgecrawler.domain.politeness import parse_http_date

if TYPE_CHECKING:
    from datetime import datetime

LONGEST_MAX_AGE_S = (
    86_400  # what is said of a year is said of files that never change, not of feeds
)

_MAX_AGE = re.compile(r'(?:^|[\s,])max-age\s*=\s*"?(\d{1,12})', re.I)
_NOT_KEPT = re.compile(r"(?:^|[\s,])(?:no-cache|no-store|must-revalidate)\b", re.I)


def max_age_s(cache_control: str, expires: str, age: str, *, now: datetime) -> int | None:
    """Return for how many more seconds an answer holds, at most a day; None where unsaid.

    Args:
        cache_control, expires, age: these headers, "" where they are missing.

    Source: RFC 9111, 4.2.1 and 5.2.2; what must be revalidated holds for no time.
    """
    if found := _MAX_AGE.search(cache_control):
        held = int(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0
        return min(max(int(found[1]) - held, 0), LONGEST_MAX_AGE_S)
    if _NOT_KEPT.search(cache_control):
        return 0
    until = parse_http_date(expires, now)
    if until is None:
        return None
    return min(max(int((until - now).total_seconds()), 0), LONGEST_MAX_AGE_S)
