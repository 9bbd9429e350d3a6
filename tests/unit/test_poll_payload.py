"""What workers pass on about sources and entries, and what of it is believed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest

from tgecrawler.items import Entry
from tgecrawler.spiders.poll_payload import dump_settled, dump_state, load_settled, load_state
from tgecrawler.spiders.waiting import NamedSource, Waiting, dump_waiting, load_waiting
from tgecrawler.storage.polls import PollState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "https://desk.example/rss"
STATE = PollState(
    slug="desk",
    url=URL,
    etag='"1"',
    polled_at=NOW,
    next_poll_at=NOW,
    consecutive_failures=2,
    content_key="1key",
    trusts_validators=False,
    history="{}",
)
WAITING = Waiting(
    "entry",
    NamedSource("desk", "owner", 1, "en"),
    Entry(url="https://desk.example/1", title="Té", published_at=NOW),
    NOW,
)


@pytest.mark.parametrize("told", [None, frozenset(), frozenset({"a", "b"})])
def test_a_state_comes_back_as_it_was(told: frozenset[str] | None) -> None:
    assert load_state(dump_state(STATE, told), URL) == (STATE, told)


def test_a_state_of_another_address_counts_for_nothing() -> None:
    assert load_state(dump_state(STATE, None), "https://other.example/") is None


def test_what_is_settled_comes_back() -> None:
    fields = load_settled(dump_settled(STATE))
    assert fields == {
        "content_key": "1key",
        "etag": '"1"',
        "last_modified": None,
        "unsettled_polls": 0,
    }
    assert replace(PollState(slug="desk", url=URL), **fields).etag == '"1"'


def state_with(**values: object) -> bytes:
    payload = dump_state(STATE, None)
    return changed(payload, state=orjson.loads(payload)["state"] | values)


def changed(payload: bytes, **values: object) -> bytes:
    return orjson.dumps(orjson.loads(payload) | values)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x80\x04\x95",
        b"[1]",
        b'{"v": 1}',
        changed(dump_state(STATE, None), v=2),
        changed(dump_state(STATE, None), state={"url": URL}),
        changed(
            dump_state(STATE, None),
            state=orjson.loads(dump_state(STATE, None))["state"] | {"etag": 1},
        ),
        changed(
            dump_state(STATE, None),
            state=orjson.loads(dump_state(STATE, None))["state"] | {"polled_at": "soon"},
        ),
        changed(dump_state(STATE, None), told=1),
        state_with(whole_at="2026-03-01T12:00:00"),  # compared with aware ones, it would raise
        state_with(polled_at="0001-01-01T00:00:00Z"),
        state_with(etag='"1"\r\nX-Evil: 1'),
        state_with(last_modified="\0"),
        state_with(consecutive_failures=-(10**9)),  # would make the wait nothing
        state_with(unsettled_polls=2**63),
    ],
)
def test_a_state_that_cannot_be_read_counts_for_nothing(payload: bytes) -> None:
    assert load_state(payload, URL) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"x",
        changed(dump_settled(STATE), etag=[]),
        changed(dump_settled(STATE), etag="\n"),
    ],
)
def test_what_is_settled_and_cannot_be_read_counts_for_nothing(payload: bytes) -> None:
    assert load_settled(payload) is None


def test_an_entry_travels_as_json() -> None:
    assert load_waiting(orjson.loads(orjson.dumps(dump_waiting(WAITING)))) == WAITING


@pytest.mark.parametrize(
    "change",
    [
        {"id": 1},
        {"source": ["desk"]},
        {"source": None},
        {"entry": []},
        {"entry": {"url": 1, "published_at": None}},
        {"seen_at": "2026-03-01T12:00:00"},
        {"seen_at": "soon"},
        {"seen_at": None},
    ],
)
def test_a_foreign_entry_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no entry that waits"):
        load_waiting(dump_waiting(WAITING) | change)
