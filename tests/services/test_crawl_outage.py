"""A crawl whose PostgreSQL goes away under it: its rows wait on disk for the next run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_two_processes import ROOT, stories

from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.queries import counts

pytestmark = pytest.mark.slow

PATIENCE_S = 60


def start(folder: Path, file: Path, url: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scrapy", "crawl", "records", "-a", f"file={file}"]
    command += ["-a", "max_age_days=0"]
    settings = {"TGE_SPOOL_PATH": folder, "TGE_CACHE_URL": "off", **options}
    for name, value in settings.items():
        command += ["-s", f"{name}={value}"]
    # as a secret is given: not on a command line that everybody sees
    environment = {**os.environ, "TGE_DATABASE_URL": url}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def mentions(url: str) -> int:
    engine = create_engine(url)
    try:
        return counts(engine)["mentions"]
    finally:
        engine.dispose()


def test_rows_wait_for_the_next_run(postgresql, postgresql_url, tmp_path):
    url = postgresql_url.replace("tge@", "tge:hunter2@")
    told = stories()
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in told))
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    # a batch that never gets old enough: the server is gone before any is written
    crawl = start(tmp_path, file, url, TGE_DATABASE_BATCH_AGE_S=3_600)
    lines = []
    for line in crawl.stderr:
        lines.append(line)
        if "Spider opened" in line:
            break
    postgresql.stop()
    try:
        said = "".join(lines) + crawl.communicate(timeout=PATIENCE_S)[1]
        refused = start(tmp_path, file, url).communicate(timeout=PATIENCE_S)
    finally:
        postgresql.start()
    assert crawl.returncode == 1
    assert f"{len(told)} rows are left on disk; the next run writes them" in said
    assert "Traceback" not in said
    assert "hunter2" not in said
    errors = [line for line in refused[1].splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Connection refused" in errors[0]
    second = start(tmp_path, empty, url)
    said = second.communicate(timeout=PATIENCE_S)[1]
    assert second.returncode == 0, said
    assert f"{len(told)} rows of an earlier run are in the spool" in said
    assert mentions(postgresql_url) == len(told)
