"""The one shape in which an alert leaves the program."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tgecrawler.items import Assessment, Mention

ALERT_FIELDS = (
    "id",
    "event_id",
    "title",
    "url",
    "canonical_url",
    "source",
    "owner",
    "medium",
    "companies",
    "project",
    "kind",
    "status",
    "score",
    "reasons",
    "token",
    "event_date",
    "event_date_precision",
    "chain",
    "exchange",
    "claim_url",
    "claim_url_official",
    "promo",
    "lang",
    "published_at",
    "seen_at",
    "stored_at",
    "latency_s",
    "duplicate_of",
)


def alert_of(mention: Mention) -> dict[str, Any]:
    """Return an assessed mention in the shape of an alert, before it is stored.

    What only the database knows (`event_id`, `stored_at`, `latency_s`) is None.

    Raises:
        ValueError: the mention was not assessed.
    """
    if mention.assessment is None:
        raise ValueError(f"mention {mention.entry_id} was not assessed")
    known: dict[str, Any] = {
        "id": mention.entry_id,
        "duplicate_of": mention.copy_of or None,
        "published_at": rfc3339(mention.published_at),
        "seen_at": rfc3339(mention.seen_at),
        "reasons": [asdict(reason) for reason in mention.assessment.reasons],
        "companies": list(mention.assessment.companies),
    }
    return {name: known.get(name, _plain(mention, name)) for name in ALERT_FIELDS}


def rfc3339(moment: datetime | None) -> str | None:
    """Return an aware moment in UTC as RFC 3339, or None."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def _plain(mention: Mention, name: str) -> Any:
    holder: Mention | Assessment | None = mention if hasattr(mention, name) else mention.assessment
    return getattr(holder, name, None)
