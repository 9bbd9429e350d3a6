"""What of an assessed text tells which event it is about."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from tgecrawler.domain.matching import word_set
from tgecrawler.items import EventTraits

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from tgecrawler.items import Assessment

VERSION = "1"
"""Grows with every change of these rules; stored rows of another version are read anew."""

MAIN = "main"
SALE = "sale"
MIGRATION = "migration"
LISTING = "listing:"
ANYWHERE = "listing:?"
"""A listing whose exchange is not named: its own event, or part of the launch."""

DERIVATIVES = "listing:derivatives"
KEY_CHARS = 60
HEADLINE_CHARS = 300  # of a text without a title
MOST_SEASONS = 40  # a greater number counts something else: "phase 2024"

# What a name may end with and another spelling of it lacks: "Blast Network", "@CalderaXYZ".
_TAILS = word_set(
    "labs lab network protocol foundation finance financial chain exchange dao token coin app"
    " game games ai io xyz org hq fi official ecosystem blockchain mainnet inc ltd team crypto"
    " pacific platform pbc"
)
_WORD = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"['’]s?\b|['’]$")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CARDINALS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_ORDINALS = {"second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7}
_NUMBERS = _CARDINALS | _ORDINALS | {"eighth": 8}
_SEASON = re.compile(
    r"\b(?:season|phase|round|wave|epoch|stage)\s*\#?\s*(?P<after>\d{1,2}|one|two|three|four|five|six)\b"
    r"|\b(?P<ordinal>first|second|third|fourth|fifth|sixth|seventh|eighth|\d{1,2}(?:st|nd|rd|th))"
    r"\s+(?:[\w$-]+\s+){0,2}?(?:airdrop|season|phase|round|wave|sale|drop)\b"
    r"|\bs(?P<short>\d)\b(?!\s*[&p])"
    r"|\b(?:airdrop|drop)\s*\#?(?P<number>\d)\b",
    re.IGNORECASE,
)
_SALE = re.compile(
    r"\b(?:(?:token|public|private|community|seed|pre) ?-?sales?|presales?|ico|ido|ieo|crowdsale"
    r"|launchpool|launchpad|tokens? for sale)\b",
    re.IGNORECASE,
)
_MIGRATION = re.compile(
    r"\b(?:migrat\w+|conver\w+|swap\w*|transition\w*|redenominat\w*|rebrand\w*|upgrad\w+"
    r"|takes over|one for one|1:1)\b",
    re.IGNORECASE,
)
_LAUNCH = re.compile(r"\b(?:airdrop\w*|token launch|tge|token generation)\b", re.IGNORECASE)
_DERIVATIVES = re.compile(r"\b(?:perps?|perpetuals?|futures)\b", re.IGNORECASE)


def traits_of(
    title: str,
    summary: str,
    text: str,
    assessment: Assessment,
    anybodys: Container[str] = frozenset(),
) -> EventTraits:
    """Return what of a mention tells its event. Of a post without a title, its text does.

    Args:
        anybodys: project keys of those whose name says nothing of whose token it is
            (exchanges, media, people); where a ticker is there, it alone counts.
    """
    headline = title or text[:HEADLINE_CHARS]
    token = token_key(assessment.token)
    named = assessment.companies[0] if assessment.companies else assessment.project
    project = project_key(named)
    if project in anybodys and token and not assessment.companies:
        project = ""
    return EventTraits(project, token, _track(headline, summary, assessment), _season(headline))


def project_key(name: str) -> str:
    """Return what all spellings of a project's name have in common: "" of nothing.

    >>> project_key("Berachain Foundation"), project_key("Eigen Layer"), project_key("@CalderaXYZ")
    ('berachain', 'eigenlayer', 'caldera')
    """
    plain = unicodedata.normalize("NFKC", _POSSESSIVE.sub("", name))
    whole = [word.casefold() for word in _WORD.findall(plain)]
    parts = [word.casefold() for word in _WORD.findall(_HUMP.sub(" ", plain))]
    words = parts if parts and parts[-1] in _TAILS else whole
    while len(words) > 1 and words[-1] in _TAILS:
        words = words[:-1]
    return "".join(words)[:KEY_CHARS]


def token_key(token: str) -> str:
    """Return a ticker in capitals and without ``$``."""
    return "".join(_WORD.findall(unicodedata.normalize("NFKC", token).upper()))[:KEY_CHARS]


def keys_of(names: Iterable[str]) -> frozenset[str]:
    """Return the project keys of `names`, for ``anybodys``."""
    return frozenset(map(project_key, names)) - {""}


def _track(title: str, summary: str, assessment: Assessment) -> str:
    kind, exchange = assessment.kind, assessment.exchange
    leads = bool(exchange) and _leads(exchange, title)
    if kind == "listing" and exchange:
        # "X token launch: airdrop live, Binance listing confirmed" is of the launch
        return MAIN if not leads and _LAUNCH.search(title) else _at(exchange)
    if kind == "listing":
        return DERIVATIVES if _DERIVATIVES.search(title) else ANYWHERE
    if kind == "token_sale" or (_SALE.search(title) and "airdrop" not in title.casefold()):
        return SALE
    if kind == "tokenomics" and _MIGRATION.search(f"{title} {summary}"):
        return MIGRATION
    if leads and kind in ("airdrop", "token_launch"):
        return _at(exchange)  # the exchange's own campaign, or how it words a listing
    return MAIN


def _at(exchange: str) -> str:
    return LISTING + (project_key(exchange) or "?")


def _leads(exchange: str, title: str) -> bool:
    """Return whether a title, or what follows its colon or dash, begins with the exchange."""
    return re.search(rf"(?:^|[:–—|]\s*){re.escape(exchange)}\b", title, re.IGNORECASE) is not None


def _season(text: str) -> int:
    match = _SEASON.search(text)
    if match is None:
        return 0
    told = next(group for group in match.groups() if group).casefold()
    digits = "".join(filter(str.isdecimal, told))
    number = int(digits) if digits else _NUMBERS.get(told, 0)
    return number if 1 < number <= MOST_SEASONS else 0
