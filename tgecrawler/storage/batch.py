"""What goes to the writer and comes back, and the rows that a batch becomes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

from tgecrawler.domain.event_traits import MAIN, VERSION
from tgecrawler.domain.near_duplicate import VERSION as FINGERPRINT_VERSION
from tgecrawler.items import EventTraits
from tgecrawler.storage.cleaning import clean_row, clean_text
from tgecrawler.storage.models import COMPANY_CHARS, MENTION_TEXTS, MENTION_TRAITS, MENTIONS
from tgecrawler.storage.partitions import month_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tgecrawler.items import Assessment, Mention, Outcome, Reason


TRAITS_VERSION = f"{VERSION}.{FINGERPRINT_VERSION}"
"""Of the rules that make a mention's traits; rows of another version are made anew."""

MOST_REASONS = 200
REASON_TEXT_CHARS = 500

_NO_TRAITS = EventTraits("", "", MAIN, 0)

ASSESSMENT_FIELDS = (
    "score",
    "kind",
    "status",
    "project",
    "token",
    "event_date",
    "event_date_precision",
    "chain",
    "exchange",
    "claim_url",
    "claim_url_official",
    "promo",
)
FACTS = tuple(name for name in ASSESSMENT_FIELDS if name != "score")
"""What a verdict says, but for how sure it is."""

ASSESSMENT_COLUMNS = (*ASSESSMENT_FIELDS, "reasons", "rules_version")
"""What a new version of the rules may change in a row; all else stays as first written."""

MENTION_FIELDS = (
    "source",
    "owner",
    "tier",
    "medium",
    "url",
    "canonical_url",
    "url_key",
    "text_key",
    "title",
    "summary",
    "author",
    "lang",
    "published_at",
    "seen_at",
    "page_error",
)


_mention_values = attrgetter(*MENTION_FIELDS)
_assessment_values = attrgetter(*ASSESSMENT_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """An entry that was judged and is not stored; ``id`` is its mention_key."""

    id: str
    outcome: Outcome
    rules_version: str
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one transaction writes. ``rules_version`` is that of all the assessments."""

    mentions: Sequence[Mention] = ()
    rejected: Sequence[Rejected] = ()
    rules_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """What became of a batch, after its commit.

    ``outcomes`` has every mention's entry_id. ``new_rows`` counts mentions that
    were not there before; ``alerts`` are the ids of alerts for stories that had
    none (not of those that moved to an earlier mention); ``events`` are new
    events, ``changed_events`` those that something is new about.
    """

    outcomes: dict[str, Literal["stored", "duplicate"]] = field(default_factory=dict)
    new_rows: int = 0
    alerts: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    changed_events: tuple[str, ...] = ()


def row_count(batch: Batch) -> int:
    """Return how many rows a batch bears, mentions and rejected ones."""
    return len(batch.mentions) + len(batch.rejected)


def ids_of(batch: Batch) -> list[str]:
    """Return the ids of a batch's rows, of mentions and rejected ones."""
    ids = [mention.entry_id for mention in batch.mentions]
    return ids + [entry.id for entry in batch.rejected]


def batch_of(rows: Iterable[Mention | Rejected], rules_version: str) -> Batch:
    """Return a batch of rows of either kind."""
    listed = list(rows)
    return Batch(
        mentions=[row for row in listed if not isinstance(row, Rejected)],
        rejected=[row for row in listed if isinstance(row, Rejected)],
        rules_version=rules_version,
    )


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """Return the first and the second half of a batch's rows."""
    rows: list[Mention | Rejected] = [*batch.mentions, *batch.rejected]
    middle = len(rows) // 2
    first, second = (batch_of(half, batch.rules_version) for half in (rows[:middle], rows[middle:]))
    return first, second


def joined(batches: Sequence[Batch]) -> Batch:
    """Return one batch of the rows of some; all of them are of the same rules."""
    return Batch(
        mentions=[mention for batch in batches for mention in batch.mentions],
        rejected=[entry for batch in batches for entry in batch.rejected],
        rules_version=batches[0].rules_version,
    )


def mention_rows(batch: Batch, stored_at: datetime) -> dict[str, dict[str, Any]]:
    """Return a row of ``mentions`` for each entry_id; the first of equals counts.

    Raises:
        ValueError: a mention without an assessment, which is a mistake of ours.
    """
    rows: dict[str, dict[str, Any]] = {}
    for mention in batch.mentions:
        if mention.entry_id not in rows:
            rows[mention.entry_id] = _mention_row(mention, batch.rules_version, stored_at)
    return rows


def text_rows(batch: Batch, stored_at: datetime) -> dict[str, dict[str, Any]]:
    """Return a row of ``mention_texts`` for each entry_id whose mention has a body."""
    month = month_of(stored_at)
    rows: dict[str, dict[str, Any]] = {}
    for mention in batch.mentions:
        if mention.text and mention.entry_id not in rows:
            row = {"mention_id": mention.entry_id, "month": month, "text": mention.text}
            rows[mention.entry_id] = clean_row(MENTION_TEXTS, row)
    return rows


def company_names(batch: Batch) -> dict[str, list[str]]:
    """Return the companies that each mention names, in order, for its entry_id."""
    names: dict[str, list[str]] = {}
    for mention in batch.mentions:
        cleaned = [clean_text(name, COMPANY_CHARS) for name in _assessment(mention).companies]
        names.setdefault(mention.entry_id, list(dict.fromkeys(cleaned)))
    return names


def traits_rows(batch: Batch) -> dict[str, dict[str, Any]]:
    """Return a row of ``mention_traits`` for each entry_id; the first of equals counts."""
    rows: dict[str, dict[str, Any]] = {}
    for mention in batch.mentions:
        if mention.entry_id not in rows:
            rows[mention.entry_id] = traits_row(
                mention.entry_id, mention.traits or _NO_TRAITS, mention.fingerprint
            )
    return rows


def traits_row(id_: str, traits: EventTraits, fingerprint: bytes) -> dict[str, Any]:
    """Return a mention's row of ``mention_traits`` but for its entity."""
    row = {
        "mention_id": id_,
        "project_key": traits.project,
        "token_key": traits.token,
        "track": traits.track,
        "season": traits.season,
        "version": TRAITS_VERSION,
        "fingerprint": fingerprint,
    }
    return clean_row(MENTION_TRAITS, row)


def near_copies(batch: Batch) -> dict[str, tuple[tuple[str, float], ...]]:
    """Return the near copies that each mention has met, for its entry_id."""
    near: dict[str, tuple[tuple[str, float], ...]] = {}
    for mention in batch.mentions:
        near.setdefault(mention.entry_id, mention.near)
    return near


def rejected_rows(batch: Batch) -> list[dict[str, Any]]:
    """Return a row of ``seen`` for each rejected id that is no mention of this batch."""
    stored = {mention.entry_id for mention in batch.mentions}
    last: dict[str, Rejected] = {}
    for entry in batch.rejected:
        known = last.get(entry.id)
        if known is None or known.rules_version != entry.rules_version:
            last[entry.id] = entry
    return [asdict(entry) for entry in last.values() if entry.id not in stored]


def _mention_row(mention: Mention, rules_version: str, stored_at: datetime) -> dict[str, Any]:
    assessment = _assessment(mention)
    row = dict(zip(MENTION_FIELDS, _mention_values(mention), strict=True))
    row.update(zip(ASSESSMENT_FIELDS, _assessment_values(assessment), strict=True))
    row |= {"id": mention.entry_id, "stored_at": stored_at, "rules_version": rules_version}
    row["reasons"] = [_reason(reason) for reason in assessment.reasons[:MOST_REASONS]]
    return clean_row(MENTIONS, row)


def _assessment(mention: Mention) -> Assessment:
    if mention.assessment is None:
        raise ValueError(f"mention {mention.entry_id} was not assessed")
    return mention.assessment


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "rule": reason.rule,
        "weight": reason.weight,
        "field": reason.field,
        "start": reason.start,
        "end": reason.end,
        "text": clean_text(reason.text, REASON_TEXT_CHARS),
    }
