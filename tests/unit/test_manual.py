from __future__ import annotations

import re
from pathlib import Path

import pytest

from tgecrawler.manual import COMMANDS, ROOT, env_example, options_table, pages
from tgecrawler.options import OPTIONS


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_generated_pages_are_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == pages()[path], "run `make docs`"


def test_every_option_is_in_the_manual() -> None:
    for option in OPTIONS:
        assert f"`{option.name}`" in options_table()
        assert f"# {option.name}=" in env_example()


def test_every_command_of_the_manual_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    spiders = {path.stem for path in (ROOT / "tgecrawler" / "spiders").glob("*.py")}
    commands = {path.stem for path in (ROOT / "tgecrawler" / "commands").glob("*.py")}
    for command, _ in COMMANDS:
        program, verb, *rest = command.split()
        if program == "make":
            assert re.search(rf"^{verb}:", makefile, re.MULTILINE), command
        else:
            assert verb in commands, command
            assert verb != "crawl" or rest[0] in spiders, command
