"""Pages that are too deep or have too many elements are refused, others read."""

from __future__ import annotations

import pytest

from tgecrawler.errors import SourceError
from tgecrawler.sources.article import parse_article


@pytest.mark.parametrize(
    ("markup", "read"),
    [
        ("<div>" * 150 + "{}", True),
        ("<div>" * 250 + "{}", False),
        ("{}" + "<b>x</b>" * 40_000, True),
        ("{}" + "<b>x</b>" * 50_001, False),
        ("{}" + "<" * 120_000, False),  # before a tree is made, as if each began an element
    ],
    ids=["150 levels", "250 levels", "40,000 elements", "50,001 elements", "120,000 brackets"],
)
def test_bombs_are_refused(markup: str, read: bool) -> None:
    words = "<p>" + "A sentence of the story. " * 10 + "</p>"
    page = f"<html><body>{markup.format(words)}".encode()
    if read:
        assert parse_article(page, url="https://desk.example/a").text
    else:
        with pytest.raises(SourceError, match="levels"):
            parse_article(page, url="https://desk.example/a")
