"""Texts made fit for both engines: what PostgreSQL refuses, and what is too long."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from tgecrawler.storage.models import KEY_CHARS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

# One character for one, so that the offsets of an assessment's reasons stay true.
_REFUSED = re.compile("[\x00\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def clean_text(value: str, max_chars: int | None = None) -> str:
    """Return `value` without NUL and lone surrogates, cut to `max_chars` characters."""
    value = value[:max_chars]
    return value if _is_fit(value) else _REFUSED.sub(REPLACEMENT, value)


def clean_row(table: sa.Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return `row` with every text cleaned and cut to its column's length.

    Keys are left as they are: a key that was cut would be another key.
    """
    most = _most_chars(table)
    clean = {
        name: value[: most[name]] if type(value) is str else value for name, value in row.items()
    }
    # Nearly every row is fit, which one look at all of its texts tells.
    if _is_fit("".join([value for value in clean.values() if type(value) is str])):
        return clean
    return {
        name: clean_text(value) if type(value) is str else value for name, value in clean.items()
    }


def _is_fit(text: str) -> bool:
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@cache
def _most_chars(table: sa.Table) -> dict[str, int | None]:
    return {column.name: _max_chars(column) for column in table.columns}


def _max_chars(column: sa.Column[Any]) -> int | None:
    length = getattr(column.type, "length", None)
    if length == KEY_CHARS and (column.primary_key or column.name.endswith("_key")):
        return None
    return column.info.get("max_chars", length)
