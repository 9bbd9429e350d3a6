"""What a worker passes on about a source to the one that polls it next, as JSON."""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import orjson

from tgecrawler.storage.polls import PollState

VERSION = 1
SETTLED = ("content_key", "etag", "last_modified", "unsettled_polls")
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "int": (int,),
    "bool": (bool,),
    "datetime | None": (str, type(None)),
}
MOST_COUNT = 1_000_000
_LINE = re.compile("[^\r\n\0]{0,100000}")
_FIELDS = {one.name: str(one.type) for one in fields(PollState)}


def dump_state(state: PollState, told: frozenset[str] | None) -> bytes:
    """Return a source's state, and what its last body told; see `load_state`."""
    listed = None if told is None else sorted(told)
    return orjson.dumps({"v": VERSION, "state": asdict(state), "told": listed})


def load_state(payload: bytes, url: str) -> tuple[PollState, frozenset[str] | None] | None:
    """Return what `dump_state` was given; None where it is nothing, or of another address."""
    found = _load(payload)
    given, told = found.get("state"), found.get("told")
    if found.get("v") != VERSION or not isinstance(given, dict) or given.get("url") != url:
        return None
    try:
        state = PollState(**{name: _value(given[name], kind) for name, kind in _FIELDS.items()})
        return state, None if told is None else frozenset(map(str, told))
    except (KeyError, ValueError, TypeError):
        return None


def dump_settled(state: PollState) -> bytes:
    """Return which body of a source has nothing left to do; see `load_settled`."""
    return orjson.dumps({"v": VERSION} | {name: getattr(state, name) for name in SETTLED})


def load_settled(payload: bytes) -> dict[str, Any] | None:
    """Return the fields of a `PollState` that a settled body sets; None where there are none."""
    found = _load(payload)
    try:
        settled = {name: _value(found[name], _FIELDS[name]) for name in SETTLED}
    except (KeyError, ValueError, TypeError):
        return None
    return settled if found.get("v") == VERSION else None


def _load(payload: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _value(value: Any, kind: str) -> Any:
    """Return a field's value; raise TypeError or ValueError where it is of another kind."""
    if not isinstance(value, _TYPES[kind]):
        raise TypeError(kind)
    if isinstance(value, int) and not 0 <= value <= MOST_COUNT:
        raise ValueError(f"{value} is no count")
    if not isinstance(value, str):
        return value
    return _moment(value) if kind.startswith("datetime") else one_line(value)


def one_line(text: str) -> str:
    """Return a text that a header and a row of any database may hold.

    Raises:
        ValueError: it is none.
    """
    if not _LINE.fullmatch(text):
        raise ValueError(f"not one line: {text:.100}")
    return text


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not 1900 < moment.year < 3000:  # with others one can reckon
        raise ValueError(f"{text} is no moment of ours")
    return moment
