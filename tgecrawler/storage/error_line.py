"""How a database's failures are told: one line, without a password."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from sqlalchemy.exc import TimeoutError as PoolTimeout

from tgecrawler.errors import DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import URL

_POOL_EXHAUSTED = (
    "all connections were in use for too long; raise TGE_DATABASE_POOL_SIZE or "
    "TGE_DATABASE_POOL_OVERFLOW, or let fewer ask at the same time"
)
_ADVICE = {
    "canceling statement due to statement timeout": "raise TGE_DATABASE_STATEMENT_TIMEOUT_S "
    "or ask for less",
}


def database_error(error: BaseException, url: URL) -> DatabaseError:
    """Return ``error`` as one line that names the database and bears no password."""
    message = f"the database {_place(url)} cannot be used: {_reason(error)}"
    for secret in _secrets(url):
        message = message.replace(secret, "***")
    return DatabaseError(message)


def _place(url: URL) -> str | None:
    return url.database if url.drivername == "sqlite" else url.render_as_string()


def _reason(error: BaseException) -> str:
    if isinstance(error, PoolTimeout):
        return _POOL_EXHAUSTED
    cause = getattr(error, "orig", None) or error
    line = " ".join(str(cause).strip().splitlines()[:1]) or type(cause).__name__
    advice = next((told for begins, told in _ADVICE.items() if line.startswith(begins)), "")
    return f"{line}; {advice}" if advice else line


def _secrets(url: URL) -> list[str]:
    found = [value for name, value in url.query.items() if "pass" in name]
    texts = [text for text in [url.password, *found] if isinstance(text, str) and text]
    return [form for text in texts for form in (text, quote(text, safe=""), quote_plus(text))]
