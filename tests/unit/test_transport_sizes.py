"""How large a body may be: by its kind, never above DOWNLOAD_MAXSIZE."""

from __future__ import annotations

import pytest

from tgecrawler.transport.sizes import MOST_BYTES, most_bytes_of

DEFAULT = 10 * 2**20


@pytest.mark.parametrize("kind", sorted(MOST_BYTES))
def test_each_kind_has_its_bound(kind: str) -> None:
    assert most_bytes_of({"kind": kind}, DEFAULT) == MOST_BYTES[kind] < DEFAULT


def test_what_has_no_bound_of_its_own_has_the_default() -> None:
    assert most_bytes_of({"kind": "sitemap"}, DEFAULT) == most_bytes_of({}, DEFAULT) == DEFAULT


def test_the_default_bounds_every_kind_and_zero_bounds_none() -> None:
    assert most_bytes_of({"kind": "feed"}, 1000) == 1000
    assert most_bytes_of({"kind": "feed"}, 0) == 0


def test_the_request_has_the_last_word() -> None:
    assert most_bytes_of({"kind": "feed", "download_maxsize": 7}, DEFAULT) == 7
