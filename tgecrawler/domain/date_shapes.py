"""What a way of writing a date is, and the text in which it is looked for.

Shapes are matched in lower case. They begin with a plain character, which lets the
engine skip what cannot match (lookbehinds first: ten times slower), and repeat
nothing inside a repeat, which keeps them linear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from tgecrawler.domain.dates import EARLIEST_YEAR, LATEST_YEAR

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from tgecrawler.domain.date_periods import Period

_LEAD_CHARS = 40  # before a date; the longest lead is "by the very end of the "

TH = r"(?:st|nd|rd|th)"
WEEKDAY = (
    r"(?P<weekday>mon(?:day)?|tue(?:s|sday)?|wed(?:nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?"
    r"|sat(?:urday)?|sun(?:day)?)(?!\w)"
)
# What stands before a month, quarter or year; ``kept`` belongs to it. \Z is where it begins.
PLACE = re.compile(
    r"(?<![\w'-])(?P<place>in|by|for|from|until|till|since|during|before|after|around|through"
    r"|as\searly\sas|to|of)?\s?(?P<kept>"
    r"(?:(?:the|very|end|start|beginning|middle|early|mid|late|later|of|in|this|next|last|coming)"
    r"[\s-]){0,4})\Z"
)
_ADDRESS = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True)
class Scene:
    """A text; ``lower`` has its length, ``published_at`` is UTC."""

    text: str
    lower: str
    published_at: datetime | None

    @property
    def today(self) -> date | None:
        """Return the day of publication in UTC, None where it is unknown."""
        return self.published_at.date() if self.published_at else None


@dataclass(frozen=True, slots=True)
class Hit:
    """What a shape matches in a scene, with the words before it that the shape looks for."""

    scene: Scene
    match: re.Match[str]
    lead: re.Match[str] | None

    def part(self, group: str) -> str:
        """Return what a group of the shape matches, "" for nothing."""
        return self.match.groupdict().get(group) or ""

    def lead_part(self, group: str) -> str:
        """Return what a group of the lead matches, "" for nothing."""
        return self.lead.groupdict().get(group) or "" if self.lead else ""

    @property
    def is_capital(self) -> bool:
        """Return whether the match begins with a capital in the text as written."""
        return self.scene.text[self.match.start()].isupper()

    def has_before(self, pattern: re.Pattern[str]) -> bool:
        """Return whether a pattern is found in the few words before the match."""
        return find_before(pattern, self.scene.lower, self.match.start()) is not None

    def has_after(self, pattern: re.Pattern[str]) -> bool:
        """Return whether a pattern matches right after the match."""
        return pattern.match(self.scene.lower, self.match.end()) is not None


class Shape(NamedTuple):
    """A way of writing a date: ``relative`` ones count from the reader's own day.

    A shape whose pattern is slow is tried only where one of ``needs`` stands.
    """

    pattern: re.Pattern[str]
    read: Callable[[Hit], Period | None]
    lead: re.Pattern[str] | None = None
    relative: bool = False
    needs: tuple[str, ...] = ("",)


def set_scene(text: str, published_at: datetime | None) -> Scene:
    """Return a text as the shapes read it: addresses blanked, the moment in UTC."""
    lower = lower_in_place(text)
    if "://" in lower:
        lower = _ADDRESS.sub(lambda match: "/" * len(match.group()), lower)
    return Scene(text, lower, _to_utc(published_at) if published_at else None)


def lower_in_place(text: str) -> str:
    """Return a text in lower case with every character at its place ("İ" would become two)."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(small if len(small := char.lower()) == 1 else char for char in text)


def find_before(pattern: re.Pattern[str], lower: str, at: int) -> re.Match[str] | None:
    """Return what a pattern, which may end in ``\\Z``, matches in the few words before a place."""
    return pattern.search(lower, max(at - _LEAD_CHARS, 0), at)


def stands_alone(lower: str, match: re.Match[str]) -> bool:
    """Return whether a match is no part of a word, a price, a version or an address."""
    before = lower[match.start() - 1 : match.start()]
    if lower[match.start()].isdigit():
        return before == "" or not (before.isalnum() or before in "_.,:$€£¥#/+'’-")
    return before == "" or not (before.isalnum() or before in "_$@/")


def _to_utc(moment: datetime) -> datetime | None:
    """Return a moment in UTC, which a naive one is taken to be; None for a default value."""
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
