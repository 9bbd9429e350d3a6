from __future__ import annotations

from pathlib import Path

import pytest

from tgecrawler.errors import OptionError
from tgecrawler.options import OPTIONS, read_options


def test_defaults() -> None:
    options = read_options({}, {})
    assert options == {option.name: option.default for option in OPTIONS}
    for option in OPTIONS:
        assert option.read(option.default) == option.default


def test_command_line_beats_environment_beats_default() -> None:
    environ = {"TGE_MAX_AGE_DAYS": "3", "TGE_DISCOVERY": "0", "HOME": "/x"}
    options = read_options({"TGE_MAX_AGE_DAYS": "5"}, environ)
    assert options["TGE_MAX_AGE_DAYS"] == 5
    assert options["TGE_DISCOVERY"] is False


@pytest.mark.parametrize("layer", ["given", "environ"])
def test_an_unknown_name_stops_the_process(layer: str) -> None:
    given, environ = ({"TGE_MAX_AGE": 1}, {}) if layer == "given" else ({}, {"TGE_MAX_AGE": "1"})
    with pytest.raises(
        OptionError, match="unknown option TGE_MAX_AGE; did you mean TGE_MAX_AGE_DAYS"
    ):
        read_options(given, environ)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TGE_MAX_AGE_DAYS", "-1", "a whole number, 0 or more, not '-1'"),
        ("TGE_MAX_AGE_DAYS", "seven", "a whole number, 0 or more, not 'seven'"),
        ("TGE_DATABASE_BATCH_SIZE", "0", "a whole number, 1 or more, not '0'"),
        ("TGE_DATABASE_BATCH_AGE_S", "nan", "a number above 0, not 'nan'"),
        ("TGE_DATABASE_BATCH_AGE_S", "inf", "a number above 0, not 'inf'"),
        ("TGE_RELEVANCE_MIN_SCORE", "50", "a number from 0 to 1, not '50'"),
        ("TGE_DISCOVERY", "maybe", "1 or 0, not 'maybe'"),
    ],
)
def test_a_wrong_value_is_answered_in_one_line(name: str, value: str, expected: str) -> None:
    with pytest.raises(OptionError) as raised:
        read_options({name: value}, {})
    assert str(raised.value) == f"{name} is {expected}"


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://tge@db.example/tge\n")
    options = read_options({}, {"TGE_DATABASE_URL_FILE": str(secret)})
    assert options["TGE_DATABASE_URL"] == "postgresql://tge@db.example/tge"
    named = read_options(
        {"TGE_DATABASE_URL": "sqlite:///x.db"}, {"TGE_DATABASE_URL_FILE": str(secret)}
    )
    assert named["TGE_DATABASE_URL"] == "sqlite:///x.db"
    with pytest.raises(OptionError, match="TGE_DATABASE_URL_FILE: cannot read"):
        read_options({"TGE_DATABASE_URL_FILE": str(tmp_path / "none")}, {})


def test_only_secrets_come_from_files() -> None:
    with pytest.raises(OptionError, match="unknown option TGE_SOURCES_FILE"):
        read_options({"TGE_SOURCES_FILE": "x"}, {})


def test_a_secrets_value_is_not_repeated() -> None:
    secrets = [option for option in OPTIONS if option.secret]
    assert {option.name for option in secrets} == {
        "TGE_CACHE_URL",
        "TGE_DATABASE_REPLICA_URL",
        "TGE_DATABASE_URL",
        "TGE_REDIS_URL",
    }
    for option in secrets:
        assert option.read("postgresql://u:p@h/d") == "postgresql://u:p@h/d"
