"""`scrapy db` as a user runs it, on a real PostgreSQL server."""

from __future__ import annotations

import json

import pytest
from backup_cases import fill
from storage_cases import snapshot, url_of

from harness import Project
from tgecrawler.storage import schema
from tgecrawler.storage.engine import create_engine

pytestmark = pytest.mark.slow


def test_the_commands_one_after_the_other(postgresql, postgresql_url, tmp_path):
    engine = create_engine(postgresql_url)
    schema.ensure_schema(engine)
    fill(engine)
    project = Project(tmp_path, {"TGE_DATABASE_URL": url_of(engine), "TGE_KEEP_TEXTS_DAYS": "30"})

    def shown(*args: str) -> str:
        done = project.scrapy("db", *args)
        assert done.returncode == 0, done.stderr
        return done.stdout

    before = snapshot(engine)
    assert "MB, revision" in shown("backup", str(tmp_path / "tge.dump"))
    dry = shown("prune", "--dry-run")
    assert "mention_texts_2026_03: partition would be dropped" in dry
    said = shown("prune")
    assert "mention_texts_2026_03: partition detached and dropped" in said
    assert snapshot(engine)["mention_texts"] == []
    assert json.loads(shown("prune", "--json"))["dropped"] == []
    assert " MB after" in shown("vacuum")
    assert shown("check").strip().isdigit()
    assert "revision" in shown("restore", str(tmp_path / "tge.dump"), "--force")
    assert snapshot(engine) == before
    engine.dispose()
