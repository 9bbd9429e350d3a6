"""How a transaction brings the events up to its mentions.

Only the projects that the transaction touches are grouped again, each from all
its mentions, so that the result is that of grouping everything at once, in
whatever order the mentions came.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tgecrawler.domain.alert import rfc3339
from tgecrawler.domain.event_edits import EventEdit, apply_edits
from tgecrawler.domain.event_grouping import EventMention, group_mentions
from tgecrawler.domain.event_state import Evidence, Telling, summarise
from tgecrawler.domain.near_duplicate import LONG_BYTES
from tgecrawler.storage.cleaning import clean_row
from tgecrawler.storage.companies import read_companies
from tgecrawler.storage.models import (
    EVENT_COMPANIES,
    EVENT_EDITS,
    EVENT_MENTIONS,
    EVENT_REDIRECTS,
    EVENTS,
    MENTION_TRAITS,
    MENTIONS,
)
from tgecrawler.storage.outbox import CHANGED, EVENT, NEW, News
from tgecrawler.storage.upsert import insert_missing, select_in, upsert

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from tgecrawler.domain.event_state import EventState

Row = dict[str, Any]

_EVIDENCE = (
    "source",
    "owner",
    "tier",
    "score",
    "title",
    "url",
    "kind",
    "status",
    "project",
    "token",
    "exchange",
    "chain",
    "event_date",
    "event_date_precision",
    "claim_url",
    "claim_url_official",
)
# A body's fingerprint is longer than that of any headline; `text` itself is slow to reach.
_FULL = sa.func.length(MENTION_TRAITS.c.fingerprint) >= LONG_BYTES
_TOLD_AT = sa.func.coalesce(MENTIONS.c.published_at, MENTIONS.c.seen_at)
_ORIGINALS = (
    sa.select(
        MENTIONS.c.id,
        _TOLD_AT.label("told_at"),
        MENTION_TRAITS.c.entity,
        MENTION_TRAITS.c.track,
        MENTION_TRAITS.c.season,
        _FULL.label("full"),
        *(MENTIONS.c[name] for name in _EVIDENCE),
    )
    .join_from(MENTIONS, MENTION_TRAITS, MENTIONS.c.id == MENTION_TRAITS.c.mention_id)
    .where(MENTIONS.c.duplicate_of.is_(None))
)
_COPIES = sa.select(
    MENTIONS.c.duplicate_of,
    MENTIONS.c.id,
    _TOLD_AT,
    MENTIONS.c.tier,
    _FULL,
    MENTIONS.c.title,
    MENTIONS.c.url,
).join_from(MENTIONS, MENTION_TRAITS, MENTIONS.c.id == MENTION_TRAITS.c.mention_id)


_FACTS = (
    "project",
    "kind",
    "token",
    "exchange",
    "chain",
    "status",
    "event_date",
    "event_date_precision",
    "claim_url",
    "claim_url_official",
)


@dataclass(frozen=True, slots=True)
class EventChanges:
    """Ids of the events that a transaction has made, and of those that it has changed.

    ``news`` is what of it is worth being told to others; see ``_news``.
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    news: tuple[News, ...] = ()


@dataclass(slots=True)
class _Stored:
    """The events that are stored for some mentions: rows by id, and who is in which."""

    rows: dict[str, Row] = field(default_factory=dict)
    event_of: dict[str, str] = field(default_factory=dict)


def regroup(connection: Connection, entities: Collection[str], now: datetime) -> EventChanges:
    """Bring the events of some entities up to the mentions that are stored."""
    if not entities:
        return EventChanges()
    originals, edits = _read_originals(connection, entities)
    groups = _group(originals, edits)
    copies = _read_copies(connection, originals)
    states = _states(connection, groups, originals, copies)
    members = [
        (state.id, member, told_at)
        for group, state in zip(groups, states, strict=True)
        for id_ in group
        for member, told_at in (
            (id_, originals[id_].told_at),
            *((copy.id, copy.told_at) for copy in copies.get(id_, ())),
        )
    ]
    event_of = {member: event for event, member, _ in members}
    stored = _read_stored(connection, event_of)
    before = _predecessors(stored, event_of)
    rows = [_row(state, stored, before.get(state.id, []), now) for state in states]
    gone = stored.rows.keys() - {row["id"] for row in rows}
    leads = _leads(gone, event_of, stored)
    new, changed = _write_events(connection, rows, stored)
    _write_members(connection, members, stored)
    _drop_events(connection, gone, leads)
    return EventChanges(
        tuple(row["id"] for row in new if row["sequence"] == 1),
        tuple(row["id"] for row in (*new, *changed) if row["sequence"] > 1),
        tuple(_news(new, changed, leads, stored)),
    )


def add_edit(
    connection: Connection, action: str, mentions: Sequence[str], now: datetime
) -> EventChanges:
    """Remember a merge or a split, and bring the events up to it."""
    values = {"action": action, "mentions": list(mentions), "made_at": now}
    connection.execute(sa.insert(EVENT_EDITS).values(values))
    return regroup(connection, entities_of(connection, mentions), now)


def entities_of(connection: Connection, ids: Collection[str]) -> set[str]:
    """Return the entities of some mentions, and of their originals where they are copies."""
    query = sa.select(MENTIONS.c.duplicate_of).where(MENTIONS.c.duplicate_of.is_not(None))
    originals = {row[0] for row in select_in(connection, query, MENTIONS.c.id, ids)}
    entities = sa.select(MENTION_TRAITS.c.entity)
    column = MENTION_TRAITS.c.mention_id
    return {row[0] for row in select_in(connection, entities, column, {*ids, *originals})}


def _read_originals(
    connection: Connection, entities: Collection[str]
) -> tuple[dict[str, sa.Row[Any]], list[EventEdit]]:
    """Return the originals of some entities, and of those that edits tie to them."""
    edits = _read_edits(connection)
    originals: dict[str, sa.Row[Any]] = {}
    wanted, known = set(entities), set[str]()
    while wanted:
        found = select_in(connection, _ORIGINALS, MENTION_TRAITS.c.entity, wanted)
        originals |= {row.id: row for row in found}
        known |= wanted
        tied = {
            id_
            for edit in edits
            if any(id_ in originals for id_ in edit.mentions)
            for id_ in edit.mentions
        }
        wanted = entities_of(connection, tied - originals.keys()) - known
    return originals, edits


def _read_edits(connection: Connection) -> list[EventEdit]:
    """Return all edits; a mention that has become a copy since stands for its original."""
    rows = connection.execute(sa.select(EVENT_EDITS).order_by(EVENT_EDITS.c.id)).all()
    ids = {id_ for row in rows for id_ in row.mentions}
    query = sa.select(MENTIONS.c.id, MENTIONS.c.duplicate_of)
    original = {
        row.id: row.duplicate_of or row.id
        for row in select_in(connection, query, MENTIONS.c.id, ids)
    }
    return [
        EventEdit(
            id=row.id,
            action=row.action,
            mentions=tuple(dict.fromkeys(original.get(id_, id_) for id_ in row.mentions)),
        )
        for row in rows
    ]


def _group(originals: dict[str, sa.Row[Any]], edits: Iterable[EventEdit]) -> list[list[str]]:
    grouped = group_mentions(
        EventMention(
            id=row.id,
            told_at=row.told_at,
            entity=row.entity,
            track=row.track,
            season=row.season,
            status=row.status,
        )
        for row in originals.values()
    )
    return apply_edits(([mention.id for mention in event] for event in grouped), edits)


def _read_copies(
    connection: Connection, originals: Collection[str]
) -> dict[str, tuple[Telling, ...]]:
    copies: dict[str, list[Telling]] = defaultdict(list)
    for original, *telling in select_in(connection, _COPIES, MENTIONS.c.duplicate_of, originals):
        copies[original].append(Telling(*telling))
    return {original: tuple(sorted(told)) for original, told in copies.items()}


def _states(
    connection: Connection,
    groups: Iterable[Sequence[str]],
    originals: dict[str, sa.Row[Any]],
    copies: dict[str, tuple[Telling, ...]],
) -> list[EventState]:
    companies = read_companies(connection, originals)
    # By place: of thousands of rows and a score of columns, names would cost most of the time.
    evidence = {
        id_: Evidence(
            id=id_,
            told_at=row.told_at,
            companies=tuple(companies.get(id_, ())),
            copies=copies.get(id_, ()),
            full=bool(row.full),
            **dict(zip(_EVIDENCE, row[-len(_EVIDENCE) :], strict=True)),
        )
        for id_, row in originals.items()
    }
    return [summarise([evidence[id_] for id_ in group]) for group in groups]


def _read_stored(connection: Connection, members: Mapping[str, str]) -> _Stored:
    """Return what is stored of mentions and of the events that they are going to be in.

    An event may be there without its mentions, which were old: it then goes on.
    """
    query = sa.select(EVENT_MENTIONS.c.mention_id, EVENT_MENTIONS.c.event_id)
    found = select_in(connection, query, EVENT_MENTIONS.c.mention_id, members)
    event_of = {row.mention_id: row.event_id for row in found}
    ids = {*event_of.values(), *members.values()}
    rows = {
        row.id: dict(row._mapping)
        for row in select_in(connection, sa.select(EVENTS), EVENTS.c.id, ids)
    }
    return _Stored(rows, event_of)


def _row(state: EventState, stored: _Stored, before: list[Row], now: datetime) -> Row:
    """Return an event's row; as it is stored, where nothing of it has changed.

    Args:
        before: the stored events that it goes on.
    """
    values: Row = {one.name: getattr(state, one.name) for one in fields(state)}
    values["size"] = state.mentions + state.copies
    values["companies"] = list(state.companies)
    values["history"] = [{**step._asdict(), "at": rfc3339(step.at)} for step in state.history]
    values = clean_row(EVENTS, values)
    if not before:
        return {**values, "sequence": 1, "created_at": now, "changed_at": now}
    same = stored.rows.get(state.id)
    if same and all(same[name] == value for name, value in values.items()):
        return same
    return {
        **values,
        "sequence": max(row["sequence"] for row in before) + 1,
        "created_at": min(row["created_at"] for row in before),
        "changed_at": now,
    }


def _predecessors(stored: _Stored, event_of: dict[str, str]) -> dict[str, list[Row]]:
    """Return for each event the stored ones that it goes on: itself, and those that began in it."""
    before: dict[str, list[Row]] = defaultdict(list)
    for old, row in stored.rows.items():
        for id_ in {old, event_of.get(row["first_mention"], old)}:
            before[id_].append(row)
    return before


def _news(
    new: Sequence[Row], changed: Sequence[Row], leads: Mapping[str, str], stored: _Stored
) -> Iterator[News]:
    """Yield what is to be told: new events, those that say something else, and new ids.

    One that only grew by a text, looks more certain by less than a tenth, or is shown by
    another headline says what it said before: to tell that each time would be noise.
    """
    moved = set(leads.values())
    for row in new:
        if row["id"] not in moved:
            change = NEW if row["sequence"] == 1 else CHANGED
            yield News(kind=EVENT, ref=row["id"], change=change)
    for was, to in leads.items():
        yield News(kind=EVENT, ref=to, change=CHANGED, was=was)
    for row in changed:
        if row["id"] not in moved and _facts(row) != _facts(stored.rows[row["id"]]):
            yield News(kind=EVENT, ref=row["id"], change=CHANGED)


def _facts(row: Row) -> tuple[Any, ...]:
    """Return what an event says; two rows of which it is the same need not both be told."""
    certain = int(row["confidence"] * 10)
    return (*(row[name] for name in _FACTS), sorted(row["companies"]), certain)


def _write_events(
    connection: Connection, rows: list[Row], stored: _Stored
) -> tuple[list[Row], list[Row]]:
    """Return the rows that are new, and those that were there and are changed."""
    new = [row for row in rows if row["id"] not in stored.rows]
    changed = [row for row in rows if stored.rows.get(row["id"]) not in (None, row)]
    upsert(connection, EVENTS, new + changed)
    _write_event_companies(connection, new, changed)
    came_back = [{"gone": row["id"]} for row in new]
    if came_back:
        redirect = EVENT_REDIRECTS.c.old_id == sa.bindparam("gone")
        connection.execute(sa.delete(EVENT_REDIRECTS).where(redirect), came_back)
    return new, changed


def _write_event_companies(
    connection: Connection, new: Sequence[Row], changed: Sequence[Row]
) -> None:
    """Let each event be found by its companies, with what its lists are ordered and cut by."""
    gone = [{"gone": row["id"]} for row in changed]
    if gone:
        event = EVENT_COMPANIES.c.event_id == sa.bindparam("gone")
        connection.execute(sa.delete(EVENT_COMPANIES).where(event), gone)
    rows = [
        {
            "event_id": row["id"],
            "company": company,
            "last_seen_at": row["last_seen_at"],
            "confidence": row["confidence"],
        }
        for row in (*new, *changed)
        for company in row["companies"]
    ]
    insert_missing(connection, EVENT_COMPANIES, rows)


def _write_members(
    connection: Connection, members: Iterable[tuple[str, str, datetime]], stored: _Stored
) -> None:
    moved = [
        {"mention_id": id_, "event_id": event, "told_at": told_at}
        for event, id_, told_at in members
        if stored.event_of.get(id_) != event
    ]
    upsert(connection, EVENT_MENTIONS, moved)


def _leads(gone: Collection[str], event_of: dict[str, str], stored: _Stored) -> dict[str, str]:
    """Return for each event that is no more the one that goes on with it."""
    leads = {id_: event_of.get(stored.rows[id_]["first_mention"], "") for id_ in sorted(gone)}
    return {old: new for old, new in leads.items() if new}


def _drop_events(connection: Connection, gone: Collection[str], leads: Mapping[str, str]) -> None:
    """Delete events that are no more, and lead from each to the one that goes on with it."""
    if leads:
        moves = [{"gone": old, "to": new} for old, new in leads.items()]
        chain = sa.update(EVENT_REDIRECTS).where(EVENT_REDIRECTS.c.new_id == sa.bindparam("gone"))
        connection.execute(chain.values(new_id=sa.bindparam("to")), moves)
        rows = [{"old_id": old, "new_id": new} for old, new in leads.items()]
        insert_missing(connection, EVENT_REDIRECTS, rows)
    if gone:
        dropped = sa.delete(EVENTS).where(EVENTS.c.id == sa.bindparam("gone"))
        connection.execute(dropped, [{"gone": id_} for id_ in sorted(gone)])
