"""Configuration files: what ships loads, and each mistake is one line with its place.

A pair in ``fixtures/config``: ``<kind>_<what>.yaml``, and in ``<kind>_<what>.error.txt``
the line that loading it raises; the kind names the loader.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tgecrawler.config.loader import load_lexicon, load_sources, load_watchlist
from tgecrawler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent.parent
FIXTURES = ROOT / "tests" / "fixtures" / "config"
CASES = sorted(path.name.removesuffix(".error.txt") for path in FIXTURES.glob("*.error.txt"))
LOADERS: dict[str, Callable[[str], object]] = {
    "watchlist": load_watchlist,
    "sources": load_sources,
    "lexicon": load_lexicon,
}
WATCHLIST = """version: 1
companies:
  - name: Acme  # of the north
    aliases: [Acme Labs, "no", '2024', 1inch]
    symbols: [ACM]
    exclusions: [
      acme of perfection, silk
      fabric
    ]
    domains: [acme.example]
  - {name: Borealis, priority: low}
"""
SOURCES = """version: 1
feeds:
  - {slug: herald, url: https://herald.example/rss, tier: 1, lang: en}
sites:
  - slug: acme
    listing: https://acme.example/news
    item: article a
x:
  accounts: [acme]
  queries: ['"token sale" lang:en']
"""


def error_of(load: Callable[[str], object], path: Path | str) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        load(str(path))
    return raised.value


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_with_its_line(case: str) -> None:
    path = FIXTURES / f"{case}.yaml"
    error = error_of(LOADERS[case.partition("_")[0]], path)
    expected = (FIXTURES / f"{case}.error.txt").read_text(encoding="utf-8").removesuffix("\n")
    assert str(error).replace(str(path), "{file}") == expected


def test_every_case_has_both_of_its_files() -> None:
    names = Counter(path.name.partition(".")[0] for path in FIXTURES.iterdir())
    assert {name for name, files in names.items() if files != 2} == set()


def test_a_watchlist(tmp_path: Path) -> None:
    path = tmp_path / "watchlist.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + WATCHLIST.replace("\n", "\r\n").encode())
    first, second = load_watchlist(str(path)).companies
    assert first.aliases == ("Acme Labs", "no", "2024", "1inch")
    assert first.exclusions == ("acme of perfection", "silk fabric")
    assert (second.name, second.priority) == ("Borealis", "low")


def test_sources(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(SOURCES)
    sources = load_sources(str(path))
    assert [source.slug for source in (*sources.feeds, *sources.sites)] == ["herald", "acme"]
    assert sources.x.queries == ('"token sale" lang:en',)


def test_what_ships_loads() -> None:
    assert len(load_watchlist().companies) >= 15
    assert len(load_sources().feeds) >= 21
    assert load_lexicon().rules


def test_what_ships_gives_each_feed_one_slug_and_address() -> None:
    feeds = load_sources().feeds
    assert len({feed.url for feed in feeds}) == len(feeds)
    assert all(feed.lang for feed in feeds)


def test_what_ships_loads_from_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "tgecrawler.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in sorted((ROOT / "tgecrawler").rglob("*")):
            if path.suffix in (".py", ".yaml"):
                zipped.write(path, path.relative_to(ROOT))
    script = (
        f"import sys; sys.path.insert(0, {str(archive)!r});"
        "from tgecrawler.config import loader;"
        "print(loader.__file__, bool(loader.load_watchlist().companies),"
        " bool(loader.load_sources().feeds), bool(loader.load_lexicon().rules))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(archive))
    assert done.stdout.split()[1:] == ["True", "True", "True"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    assert str(error_of(load_watchlist, path)) == f"{path}: no such file; check the path"


def test_a_folder(tmp_path: Path) -> None:
    assert str(error_of(load_sources, tmp_path)) == f"{tmp_path}: a folder; name the file in it"


def test_a_path_that_can_be_none() -> None:
    assert "no path" in str(error_of(load_lexicon, "a\0b"))
    assert "cannot be read" in str(error_of(load_lexicon, "a/" * 5000))


def test_a_file_beyond_all_bounds(tmp_path: Path) -> None:
    path = tmp_path / "watchlist.yaml"
    with path.open("wb") as opened:
        opened.truncate(33 * 1024 * 1024)
    assert str(error_of(load_watchlist, path)) == f"{path}: larger than 32 MB; split it"


@pytest.mark.parametrize("row", ["- name: no\n", "- name: Acme\n", "- nmae: Acme\n"])
def test_many_mistakes_are_counted(tmp_path: Path, row: str) -> None:
    path = tmp_path / "watchlist.yaml"
    path.write_text("version: 1\ncompanies:\n- name: Acme\n" + row * 1000)
    assert error_of(load_watchlist, path).line == 4
    assert str(error_of(load_watchlist, path)).endswith(" more)")


def test_a_message_does_not_flood(tmp_path: Path) -> None:
    path = tmp_path / "watchlist.yaml"
    path.write_text(f'version: 1\n"{"key " * 100_000}": 1\ncompanies: []\n')
    assert len(error_of(load_watchlist, path).message) <= 300


@pytest.mark.parametrize("depth", [40, 200, 999])
def test_nesting_of_any_depth(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "watchlist.yaml"
    path.write_text("\n".join(" " * at + "a:" for at in range(depth)))
    error_of(load_watchlist, path)


def test_the_collector_runs_on(tmp_path: Path) -> None:
    assert gc.isenabled()
    load_watchlist()
    error_of(load_watchlist, tmp_path)
    error_of(load_watchlist, FIXTURES / "watchlist_name_no.yaml")
    assert gc.isenabled()


# Pieces that YAML gives a meaning, and values that its readers stumble over.
PIECES = (
    *("version: 1\n", "companies:", "feeds:", "\n", "\n  - ", "\n    ", " ", "name: ", "slug: "),
    *("[", "]", "{", "}", ", ", ": ", "- ", "? ", "&a ", "*a", "<<: ", "|\n", ">-\n", "'", '"'),
    *("!!bool ", "!!int ", "!!timestamp ", "!!set ", "!!omap ", "!!binary ", "!!null ", "!x "),
    *("no", "~", "0x", "1:30", "2026-13-45", ".nan", "1e999", "=", "#", "%", "---\n", "...\n"),
    *("\t", "\r", "\x00", "\x85", "\u2028", "\ufeff", "\U0001f680", "é", "Acme", "\\ud800"),
)


def message_of(load: Callable[[str], object], path: Path) -> str:
    try:
        load(str(path))
    except ConfigError as error:
        return error.message
    return ""


@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=st.one_of(
        st.text(max_size=60),
        st.lists(st.sampled_from(PIECES), max_size=15).map("".join),
        st.tuples(
            st.sampled_from([WATCHLIST, SOURCES]),
            st.integers(0, 250),
            st.integers(0, 30),
            st.sampled_from(PIECES),
        ).map(lambda cut: cut[0][: cut[1]] + cut[3] + cut[0][cut[1] + cut[2] :]),
    )
)
@example("a: !!bool x")
@example("a: !!timestamp x")
@example("a: !!int ''")
@example("a: 1:1:" + "1:" * 400 + "1.5")
def test_nothing_but_a_config_error_is_raised(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    for load in LOADERS.values():
        message = message_of(load, path)
        assert message.isprintable()
        assert len(message) <= 330
