"""What must become of rows that a database refuses, on every engine.

A module with an ``engine`` fixture (see ``storage_cases``) inherits from the class.
"""

from __future__ import annotations

import logging
import math
import random
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from storage_cases import batch, mention, rejected, snapshot

from tgecrawler.errors import DatabaseError, DatabaseRefusalError
from tgecrawler.items import Mention
from tgecrawler.storage.aside import Aside
from tgecrawler.storage.batch import row_count
from tgecrawler.storage.bisection import write_in_parts
from tgecrawler.storage.lasting import LastingWriter
from tgecrawler.storage.writer import Writer

BEYOND_ANY_INTEGER = 2**70
ROWS = 100


def poison(number: int) -> Mention:
    """A mention that neither engine can hold: nothing checks a tier before."""
    return mention(number, tier=BEYOND_ANY_INTEGER)


def stored(engine) -> set[str]:
    return {row["id"] for row in snapshot(engine)["mentions"]}


@contextmanager
def counted(engine):
    """Yield a list that grows by one with each transaction that writes."""
    begun: list[object] = []

    def note(connection) -> None:
        if connection.get_execution_options().get("tge_write"):
            begun.append(connection)

    event.listen(engine, "begin", note)
    yield begun
    event.remove(engine, "begin", note)


def lasting(engine, folder, spool=None, **given) -> LastingWriter:
    return LastingWriter(engine, Aside(folder), spool, sleep=lambda _: None, **given)


class LastingCases:
    """Rows that are refused, and those beside them."""

    def test_the_database_itself_refuses(self, engine):
        try:
            Writer(engine).write(batch(poison(1)))
        except (DatabaseRefusalError, OverflowError):
            pass
        else:
            pytest.fail("the row is no poison")
        assert stored(engine) == set()

    def test_one_row_is_put_aside_and_the_others_are_stored(self, engine, tmp_path, caplog):
        good = [mention(number) for number in range(1, ROWS)]
        rows = [*good[:40], poison(0), *good[40:]]
        with caplog.at_level(logging.ERROR), counted(engine) as begun:
            fate = lasting(engine, tmp_path).write(batch(*rows, reject=[rejected(500)]))
        assert stored(engine) == {one.entry_id for one in good}
        assert [one.mentions for one in fate.refused] == [[poison(0)]]
        assert row_count(fate.given_up) == row_count(fate.held) == row_count(fate.kept) == 0
        outcomes = {k: v for commit in fate.commits for k, v in commit.result.outcomes.items()}
        assert outcomes == {one.entry_id: "stored" for one in good}
        assert rejected(500).id in {row["id"] for row in snapshot(engine)["seen"]}
        assert len(begun) <= 1 + 2 * math.ceil(math.log2(ROWS + 1))
        [line] = [record.message for record in caplog.records if "put aside" in record.message]
        assert poison(0).entry_id in line

    @pytest.mark.parametrize("count", [2, 7])
    def test_several_are_found_in_few_transactions(self, engine, tmp_path, count):
        places = random.Random(count).sample(range(ROWS), count)
        rows = [poison(at) if at in places else mention(at) for at in range(ROWS)]
        with counted(engine) as begun:
            fate = lasting(engine, tmp_path).write(batch(*rows))
        assert len(fate.refused) == count
        assert len(stored(engine)) == ROWS - count
        assert len(begun) <= 1 + 2 * count * math.ceil(math.log2(ROWS))

    def test_the_row_survives_with_its_reason(self, engine, tmp_path):
        lasting(engine, tmp_path).write(batch(poison(1), mention(2)))
        [row] = Aside(tmp_path).rows()
        assert list(row.batch.mentions) == [poison(1)]
        assert (row.entry_id, row.url) == (poison(1).entry_id, poison(1).url)
        assert "out of range" in row.reason or "too large" in row.reason

    def test_a_row_that_comes_again_is_put_aside_once(self, engine, tmp_path, caplog):
        with caplog.at_level(logging.ERROR):
            for _ in range(2):
                fate = lasting(engine, tmp_path).write(batch(poison(1)))
                assert len(fate.refused) == 1
        assert len(Aside(tmp_path).rows()) == 1
        assert len([r for r in caplog.records if "put aside" in r.message]) == 1

    def test_a_fault_of_ours_in_one_row_stops_no_other(self, engine, tmp_path):
        fate = lasting(engine, tmp_path).write(batch(mention(1), mention(2, assessment=None)))
        assert stored(engine) == {mention(1).entry_id}
        [refused] = Aside(tmp_path).rows()
        assert refused.reason.startswith("ValueError: ")
        assert len(fate.refused) == 1

    def test_a_database_that_goes_away_in_between(self, engine, tmp_path):
        """Once the row is found a table is gone: nothing of the rest counts as refused."""
        rows = [mention(number) for number in range(1, 8)]
        begun: list[object] = []

        def write(part):
            begun.append(part)
            if len(begun) == 4:
                with engine.begin() as connection:
                    connection.execute(sa.text("ALTER TABLE seen RENAME TO hidden"))
            return Writer(engine, sleep=lambda _: None).write(part)

        try:
            parts = write_in_parts(write, batch(poison(0), *rows))
        finally:
            with engine.begin() as connection:
                connection.execute(sa.text("ALTER TABLE hidden RENAME TO seen"))
        assert isinstance(parts.error, DatabaseError)
        assert [list(refused.batch.mentions) for refused in parts.refused] == [[poison(0)]]
        assert parts.commits == []
        assert list(parts.left.mentions) == rows
