from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tgecrawler.domain.cache_control import LONGEST_MAX_AGE_S, max_age_s

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cache_control", "expires", "age", "held_s"),
    [
        ("", "", "", None),
        ("public, max-age=300", "", "", 300),
        ("MAX-AGE = 300", "", "", 300),
        ('max-age="300"', "", "", 300),
        ("max-age=300", "", "120", 180),
        ("max-age=300", "", "900", 0),
        ("max-age=300", "", "soon", 300),
        ("max-age=31536000", "", "", LONGEST_MAX_AGE_S),
        ("s-maxage=900", "", "", None),
        ("no-cache", "", "", 0),
        ("private, no-store", "Sun, 01 Mar 2026 13:00:00 GMT", "", 0),
        ("", "Sun, 01 Mar 2026 12:10:00 GMT", "", 600),
        ("", "Sun, 01 Mar 2026 11:00:00 GMT", "", 0),
        ("", "Sun, 01 Mar 2026 12:10:00", "", 600),
        ("", "0", "", None),
        ("", "-1", "", None),
        ("max-age=0", "Sun, 01 Mar 2026 13:00:00 GMT", "", 0),
        ("max-age=x", "", "", None),
    ],
)
def test_for_how_long_an_answer_holds(
    cache_control: str, expires: str, age: str, held_s: int | None
) -> None:
    assert max_age_s(cache_control, expires, age, now=NOW) == held_s
