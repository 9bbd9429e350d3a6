"""Days, months, quarters and years, and how to count from one to another."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tgecrawler.items import Precision


class Period(NamedTuple):
    """A day, month, quarter or year, by its first day."""

    first: date
    precision: Precision

    def last(self) -> date:
        """Return the last day."""
        months = {"month": 1, "quarter": 3, "year": 12}.get(self.precision)
        return add_months(self.first, months) - timedelta(days=1) if months else self.first

    def value(self) -> str:
        """Return ISO 8601 as far as the precision goes, quarters as "2025-Q4"."""
        if self.precision == "quarter":
            return f"{self.first.year}-Q{_quarter_of(self.first)}"
        return self.first.isoformat()[: {"month": 7, "year": 4}.get(self.precision, 10)]


def add_months(day: date, months: int) -> date:
    """Return the first of the month that lies some months from a day's own."""
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def last_of_month(day: date) -> date:
    """Return the last day of a day's own month."""
    return add_months(day, 1) - timedelta(days=1)


def shift_period(today: date, step: int, unit: str) -> Period:
    """Return the month, quarter or year that lies some steps from today's."""
    if unit == "month":
        return Period(add_months(today, step), "month")
    if unit == "quarter":
        first = date(today.year, 3 * _quarter_of(today) - 2, 1)
        return Period(add_months(first, 3 * step), "quarter")
    return Period(date(today.year + step, 1, 1), "year")


def days_numbered(today: date, day: int) -> list[Period]:
    """Return the days of the months around today that bear a number."""
    firsts = [add_months(today, months) for months in (-1, 0, 1, 2)]
    return [
        Period(first.replace(day=day), "day")
        for first in firsts
        if 1 <= day <= last_of_month(first).day
    ]


def count_from(moment: datetime, number: int, unit: str, *, exact: bool) -> Period:
    """Return what lies some units from a moment, no finer than the unit lets one say."""
    if unit in ("minute", "min"):
        return Period((moment + timedelta(minutes=number)).date(), "day")
    if unit in ("hour", "hr"):
        return Period((moment + timedelta(hours=number)).date(), "day")
    if unit == "day" or (unit == "week" and exact):
        days = number * (7 if unit == "week" else 1)
        return Period((moment + timedelta(days=days)).date(), "day")
    if unit == "week":
        return Period((moment + timedelta(weeks=number)).date().replace(day=1), "month")
    if unit == "month":
        return Period(add_months(moment.date(), number), "month")
    return Period(date(moment.year + number, 1, 1), "year")


def _quarter_of(day: date) -> int:
    return (day.month + 2) // 3
