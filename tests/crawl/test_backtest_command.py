"""`scrapy backtest` as a user runs it: on the demo archive and on a labelled file."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import ROOT, Project
from tgecrawler.archive.warc import ArchivedResponse, WarcWriter
from tgecrawler.demo.build import build_archive

pytestmark = pytest.mark.slow

BUNDLED = ROOT / "tgecrawler/config/lexicon.yaml"
DEMO = ROOT / "tgecrawler/demo"
LABELLED = (
    {
        "id": "1",
        "title": "Vexorium announces launch of its VEXO token on October 20",
        "tge": True,
        "kind": "token_launch",
    },
    {"id": "2", "title": "Tidepool opens airdrop claims for early users", "tge": True},
    {"id": "3", "title": "Bitcoin price falls three percent in quiet trading", "tge": False},
    {"id": "4", "title": "Town council debates a new bridge over the river", "tge": False},
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("demo")
    build_archive(folder / "archive.warc.gz")
    (folder / "labelled.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in LABELLED))
    deaf = yaml.safe_load(BUNDLED.read_text(encoding="utf-8"))
    deaf["prior"] = -20  # what nothing overcomes
    (folder / "deaf.yaml").write_text(yaml.safe_dump(deaf), encoding="utf-8")
    settings = {name: str(DEMO / f"{name}.yaml") for name in ("watchlist", "sources")}
    return Project(folder, {f"TGE_{name.upper()}": path for name, path in settings.items()})


def backtest(demo: Project, what: str, *args: str, code: int = 0) -> dict[str, Any]:
    done = demo.scrapy("backtest", str(demo.folder / what), *args, "--json")
    assert (done.returncode, done.stderr) == (code, "")
    found: dict[str, Any] = json.loads(done.stdout)
    assert list(found) == ["texts", "before", "after", "gained", "lost"]
    return found


def deaf(demo: Project) -> tuple[str, str]:
    return "--lexicon", str(demo.folder / "deaf.yaml")


@pytest.fixture(scope="module")
def silenced(demo: Project) -> dict[str, Any]:
    """What a lexicon that hears nothing does to the demo archive."""
    return backtest(demo, "archive.warc.gz", *deaf(demo))


def titles(changes: list[dict[str, Any]]) -> list[str]:
    return sorted(change["title"] for change in changes)


def test_the_alerts_before_are_those_that_a_crawl_of_the_archive_finds(
    demo: Project, silenced: dict[str, Any]
) -> None:
    replay = ("-s", f"TGE_REPLAY={demo.folder / 'archive.warc.gz'}", "-s", "TGE_MAX_AGE_DAYS=0")
    for spider in ("rss", "articles"):
        demo.crawl(spider, *replay)
    found = Counter(demo.rows("select title, canonical_url from mentions"))
    assert len(found) > 20
    assert Counter((change["title"], change["url"]) for change in silenced["lost"]) == found


def test_an_archive_under_a_lexicon_that_hears_nothing(silenced: dict[str, Any]) -> None:
    found = silenced
    assert found["texts"] > 80
    assert found["before"]["alerts"] == len(found["lost"]) > 20
    assert found["after"]["alerts"] == 0
    assert found["gained"] == []
    for change in found["lost"]:
        assert change["score_after"] < 0.5 <= change["score_before"]
        assert change["kind"] != "none"
        assert change["cues"][0]["cue"] == "prior"
        assert change["cues"][0]["after"] == pytest.approx(change["cues"][0]["before"] - 20)
        assert change["right"] is None


def test_what_one_lexicon_loses_the_other_gains(demo: Project, silenced: dict[str, Any]) -> None:
    other_way = ("--lexicon", str(BUNDLED), "-s", f"TGE_LEXICON={demo.folder / 'deaf.yaml'}")
    found = backtest(demo, "archive.warc.gz", *other_way)
    assert found["lost"] == []
    assert titles(found["gained"]) == titles(silenced["lost"])


def test_a_change_fails_only_where_that_is_asked_for(
    demo: Project, silenced: dict[str, Any]
) -> None:
    """The other runs end with 0; and a folder gives what its only archive gives."""
    assert backtest(demo, "", *deaf(demo), "--fail-on-change", code=1) == silenced
    same = backtest(demo, "archive.warc.gz", "--lexicon", str(BUNDLED), "--fail-on-change")
    assert (same["gained"], same["lost"]) == ([], [])
    assert same["before"] == same["after"]


def test_new_weights_and_a_new_watchlist(demo: Project, tmp_path: Path) -> None:
    weights = tmp_path / "weights.tsv"
    weights.write_text("relevance\t(bias)\t-20\n")
    found = backtest(demo, "archive.warc.gz", "--weights", str(weights))
    assert found["before"]["alerts"] > found["after"]["alerts"] == 0
    watchlist = tmp_path / "watchlist.yaml"
    watchlist.write_text(
        "version: 1\ncompanies: [{name: Nobody Inc, priority: low, status: pre_token}]\n"
    )
    listed = ("--watchlist", str(watchlist), "-s", "TGE_DISCOVERY=0")
    found = backtest(demo, "archive.warc.gz", *listed)
    assert found["before"]["alerts"] > found["after"]["alerts"] == 0
    assert "no watchlist company is its subject" in found["lost"][0]["missing"]


def test_a_lexicon_that_is_worse_on_labelled_texts(demo: Project) -> None:
    found = backtest(demo, "labelled.jsonl", *deaf(demo), code=1)
    assert found["texts"] == 4
    assert (found["before"]["f1"], found["after"]["f1"]) == (1.0, 0.0)
    assert (found["before"]["precision"], found["before"]["recall"]) == (1.0, 1.0)
    assert titles(found["lost"]) == sorted(row["title"] for row in LABELLED if row["tge"])
    assert [change["right"] for change in found["lost"]] == [False, False]


def test_a_lexicon_that_is_better_on_labelled_texts(demo: Project) -> None:
    better = ("--lexicon", str(BUNDLED), "-s", f"TGE_LEXICON={demo.folder / 'deaf.yaml'}")
    found = backtest(demo, "labelled.jsonl", *better)
    assert [change["right"] for change in found["gained"]] == [True, True]
    backtest(demo, "labelled.jsonl", *better, "--fail-on-change", code=1)


def test_the_figures_are_those_of_evaluate(demo: Project) -> None:
    """Also without discovery in the options: labels know no watchlist."""
    without = ("-s", "TGE_DISCOVERY=0")
    found = backtest(demo, "labelled.jsonl", *deaf(demo), *without, code=1)["before"]
    done = demo.scrapy("evaluate", str(demo.folder / "labelled.jsonl"), "--json", *without)
    figures = json.loads(done.stdout)
    del figures["ms_per_record"]
    assert figures["f1"] == 1.0
    assert {name: found[name] for name in figures} == figures


def test_a_table_and_one_line_for_people(demo: Project) -> None:
    done = demo.scrapy("backtest", str(demo.folder / "labelled.jsonl"), *deaf(demo))
    assert done.returncode == 1
    *table, line = done.stdout.splitlines()
    for shown in (
        "Tidepool opens airdrop claims",
        "token_launch",
        "lost",
        "wrong",
        "prior",
        "now:",
    ):
        assert shown in "".join(table)
    assert line == (
        "4 texts: 2 alerts before, 0 after; 0 gained, 2 lost (0 rightly); "
        "precision 1.000 → 0.000, recall 1.000 → 0.000, F1 1.000 → 0.000: worse"
    )


def test_nothing_changed_is_one_line(demo: Project) -> None:
    done = demo.scrapy("backtest", str(demo.folder / "labelled.jsonl"), "--lexicon", str(BUNDLED))
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert "0 gained, 0 lost" in done.stdout
    assert done.stdout.endswith(": no worse (the new rules are the present ones)\n")


def test_a_damaged_archive_is_read_with_a_warning(demo: Project, tmp_path: Path) -> None:
    whole = (demo.folder / "archive.warc.gz").read_bytes()
    cut = tmp_path / "cut.warc.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    done = demo.scrapy("backtest", str(cut), *deaf(demo))
    assert done.returncode == 0
    assert done.stderr.startswith("warning: cut.warc.gz is cut after ")
    assert " lost" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), "backtest takes an archive (.warc, .warc.gz or a folder of them) or a labelled file"),
        (("labelled.jsonl",), "give --lexicon, --weights or --watchlist NEW"),
        (("labelled.jsonl", "--lexicn", "a.yaml"), "unknown option --lexicn"),
        (("labelled.jsonl", "more", "--lexicon", "deaf.yaml"), "too many arguments: more"),
        (("labelled.jsonl", "--lexicon", "none.yaml"), "none.yaml: no such file; check the path"),
        (("labelled.jsonl", "--watchlist", "none.yaml"), "none.yaml: no such file"),
        (("none.jsonl", "--lexicon", "deaf.yaml"), "none.jsonl; name an archive"),
        (("none.warc.gz", "--lexicon", "deaf.yaml"), "none.warc.gz; name a .warc"),
        (("deaf.yaml", "--lexicon", "deaf.yaml"), "deaf.yaml:1: not a line of JSON"),
        (("empty.jsonl", "--lexicon", "deaf.yaml"), "holds no record; name an archive"),
        (("robots.warc.gz", "--lexicon", "deaf.yaml"), "holds no feed's entry and no page; name"),
        (("nothing", "--lexicon", "deaf.yaml"), "holds no .warc or .warc.gz"),
    ],
)
def test_what_a_user_did_wrong(
    project: Project, demo: Project, args: tuple[str, ...], expected: str
) -> None:
    for name in ("labelled.jsonl", "deaf.yaml"):
        (project.folder / name).symlink_to(demo.folder / name)
    project.write("empty.jsonl", "\n")
    (project.folder / "nothing").mkdir()
    write_robots(project.folder / "robots.warc.gz")
    placed = [str(project.folder / arg) if "." in arg or arg == "nothing" else arg for arg in args]
    done = project.scrapy("backtest", *placed)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert expected in done.stderr


def write_robots(path: Path) -> None:
    """Write an archive that holds neither a feed nor a page."""
    robots = ArchivedResponse(
        url="https://desk.example/robots.txt",
        status=200,
        headers=(("Content-Type", "text/plain"),),
        body=b"User-agent: *\n",
        fetched_at=datetime(2026, 10, 12, tzinfo=UTC),
    )
    with WarcWriter(path) as writer:
        writer.write(robots)
