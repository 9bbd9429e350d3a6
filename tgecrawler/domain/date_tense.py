"""Past or to come: which of the days that a date may mean, by the verbs around it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tgecrawler.domain.date_periods import Period
    from tgecrawler.domain.date_shapes import Hit

WINDOW_DAYS = 60  # around the publication, in which the year of a yearless date is certain
NEAR_CHARS = 120  # between a date and the verb that tells its tense
_LATE_DAYS = 7  # a story is passed on so late, and still says "will"

SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]{0,3}\s+(?=[^\sa-z\d])|[\n;|•]")
_FUTURE = re.compile(
    r"(?<!\w)(?:will|shall|can|set\s(?:to|for)|slated|scheduled|expected|expects?|planned|plans?"
    r"|planning|upcoming|ahead|going\sto|about\sto|prepares|starting|until|till|deadline|coming"
    r"|to\s(?:be|launch|list|open|begin|start|hold|go|debut|release|airdrop|take|happen|conduct"
    r"|distribute|end|close|host|roll|unveil|drop|land|arrive|issue|introduce|mint|kick|add)"
    r"|launches|lists|opens|begins|starts|ends|closes|goes|hits|adds|postponed|delayed"
    r"|rescheduled|countdown|ready|register|join)(?!\w)|['’]ll\b"
)
_PAST = re.compile(
    r"(?<!\w)(?<!be\s)(?:launched|opened|was|were|went|began|started|closed|ended|debuted"
    r"|concluded|completed|released|distributed|airdropped|took|happened|been|had|sold|raised"
    r"|rolled|listed|dropped|came|got|kicked|issued|introduced|deployed|minted|received|held"
    r"|added|made|became|did|saw|rose|fell|surged|jumped|soared|gained|plunged|reached"
    r"|climbed|achieved|enabled|unveiled|failed|finished|ago|since|earlier)(?!\w)"
)


def next_or_last(choices: Sequence[Period], hit: Hit) -> Period | None:
    """Return which of the recurrences of a date is meant, by the tense of its sentence."""
    today = hit.scene.today
    if today is None:
        return None
    past = max((period for period in choices if period.first <= today), default=None)
    ahead = min((period for period in choices if period.last() >= today), default=None)
    if past is None or ahead is None or past == ahead:
        return past or ahead
    back, on = (today - past.last()).days, (ahead.first - today).days
    if back <= _LATE_DAYS and on > WINDOW_DAYS:
        return past
    if on <= WINDOW_DAYS < back:
        return ahead
    tense = find_tense(hit)
    if back > WINDOW_DAYS:
        return None if tense == "past" else ahead
    is_past = tense != "future" if on > WINDOW_DAYS else tense == "past"
    return past if is_past else ahead


def find_tense(hit: Hit) -> Literal["past", "future"] | None:
    """Return the tense of the verb nearest before a date in its sentence, else after it."""
    lower, (start, end) = hit.scene.lower, hit.match.span()
    begin = max(start - NEAR_CHARS, 0)
    before = SENTENCE_END.split(lower[begin:start])[-1]
    behind = SENTENCE_END.split(lower[end : end + NEAR_CHARS])[0]
    ends = [
        max((match.end() for match in verbs.finditer(before)), default=-1)
        for verbs in (_PAST, _FUTURE)
    ]
    if ends == [-1, -1]:
        ends = [
            -min((match.start() for match in verbs.finditer(behind)), default=NEAR_CHARS)
            for verbs in (_PAST, _FUTURE)
        ]
    if ends[0] == ends[1]:
        return None
    return "past" if ends[0] > ends[1] else "future"
