"""The writer on SQLite."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from storage_cases import (
    RecordCases,
    WriterCases,
    assert_the_same_rows_in_any_order,
    batch,
    mention,
    quickly,
    writer,
)

from tgecrawler.errors import DatabaseError
from tgecrawler.storage.cleaning import clean_text


class TestWriterOnSqlite(WriterCases):
    """See ``WriterCases``."""

    @quickly
    @given(st.data())
    def test_the_same_rows_in_whatever_order_and_however_often(self, engine, data):
        assert_the_same_rows_in_any_order(engine, data)


class TestRecordsOnSqlite(RecordCases):
    """See ``RecordCases``."""


def test_a_failure_that_will_not_pass_is_not_tried_again(engine):
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE seen"))
    with pytest.raises(DatabaseError, match="no such table: seen"):
        writer(engine).write(batch(mention(1)))
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM mentions")) == 0


def test_cleaning_keeps_offsets():
    assert clean_text("a\x00\ud83db\U0001f600") == "a\ufffd\ufffdb\U0001f600"
    assert clean_text("abc", 2) == "ab"
    assert clean_text("abc") == "abc"
