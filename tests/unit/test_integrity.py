"""The check on SQLite, and damage to the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from integrity_cases import OTHER, IntegrityCases, fill, found

from tgecrawler.storage.engine import write_transaction
from tgecrawler.storage.integrity import file_findings


class TestIntegrityOnSqlite(IntegrityCases):
    """See ``IntegrityCases``."""


def test_a_row_that_names_none(engine, tmp_path):
    fill(engine)
    with closing(sqlite3.connect(tmp_path / "tge.db")) as careless, careless:
        careless.execute(f"DELETE FROM mentions WHERE id = '{OTHER}'")
    assert "1 rows of alerts name a row that mentions lacks" in [one.what for one in found(engine)]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("DELETE FROM alert_search", "3 alerts are not found by their words"),
        ("UPDATE alert_search SET words = 'other'", "3 alerts are not found by their words"),
        ("INSERT INTO alert_search (rowid, words) VALUES (7, 'a')", "entries of the text search"),
    ],
)
def test_a_text_search_that_is_not_that_of_the_alerts(engine, broken, said):
    fill(engine)
    with write_transaction(engine) as connection:
        connection.execute(sa.text(broken))
    (finding,) = found(engine)
    assert said in finding.what
    remedy = finding.remedy.removesuffix(" makes the text search anew")
    with write_transaction(engine) as connection:
        for statement in remedy.split("; "):
            connection.execute(sa.text(statement))
    assert found(engine) == []


def test_a_file_of_which_a_page_is_overwritten(engine, tmp_path):
    fill(engine)
    with engine.connect() as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'mentions'"
        page = connection.exec_driver_sql(query).scalar_one()
    engine.dispose()
    with (tmp_path / "tge.db").open("r+b") as file:
        file.seek((page - 1) * 4_096)
        file.write(b"\x5a" * 4_096)
    findings = file_findings(engine)
    assert findings
    assert all(str(one).startswith("the file is damaged (") for one in findings)
    assert all("restore a backup" in str(one) for one in findings)
