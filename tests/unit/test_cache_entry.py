from __future__ import annotations

import os

import pytest
import zstandard
from cache_cases import START_S
from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.cache.entry import (
    MOST_VALUE_BYTES,
    Entry,
    FrameError,
    pack_body,
    pack_head,
    unpack_entry,
)
from tgecrawler.domain.caching import ChangeHistory


def entry(value: bytes = b"v", **fields) -> Entry:
    moments = {"stored_s": START_S, "checked_s": START_S + 1, "expires_s": START_S + 600}
    return Entry(value, **{**moments, **fields})


@given(st.binary(max_size=5_000), st.binary(max_size=200), st.lists(st.text(), max_size=4))
def test_an_entry_comes_back_as_it_was(value: bytes, meta: bytes, tags: list[str]) -> None:
    kept = [tag for tag in tags if tag.isprintable()]
    one = entry(value, meta=meta, tags=tuple(kept), history=ChangeHistory(3.0, 1.0, 99.5))
    assert unpack_entry(pack_head(one), pack_body(value)) == one


def test_the_form_of_version_1() -> None:
    """What earlier versions have stored must stay readable, or bear another version."""
    head = pack_head(Entry(b"", 1.0, 2.0, 3.0, b"meta", ("a",), ChangeHistory(4.0, 5.0, 6.0)))
    assert head.hex() == (
        "544301000000000000f03f000000000000004000000000000008400000000000001040"
        "0000000000001440000000000000184005000000" + b'["a"]meta'.hex()
    )
    assert pack_body(b"value").hex() == "00" + "3458771d" + b"value".hex()


def test_what_gains_is_compressed_and_nothing_else() -> None:
    page, noise = b"<p>token generation event</p>" * 400, os.urandom(10_000)
    assert len(pack_body(page)) < len(page) / 10
    assert len(pack_body(noise)) == len(noise) + 5
    assert len(pack_body(b"a" * 100)) == 105


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"", pack_body(b"v")),
        (b"XX" + pack_head(entry())[2:], pack_body(b"v")),
        (b"TC\x02" + pack_head(entry())[3:], pack_body(b"v")),
        (pack_head(entry())[:-1], pack_body(b"v")),
        (pack_head(entry()), b""),
        (pack_head(entry()), pack_body(b"v")[:-1] + b"w"),
        (pack_head(entry()), b"\x07" + pack_body(b"v")[1:]),
        (pack_head(entry()), pack_body(b"value " * 200)[:-9]),
        (pack_head(entry()), b"\x01\0\0\0\0" + b"no frame of zstandard"),
    ],
)
def test_damaged_bytes_are_told_from_an_entry(head: bytes, body: bytes) -> None:
    with pytest.raises(FrameError):
        unpack_entry(head, body)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zstandard.ZstdCompressor().compress(b"\0" * (MOST_VALUE_BYTES + 1))
    with pytest.raises(FrameError, match="too large"):
        unpack_entry(pack_head(entry()), b"\x01\0\0\0\0" + bomb)


def test_how_long_an_entry_is_fresh() -> None:
    one = entry()
    assert one.is_fresh(START_S + 599)
    assert not one.is_fresh(START_S + 600)
    assert one.is_fresh(START_S + 100, max_age_s=100)
    assert not one.is_fresh(START_S + 101, max_age_s=100)
    assert not one.is_fresh(START_S + 1, max_age_s=0)
    # a longer wish changes nothing; a clock that was wrong by an hour makes nothing fresh
    assert not one.is_fresh(START_S + 700, max_age_s=1_000)
    assert not one.is_fresh(START_S - 3_600)
