"""Whether a conditional request is answered with 304, as a server would decide."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from tgecrawler.archive.response import ArchivedResponse


def not_modified(page: ArchivedResponse, if_none_match: str, if_modified_since: str) -> bool:
    """Return whether the asker holds this page already.

    Args:
        if_none_match: that header's value, "" where it is not sent; where it
            is, the date is not looked at.
        if_modified_since: that header's value, "" where it is not sent.

    Source: RFC 9110, 13.1.2, 13.1.3 and 13.2.2; entity tags compare weakly.
    """
    if page.status != 200:
        return False
    if if_none_match:
        tag = _strong(_header(page, "etag"))
        asked = {_strong(part) for part in if_none_match.split(",")}
        return bool(tag) and (tag in asked or if_none_match.strip() == "*")
    since, changed = _date(if_modified_since), _date(_header(page, "last-modified"))
    return since is not None and changed is not None and changed <= since


def _header(page: ArchivedResponse, name: str) -> str:
    return next((value for key, value in page.headers if key.lower() == name), "")


def _strong(tag: str) -> str:
    return tag.strip().removeprefix("W/")


def _date(value: str) -> datetime | None:
    try:
        # a date without a zone is none that HTTP knows
        date = parsedate_to_datetime(value)
        return date if date.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None
