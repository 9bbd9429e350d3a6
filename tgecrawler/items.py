"""The values that travel through the crawler; each docstring says who fills what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from datetime import datetime

Kind = Literal["token_launch", "airdrop", "token_sale", "listing", "tokenomics", "none"]
Status = Literal[
    "rumour", "announced", "scheduled", "live", "completed", "postponed", "cancelled", "none"
]
Outcome = Literal[
    "stored", "duplicate", "irrelevant", "filtered_early", "too_old", "failed", "pending"
]
TextField = Literal["title", "summary", "text"]
Medium = Literal["article", "post"]
Precision = Literal["minute", "day", "month", "quarter", "year"]

KINDS: tuple[Kind, ...] = get_args(Kind)
STATUSES: tuple[Status, ...] = get_args(Status)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a feed, sitemap or listing page, as ``sources`` parsed it.

    All texts are plain (no markup, no entities, white space folded to single
    spaces; ``text`` keeps line breaks between paragraphs). ``url`` is absolute
    and http(s). ``published_at`` is aware UTC. What a source does not say is ""
    or None. ``text`` is set only where the feed carries the full article.
    """

    url: str
    title: str = ""
    summary: str = ""
    text: str = ""
    author: str = ""
    lang: str = ""
    guid: str = ""
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A parsed feed: ``parse_feed`` returns it.

    ``entries`` are in the feed's order. ``without_link`` counts entries that
    have no usable http(s) link: they are seen, and cannot be crawled.
    ``recovered`` says that the bytes were malformed and read all the same.
    ``ttl_s`` is what the feed asks pollers to wait, where it does; ``skip_hours``
    (0 to 23, UTC) and ``skip_days`` (0 is Monday) are when it asks not to be polled.
    """

    format: Literal["rss", "atom", "json"]
    title: str = ""
    lang: str = ""
    url: str = ""
    entries: tuple[Entry, ...] = ()
    without_link: int = 0
    recovered: bool = False
    ttl_s: int | None = None
    skip_hours: frozenset[int] = frozenset()
    skip_days: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """What an article page says: ``parse_article`` returns it. Texts as in ``Entry``.

    ``links`` are the page's absolute addresses with the words they stand on.
    """

    url: str
    canonical_url: str
    title: str = ""
    text: str = ""
    author: str = ""
    lang: str = ""
    published_at: datetime | None = None
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One contribution to a score.

    ``rule`` is the cue's name as in the weights file, or what a weight of 0 is
    evidence of (``event_date``, ``chain``, ``exchange``, ``claim_url``,
    ``claim_url_suspect: why``). ``weight`` is in log-odds. ``start`` and ``end``
    are offsets in characters into the field that was given to ``assess``; a reason
    about the whole record (the prior, a count) has ``start == end == 0`` and no
    ``text``.
    """

    rule: str
    weight: float
    field: TextField
    start: int = 0
    end: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What ``assess`` makes of a text.

    ``score`` is a probability-like number from 0 to 1: the logistic function of
    the sum of all ``reasons``' weights. ``relevant`` compares it with the
    threshold and with the demands of watchlist or discovery; ``missing`` says,
    for a rejected text, what was lacking. ``companies`` are watchlist names.
    """

    score: float
    relevant: bool
    kind: Kind = "none"
    status: Status = "none"
    companies: tuple[str, ...] = ()
    project: str = ""
    token: str = ""
    event_date: str = ""
    event_date_precision: Precision | None = None
    chain: str = ""
    exchange: str = ""
    claim_url: str = ""
    claim_url_official: bool | None = None
    promo: bool = False
    reasons: tuple[Reason, ...] = ()
    missing: tuple[str, ...] = ()


class EventTraits(NamedTuple):
    """What of a mention tells its event; ``domain.event_traits`` makes it.

    Each is a key, equal for all spellings of the same. ``project`` is "" where
    none is named, or one that stands for anybody's token (an exchange).
    ``token`` is the ticker in capitals. ``track`` keeps apart what is never one
    event: a launch with its airdrop, a sale, a migration, and each exchange's
    listing. ``season`` counts rounds from 2 on; 0 is the first, or one not told.
    """

    project: str
    token: str
    track: str
    season: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A text about something, on its way from a spider to the database.

    The spider fills everything up to ``seen_at``; ``entry_id`` is the ledger's
    handle and the row's key (``domain.fingerprint.mention_key``). The relevance
    pipeline adds ``assessment``, the event pipeline ``traits``; the dedup
    pipeline adds ``url_key``, ``text_key``, ``fingerprint``, ``near`` (entry_ids
    of near copies, each with its similarity from 0 to 1) and ``copy_of``, the
    entry_id of a mention known to be the same story (a hint: the database
    decides). ``page_error`` says why the article's page could not be read; the
    mention then stands on the feed's words alone. ``links`` are the page's, and
    are not stored.
    """

    entry_id: str
    source: str
    owner: str
    tier: int
    url: str
    canonical_url: str
    title: str
    summary: str = ""
    text: str = ""
    author: str = ""
    lang: str = ""
    medium: Medium = "article"
    published_at: datetime | None = None
    seen_at: datetime
    page_error: str = ""
    links: tuple[tuple[str, str], ...] = ()
    assessment: Assessment | None = None
    url_key: str = ""
    text_key: str = ""
    fingerprint: bytes = b""
    near: tuple[tuple[str, float], ...] = ()
    copy_of: str = ""
    traits: EventTraits | None = None
