"""What a user did wrong is one line on stderr and exit code 2, and harms nothing stored."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path

import pytest

from harness import Project
from newsroom import sources

pytestmark = pytest.mark.slow

SOURCES = sources({"desk": "https://desk.example/rss"})


def said(project: Project, *args: str) -> str:
    """Run a command that must end with exit code 2; return its one line."""
    done = project.scrapy(*args)
    assert done.returncode == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return errors[0].removeprefix("error: ")


def dump(project: Project) -> list[str]:
    with sqlite3.connect(project.database) as connection:
        return list(connection.iterdump())


def test_an_unknown_option(project: Project) -> None:
    line = said(project, "crawl", "rss", "-s", "TGE_MAX_AGE=3")
    assert line == "unknown option TGE_MAX_AGE; did you mean TGE_MAX_AGE_DAYS?"


def test_an_unknown_option_in_the_environment(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**project.environment, "TGE_DISCOVER": "1"}
    monkeypatch.setattr(Project, "environment", environment)
    assert said(project, "alerts") == "unknown option TGE_DISCOVER; did you mean TGE_DISCOVERY?"


def test_a_wrong_value(project: Project) -> None:
    line = said(project, "crawl", "rss", "-s", "TGE_MAX_AGE_DAYS=week")
    assert line == "TGE_MAX_AGE_DAYS is a whole number, 0 or more, not 'week'"


def test_an_unknown_spider(project: Project) -> None:
    assert said(project, "crawl", "rrs") == "no spider 'rrs'; did you mean 'rss'?"


def test_an_unknown_spider_argument(project: Project) -> None:
    line = said(project, "crawl", "rss", "-a", "onyl=desk")
    assert line == "spider rss has no argument 'onyl'; did you mean only?"


def test_an_unknown_slug(project: Project) -> None:
    project.settings["TGE_SOURCES"] = str(project.write("sources.yaml", SOURCES))
    line = said(project, "crawl", "rss", "-a", "only=dexk")
    assert "'dexk'" in line
    assert "'desk'" in line


def test_broken_yaml(project: Project) -> None:
    path = project.write("sources.yaml", "version: 1\nfeeds:\n  - slug: desk\n    url: [broken\n")
    project.settings["TGE_SOURCES"] = str(path)
    assert said(project, "crawl", "rss").startswith(f"{path}:")


def test_a_wrong_key_is_said_with_its_line(project: Project) -> None:
    path = project.write(
        "watchlist.yaml", "version: 1\ncompanies:\n  - name: Acme\n    alias: [A]\n"
    )
    project.settings["TGE_WATCHLIST"] = str(path)
    line = said(project, "crawl", "rss")
    assert line.startswith(f"{path}:4: ")
    assert "aliases" in line


def test_a_file_that_is_not_there(project: Project) -> None:
    project.settings["TGE_LEXICON"] = str(project.folder / "none.yaml")
    assert "none.yaml" in said(project, "crawl", "rss")


def test_a_replay_of_nothing(project: Project) -> None:
    project.settings["TGE_REPLAY"] = str(project.folder / "none.warc.gz")
    assert "none.warc.gz" in said(project, "crawl", "rss")
    garbage = project.folder / "garbage.warc.gz"
    garbage.write_bytes(gzip.compress(b"no archive at all"))
    project.settings["TGE_REPLAY"] = str(garbage)
    assert "garbage.warc.gz" in said(project, "crawl", "rss")


def test_a_report_that_cannot_be_written(project: Project) -> None:
    blocked = project.write("blocked", "a file, and no folder")
    assert "TGE_STATS_JSON" in said(
        project, "crawl", "rss", "-s", f"TGE_STATS_JSON={blocked}/out.json"
    )


def test_a_database_of_a_newer_version(project: Project) -> None:
    assert project.scrapy("db", "upgrade").returncode == 0
    with sqlite3.connect(project.database) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    before = dump(project)
    for command in (("crawl", "rss"), ("alerts",), ("db", "upgrade"), ("db", "check")):
        assert "newer" in said(project, *command), command
    assert dump(project) == before


def test_a_file_that_is_no_database(project: Project) -> None:
    project.database.write_text("not a database at all, but a text of some length. " * 40)
    before = project.database.read_bytes()
    assert str(project.database) in said(project, "crawl", "rss")
    assert project.database.read_bytes() == before


def test_a_server_that_is_not_there_keeps_its_password(project: Project) -> None:
    url = "postgresql://tge:hunter2@127.0.0.1:1/tge"
    project.settings["TGE_DATABASE_URL"] = url
    done = project.scrapy("crawl", "rss", "-L", "DEBUG")
    assert done.returncode == 2
    assert "hunter2" not in done.stderr + done.stdout


def test_there_are_no_alerts_before_a_crawl(project: Project) -> None:
    assert "run `scrapy crawl rss` first" in said(project, "alerts")
    assert not project.database.exists()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("alerts", "--kind", "airdrops"), "no kind 'airdrops'; did you mean 'airdrop'?"),
        (("alerts", "--since", "yesterday"), "--since takes 2026-01-31"),
        (("alerts", "--jsn"), "unknown option --jsn"),
        (("alerts", "extra"), "too many arguments: extra"),
        (("db", "upgade"), "no action 'upgade'; did you mean 'upgrade'?"),
        (("db", "downgrade"), "downgrade takes a revision"),
        (("db", "prun"), "no action 'prun'; did you mean 'prune'?"),
        (("db", "prune", "seen"), "prune takes nothing more, not 'seen'"),
        (("db", "backup"), "backup takes the file to write"),
        (("db", "restore"), "restore takes a file that `scrapy db backup` wrote"),
        (("db", "restore", "none.db"), "there is no file none.db"),
        (("db", "restore", "scrapy.cfg", "--force"), "scrapy.cfg is no backup of an SQLite"),
        (("db", "vacuum", "--force"), "--force goes with backup and restore, not vacuum"),
        (("db", "check", "--dry-run"), "--dry-run goes with prune, not check"),
        (("sources", "lst"), "no action 'lst'; did you mean 'list'?"),
        (("evaluate", "none.jsonl"), "none.jsonl"),
        (("explain", "none.html"), "cannot read none.html"),
    ],
)
def test_wrong_arguments(project: Project, args: tuple[str, ...], expected: str) -> None:
    project.scrapy("db", "upgrade")
    assert expected in said(project, *args)


@pytest.mark.parametrize("action", ["check", "prune", "vacuum", "backup"])
def test_what_needs_a_database_makes_none(project: Project, action: str) -> None:
    args = (str(project.folder / "file"),) if action == "backup" else ()
    assert "run `scrapy crawl rss` first" in said(project, "db", action, *args)
    assert not project.database.exists()


def test_a_labelled_file_with_a_broken_line(project: Project, tmp_path: Path) -> None:
    path = project.write("labelled.jsonl", '{"id": "1"}\n')
    assert said(project, "evaluate", str(path)).startswith(f"{path}:1: ")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ((), "fit takes files of labelled records (JSON lines)"),
        (("tests/gate/own.jsonl",), "fit has nothing to do; give --out FILE or --cross-validate"),
        (
            ("tests/gate/own.jsonl", "--hold-out", "other.jsonl"),
            "--hold-out names one of the files, such as tests/gate/own.jsonl",
        ),
        (
            ("tests/gate/own.jsonl", "--out", "no/such/folder/w.tsv"),
            "--out: cannot write no/such/folder/w.tsv: No such file or directory",
        ),
    ],
)
def test_fit_says_what_it_needs(project: Project, args: tuple[str, ...], line: str) -> None:
    assert said(project, "fit", *args) == line


def test_broken_weights(project: Project) -> None:
    project.settings["TGE_WEIGHTS"] = str(project.write("w.tsv", "relevance\tcue\tmuch\n"))
    assert said(project, "explain", "--title", "x").endswith("w.tsv:1: 'much' is no number")
