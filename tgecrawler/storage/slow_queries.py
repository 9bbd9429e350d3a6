"""The slow-query log: a line for each statement that took too long, and now and then its plan."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tgecrawler.storage.query_timing import Statement

logger = logging.getLogger(__name__)

PLAN_EVERY_S = 3_600.0
LONGEST_TEXT = 2_000

_PLACE = r"(?:\?|%\(\w+\)s)"
_PLACES = re.compile(rf"({_PLACE})(?:, {_PLACE})+")
_PLACE_ROWS = re.compile(rf"(\({_PLACE}(?:, …)?\))(?:, \({_PLACE}(?:, …)?\))+")
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_SPACE = re.compile(r"\s+")


class SlowQueries:
    """Logs slow statements; the plan of each name at most once an hour."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._planned_s: dict[str, float] = {}

    def tell(self, name: str, statement: Statement, beside: Engine) -> None:
        """Log a statement.

        Args:
            beside: reaches the same server on a connection of its own, so that the plan
                is neither part of the query's transaction nor waits for the pool.
        """
        plan = f"; plan: {explain(statement, beside)}" if self._plans(name) else ""
        logger.warning(
            "slow query %s: %.0f ms, %s rows: %s%s",
            name,
            statement.took_s * 1_000,
            "?" if statement.rows is None else statement.rows,
            shortened(statement.text),
            plan,
        )

    def _plans(self, name: str) -> bool:
        now_s = self.clock()
        with self._lock:
            if now_s - self._planned_s.get(name, -PLAN_EVERY_S) < PLAN_EVERY_S:
                return False
            self._planned_s[name] = now_s
            return True


def explain(statement: Statement, beside: Engine) -> str:
    """Return the plan of a statement in one line without values, or why there is none."""
    if statement.parameters is None:
        return "none of a statement for many rows"
    verb = "EXPLAIN QUERY PLAN" if beside.dialect.name == "sqlite" else "EXPLAIN"
    try:
        with beside.connect() as connection:
            rows = connection.exec_driver_sql(f"{verb} {statement.text}", statement.parameters)
            lines = [str(row[-1]) for row in rows]
    except SQLAlchemyError as error:  # its text may repeat a value
        return f"none ({type(error).__name__})"
    return shortened(" | ".join(_LITERAL.sub("?", line).strip() for line in lines)) or "none"


def shortened(text: str) -> str:
    """Return SQL in one line, with one placeholder in place of a row of them."""
    line = _PLACES.sub(r"\1, …", _SPACE.sub(" ", text).strip())
    line = _PLACE_ROWS.sub(r"\1, …", line)
    return line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]}…"
