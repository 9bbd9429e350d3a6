"""Records kept as JSON lines."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tgecrawler.errors import SourceError
from tgecrawler.items import Entry
from tgecrawler.sources.records import LONGEST_LINE, parse_record, read_lines

URL = "https://e.example/quillon"


def record(**fields) -> str:
    return json.dumps({"url": URL, "title": "Quillon opens claims"} | fields)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("", []),
        ("\n \n\t\n", []),
        ("a\nb", ["a\n", "b"]),
        ("a\r\n\r\nb\r\n", ["a\n", "b\n"]),
        ("Квиллон\n", ["Квиллон\n"]),
        ("a\u2028b\n", ["a\u2028b\n"]),  # JSON may hold it: no end of a line
    ],
)
@pytest.mark.parametrize("name", ["records.jsonl", "records.jsonl.gz"])
def test_lines(tmp_path: Path, name: str, content: str, lines: list[str]) -> None:
    path = tmp_path / name
    data = content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    assert list(read_lines(path)) == lines


def unreadable(directory: Path) -> dict[str, Path]:
    whole = gzip.compress("\n".join(map(str, range(5_000))).encode())
    contents = {
        "latin.jsonl": "Querétaro\n".encode("latin-1"),
        "binary.jsonl.gz": b"\x1f\x8b but no gzip",
        "plain.jsonl.gz": b"a\nb\n",
        "broken.jsonl.gz": whole[:200] + b"\xff" * 200 + whole[400:],
        "cut.jsonl.gz": whole[:-100],
    }
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    (directory / "folder").mkdir()
    return {name: directory / name for name in (*contents, "folder", "missing.jsonl")}


@pytest.mark.parametrize(
    "name",
    [
        "latin.jsonl",
        "binary.jsonl.gz",
        "plain.jsonl.gz",
        "broken.jsonl.gz",
        "cut.jsonl.gz",
        "folder",
        "missing.jsonl",
    ],
)
def test_what_cannot_be_read_says_so(tmp_path: Path, name: str) -> None:
    path = unreadable(tmp_path)[name]
    with pytest.raises(SourceError, match=f"cannot read .*{name}"):
        list(read_lines(path))


def test_a_file_that_is_cut_gives_what_is_whole_and_then_ends_in_an_error(tmp_path: Path) -> None:
    lines = read_lines(unreadable(tmp_path)["cut.jsonl.gz"])
    assert [next(lines) for _ in range(3)] == ["0\n", "1\n", "2\n"]
    with pytest.raises(SourceError):
        list(lines)


def test_a_whole_record() -> None:
    line = record(
        source="acme",
        summary="All users",
        text="May take part",
        author="A. Writer",
        lang="en",
        published="2026-03-04T05:06:00+02:00",
        guid="passed over",
        score=7,
    )
    assert parse_record(line) == (
        "acme",
        Entry(
            url=URL,
            title="Quillon opens claims",
            summary="All users",
            text="May take part",
            author="A. Writer",
            lang="en",
            published_at=datetime(2026, 3, 4, 3, 6, tzinfo=UTC),
        ),
    )


@pytest.mark.parametrize("field", ["title", "summary", "text"])
def test_the_least_of_a_record(field: str) -> None:
    line = json.dumps({"url": URL, field: "Quillon"})
    assert parse_record(line) == ("", Entry(url=URL, **{field: "Quillon"}))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"title": "<b>Quillon</b> &amp; Marrow\n opens"}, {"title": "Quillon & Marrow opens"}),
        ({"title": "Quil\u200blon\ud800"}, {"title": "Quillon"}),
        ({"title": 7, "text": "Quillon"}, {"title": "", "text": "Quillon"}),
        ({"author": None}, {"author": ""}),
        ({"author": ["A"]}, {"author": ""}),
        ({"published": "soon"}, {"published_at": None}),
        ({"published": 1_700_000_000}, {"published_at": None}),
        (
            {"published": "1700000000"},
            {"published_at": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)},
        ),
        ({"published": "2026-03-04"}, {"published_at": datetime(2026, 3, 4, tzinfo=UTC)}),
        ({"url": f" {URL}?a=1&amp;b=2 "}, {"url": f"{URL}?a=1&b=2"}),
        ({"url": "HTTPS://E.example"}, {"url": "https://e.example/"}),
    ],
)
def test_values(fields: dict, expected: dict) -> None:
    _, entry = parse_record(record(**fields))
    assert {name: getattr(entry, name) for name in expected} == expected


def test_a_source_that_is_no_text_is_none() -> None:
    assert parse_record(record(source=["acme"]))[0] == ""
    assert parse_record(record(source=" <i>acme</i> "))[0] == "acme"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "not a line of JSON"),
        ("{", "not a line of JSON"),
        (f"{record()} {record()}", "not a line of JSON"),
        ("[" * 100_000, "not a line of JSON"),
        ('{"url": ' + "9" * 5_000 + "}", "not a line of JSON"),
        ("null", "not a JSON object"),
        ("[]", "not a JSON object"),
        ('"Quillon"', "not a JSON object"),
        ("{}", "has a url"),
        (json.dumps({"title": "Quillon"}), "has a url"),
        (json.dumps({"url": URL}), "has a url"),
        (record(title=""), "has a url"),
        (record(title=" \u200b<br> "), "has a url"),
        (record(title=None, author="A. Writer"), "has a url"),
        (record(url=""), "has a url"),
        (record(url=None), "has a url"),
        (record(url="/quillon"), "has a url"),
        (record(url="ftp://e.example/a"), "has a url"),
        (record(url="javascript:alert(1)"), "has a url"),
        (record(url="https://user:word@e.example/"), "has a url"),
    ],
)  # fmt: skip
def test_what_is_no_record(line: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse_record(line)


def test_how_long_a_line_may_be() -> None:
    padded = record() + " " * (LONGEST_LINE - len(record()))
    assert parse_record(padded)[1].url == URL
    with pytest.raises(SourceError, match="too long"):
        parse_record(padded + " ")
