"""The weights file: read, written, and each mistake in it told with its line.

A pair in ``fixtures/weights``: ``<what>.tsv``, and in ``<what>.error.txt`` the line
that loading it raises.
"""

from __future__ import annotations

import math
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tgecrawler.config.loader import load_weights
from tgecrawler.domain.weights import BIAS, HEADS, LARGEST, Weights, best_class, parse_weights
from tgecrawler.errors import ConfigError
from tgecrawler.items import KINDS, STATUSES

ROOT = Path(__file__).resolve().parent.parent.parent
FIXTURES = ROOT / "tests" / "fixtures" / "weights"
CASES = sorted(path.name.removesuffix(".error.txt") for path in FIXTURES.glob("*.error.txt"))
LINES = (
    f"relevance\t{BIAS}\t-2.5",
    "relevance\tsale@title\t1.25",
    "relevance\ttitle: <exchange> lists\t0.5",
    "project\tsort=name\t1",
    "token\tsort=cashtag\t3",
    "kind/airdrop\tairdrop@title\t2",
    "kind/listing\tairdrop@title\t-0.25",
    "kind/listing\tlists@title\t4",
    "status/live\tlive@title\t0.75",
)


def error_of(path: Path | str) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        load_weights(str(path))
    return raised.value


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_with_its_line(case: str) -> None:
    path = FIXTURES / f"{case}.tsv"
    expected = (FIXTURES / f"{case}.error.txt").read_text(encoding="utf-8").removesuffix("\n")
    assert str(error_of(path)).replace(str(path), "{file}") == expected


def test_every_case_has_both_of_its_files() -> None:
    names = Counter(path.name.partition(".")[0] for path in FIXTURES.iterdir())
    assert len(names) >= 20
    assert {name for name, files in names.items() if files != 2} == set()


def test_weights_are_read_by_head_and_cue() -> None:
    assert parse_weights(LINES) == Weights(
        relevance={BIAS: -2.5, "sale@title": 1.25, "title: <exchange> lists": 0.5},
        kind={
            "airdrop@title": {"airdrop": 2.0, "listing": -0.25},
            "lists@title": {"listing": 4.0},
        },
        status={"live@title": {"live": 0.75}},
        project={"sort=name": 1.0},
        token={"sort=cashtag": 3.0},
    )


def test_no_lines_are_no_weights() -> None:
    assert parse_weights([]) == Weights()
    assert list(Weights().lines()) == []


def test_comments_and_blank_lines_say_nothing() -> None:
    with_more = ["# relevance\tx\t1", "", *LINES[:3], "  ", "#", *LINES[3:], "\n"]
    assert parse_weights(with_more) == parse_weights(LINES)


def test_lines_are_sorted_within_each_head() -> None:
    lines = list(parse_weights(reversed(LINES)).lines())
    assert lines == list(parse_weights(LINES).lines())
    assert [line.partition("\t")[0].partition("/")[0] for line in lines] == [
        *(
            "relevance",
            "relevance",
            "relevance",
            "project",
            "token",
            "kind",
            "kind",
            "kind",
            "status",
        ),
    ]
    assert lines[:3] == sorted(lines[:3])


def test_a_weight_has_four_digits() -> None:
    assert list(Weights(relevance={"a": 1 / 3, "b": 2e-9, "c": -12.34567}).lines()) == [
        *("relevance\ta\t0.3333", "relevance\tb\t2e-09", "relevance\tc\t-12.35"),
    ]


@pytest.mark.parametrize("weight", [LARGEST, -LARGEST, 0.0])
def test_the_bounds_of_a_weight_are_weights(weight: float) -> None:
    assert parse_weights([f"token\tx\t{weight}"]).token == {"x": weight}


CUES = st.text(
    alphabet=st.sampled_from("ab:@*=<>|^$&() #çЖ推🚀\u200b\u202e\u0301"), min_size=1, max_size=12
)
NUMBERS = st.floats(-LARGEST, LARGEST)
SINGLE = st.dictionaries(CUES, NUMBERS, max_size=6)
WEIGHTS = st.builds(
    Weights,
    relevance=SINGLE,
    kind=st.dictionaries(
        CUES, st.dictionaries(st.sampled_from(KINDS), NUMBERS, max_size=3), max_size=4
    ),
    status=st.dictionaries(
        CUES, st.dictionaries(st.sampled_from(STATUSES), NUMBERS, max_size=3), max_size=4
    ),
    project=SINGLE,
    token=SINGLE,
)


def flat(weights: Weights) -> dict[tuple[str, ...], float]:
    single = {
        (head, cue): weight
        for head in ("relevance", "project", "token")
        for cue, weight in getattr(weights, head).items()
    }
    return single | {
        (head, cue, label): weight
        for head in ("kind", "status")
        for cue, classes in getattr(weights, head).items()
        for label, weight in classes.items()
    }


@given(WEIGHTS)
def test_what_is_written_is_read_back(weights: Weights) -> None:
    lines = list(weights.lines())
    read = parse_weights(lines)
    assert list(read.lines()) == lines
    written, again = flat(weights), flat(read)
    assert again.keys() == written.keys()
    for key, weight in written.items():
        assert math.isclose(again[key], weight, rel_tol=1e-3, abs_tol=1e-300)


BROKEN = st.sampled_from(
    [
        *("x", "relevance x 1", "relevance\tx", "relevance\tx\tone", "relevance\tx\tinf", "\tx\t1"),
        *("kind\tx\t1", "kind/sale\tx\t1", "token/live\tx\t1", "relevance\tx\t1\t", LINES[0]),
        *("Relevance\tx\t1", "relevance/\tx\t1", " relevance\tx\t1"),
    ]
)


@given(WEIGHTS.map(lambda weights: [LINES[0], *parse_only(weights)]), BROKEN, st.data())
def test_an_error_names_the_line(lines: list[str], broken: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(lines)))
    lines.insert(at, broken)
    with pytest.raises(ValueError) as raised:
        parse_weights(lines)
    message, number = raised.value.args
    assert number == at + 1
    assert message


def parse_only(weights: Weights) -> list[str]:
    return [line for line in weights.lines() if not line.startswith(f"relevance\t{BIAS}\t")]


FILE_PIECES = st.sampled_from(
    [*HEADS, *LINES, "/", "airdrop", "live", "\t", "\t", "\n", "\r", "#", "1", "-", "nan", "1e9"]
)


@given(st.text(max_size=60) | st.lists(FILE_PIECES, max_size=20).map("".join))
@example("relevance\tx\t١")
@example("relevance\tx\t1_0")
@example("\ufeff#")
def test_nothing_but_an_error_with_a_line_is_raised(text: str) -> None:
    lines = text.split("\n")
    try:
        weights = parse_weights(lines)
    except ValueError as error:
        message, number = error.args
        assert isinstance(message, str)
        assert 1 <= number <= len(lines)
    else:
        assert all(abs(weight) <= LARGEST for weight in flat(weights).values())


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(max_size=40) | st.lists(FILE_PIECES, max_size=20).map(lambda p: "".join(p).encode())
)
def test_any_file_is_read_or_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.tsv"
    path.write_bytes(content)
    try:
        load_weights(str(path))
    except ConfigError as error:
        message, line = error.message, error.line
    else:
        return
    assert message.isprintable()
    assert len(message) <= 300
    assert line is not None


def test_a_file_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "weights.tsv"
    path.write_bytes(b"\xef\xbb\xbf# by hand\r\n" + "\r\n".join(LINES).encode())
    assert load_weights(str(path)) == parse_weights(LINES)


@pytest.mark.parametrize("break_", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_line_ends_where_an_editor_ends_it(tmp_path: Path, break_: str) -> None:
    path = tmp_path / "weights.tsv"
    path.write_text(f"# by{break_}hand\ntoken\tx\t1\n", encoding="utf-8")
    assert load_weights(str(path)).token == {"x": 1.0}


def test_a_message_does_not_flood(tmp_path: Path) -> None:
    path = tmp_path / "weights.tsv"
    path.write_text(f"relevance\tx\t{'9' * 100_000}\nrelevance\t{'y' * 100_000}\tz\n")
    assert error_of(path).line == 1
    path.write_text(f"relevance\tx\t{'z' * 100_000}\n")
    assert len(error_of(path).message) <= 300


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "none.tsv"
    assert str(error_of(path)) == f"{path}: no such file; check the path"
    assert str(error_of(tmp_path)) == f"{tmp_path}: a folder; name the file in it"
    assert "no path" in str(error_of("a\0b"))


def test_a_file_beyond_all_bounds(tmp_path: Path) -> None:
    path = tmp_path / "weights.tsv"
    with path.open("wb") as opened:
        opened.truncate(33 * 1024 * 1024)
    assert str(error_of(path)) == f"{path}: larger than 32 MB; split it"


def test_what_ships_speaks_for_every_head_and_class() -> None:
    weights = load_weights()
    for head in ("relevance", "project", "token"):
        assert BIAS in getattr(weights, head)
        assert len(getattr(weights, head)) > 50
    assert set(weights.kind[BIAS]) == set(KINDS) - {"none"}
    assert set(weights.status[BIAS]) == set(STATUSES) - {"none"}


def test_what_ships_loads_from_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "tgecrawler.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in sorted((ROOT / "tgecrawler").rglob("*")):
            if path.suffix in (".py", ".tsv"):
                zipped.write(path, path.relative_to(ROOT))
    script = (
        f"import sys; sys.path.insert(0, {str(archive)!r});"
        "from tgecrawler.config import loader;"
        "print(loader.__file__, len(loader.load_weights().relevance))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(archive))
    assert int(done.stdout.split()[1]) == len(load_weights().relevance)


TABLE = {
    BIAS: {"airdrop": 0.5, "listing": 0.0},
    "sale@title": {"token_sale": 2.0, "airdrop": -1.0},
    "lists@title": {"listing": 1.0},
    "more@title": {"listing": 1.0},
}


@pytest.mark.parametrize(
    ("cues", "best"),
    [
        ([], "airdrop"),
        (["unheard"], "airdrop"),
        (["sale@title"], "token_sale"),
        (["lists@title"], "listing"),
        (["sale@title", "lists@title"], "token_sale"),
        (["lists@title", "sale@title", "more@title"], "listing"),  # equal sums: the first by name
    ],
)
def test_the_class_with_the_largest_sum_wins(cues: list[str], best: str) -> None:
    assert best_class(TABLE, cues) == best
    assert best_class(TABLE, iter(cues)) == best


def test_equal_sums_do_not_go_by_the_order_of_a_file() -> None:
    one = {"x": {"listing": 1.0, "airdrop": 1.0, "token_sale": 1.0}}
    other = {"x": {"token_sale": 1.0, "listing": 1.0, "airdrop": 1.0}}
    assert best_class(one, ["x"]) == best_class(other, ["x"]) == "airdrop"


def test_without_weights_no_class_is_best() -> None:
    assert best_class({}, ["sale@title"]) == ""
    assert best_class({"lists@title": {"listing": 1.0}}, ["sale@title"]) == ""


def test_a_class_with_a_negative_sum_may_be_the_best() -> None:
    assert best_class({"x": {"listing": -1.0, "airdrop": -2.0}}, ["x"]) == "listing"
