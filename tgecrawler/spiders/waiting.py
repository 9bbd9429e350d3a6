"""An entry that waits for its page, and how it travels to the process that fetches it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Protocol

from tgecrawler.items import Entry


class SourceRow(Protocol):
    """What an entry's source must tell; a row of sources.yaml."""

    @property
    def slug(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def tier(self) -> int: ...
    @property
    def lang(self) -> str: ...


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A source that no sources.yaml of this process need have."""

    slug: str
    owner: str
    tier: int = 2
    lang: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry that waits for its page."""

    entry_id: str
    source: SourceRow
    entry: Entry
    seen_at: datetime


_ENTRY_TEXTS = tuple(one.name for one in fields(Entry) if one.name != "published_at")


def dump_waiting(one: Waiting) -> dict[str, Any]:
    """Return an entry as plain JSON values; see `load_waiting`."""
    source, published_at = one.source, one.entry.published_at
    entry = {name: value for name, value in asdict(one.entry).items() if value}
    entry["published_at"] = published_at.isoformat() if published_at else None
    return {
        "id": one.entry_id,
        "source": [source.slug, source.owner, source.tier, source.lang],
        "entry": entry,
        "seen_at": one.seen_at.isoformat(),
    }


def load_waiting(given: dict[str, Any]) -> Waiting:
    """Return what `dump_waiting` was given.

    Raises:
        ValueError: it is nothing of the kind.
    """
    try:
        slug, owner, tier, lang = given["source"]
        entry = given["entry"]
        texts = {name: _text(entry.get(name, "")) for name in _ENTRY_TEXTS}
        published_at = entry["published_at"]
        return Waiting(
            _text(given["id"]),
            NamedSource(_text(slug), _text(owner), int(tier), _text(lang)),
            Entry(published_at=_moment(published_at) if published_at else None, **texts),
            _moment(given["seen_at"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"no entry that waits for its page: {error!r}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError(f"{value} bears no time zone")
    return moment
