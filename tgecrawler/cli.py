"""What the commands share: options, one-line errors, the database."""

from __future__ import annotations

import difflib
import re
import sys
from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text
from scrapy.commands import ScrapyCommand
from scrapy.spiderloader import get_spider_loader

from tgecrawler.addon import options_of
from tgecrawler.errors import ArgumentError, DatabaseError, UserError
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.readiness import ensure_schema

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from scrapy.settings import BaseSettings
    from sqlalchemy import Engine

    from tgecrawler.options import Value

SQLITE = "sqlite:///"
_AGO = re.compile(r"(\d{1,5})([hd])")


class TgeCommand(ScrapyCommand):
    """Base of the commands: what a user did wrong is one line and exit code 2."""

    requires_project = True
    requires_crawler_process = False
    most_arguments = 0

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        try:
            self._refuse_rest(args)
            self.exitcode = self.act(args, opts) or 0
        except UserError as error:
            self.exitcode = fail(error)
        except BrokenPipeError:  # `scrapy alerts | head`: the reader has seen enough
            sys.stderr.close()

    @abstractmethod
    def act(self, args: list[str], opts: argparse.Namespace) -> int | None:
        """Do the work; return the exit code where it is not 0.

        Raises:
            UserError: said in one line; exit code 2.
        """

    def options(self) -> dict[str, Value]:
        """Return the typed options of this process."""
        return options_of(self._settings())

    def spiders(self) -> list[str]:
        """Return the names of the project's spiders."""
        return get_spider_loader(self._settings()).list()

    def open_database(self) -> Engine:
        """Return the engine of the database, which is told this command's name."""
        return open_database(self.options(), self._name())

    def _refuse_rest(self, args: list[str]) -> None:
        for arg in args:
            if arg.startswith("-") and arg != "-":
                raise ArgumentError(f"unknown option {arg}; see `scrapy {self._name()} -h`")
        if len(args) > self.most_arguments:
            rest = " ".join(args[self.most_arguments :])
            raise ArgumentError(f"too many arguments: {rest}; see `scrapy {self._name()} -h`")

    def _settings(self) -> BaseSettings:
        if self.settings is None:
            raise RuntimeError("a command has settings once Scrapy has read them")
        return self.settings

    def _name(self) -> str:
        return type(self).__module__.rpartition(".")[2]


def fail(error: UserError) -> int:
    """Say an error in one line on stderr; return exit code 2."""
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return 2


def open_database(options: dict[str, Value], program: str = "") -> Engine:
    """Return the engine of an existing database, upgraded where it is older.

    Args:
        program: what PostgreSQL is told of who connects, after "tgecrawler".

    Raises:
        DatabaseError: there is none yet, or it cannot be used.
    """
    url = str(options["TGE_DATABASE_URL"])
    require_database(url)
    engine = create_engine(url, EngineSettings.from_options(options, program=program))
    ensure_schema(engine)
    return engine


def require_database(url: str) -> None:
    """Raise DatabaseError where there is no database yet."""
    if not database_exists(url):
        raise DatabaseError(
            f"there is no database {url.removeprefix(SQLITE)} yet; run `scrapy crawl rss` first"
        )


def database_exists(url: str) -> bool:
    """Return False for an SQLite file that is not there; a command must not create it."""
    return not url.startswith(SQLITE) or Path(url.removeprefix(SQLITE)).exists()


def one_of(value: str, known: Iterable[str], what: str) -> str:
    """Return the member of `known` that equals `value`, whatever the case.

    Raises:
        ArgumentError: there is none; names the nearest.
    """
    by_fold = {name.casefold(): name for name in known}
    if value.casefold() in by_fold:
        return by_fold[value.casefold()]
    near = difflib.get_close_matches(value.casefold(), by_fold, n=1)
    hint = (
        f"did you mean {by_fold[near[0]]!r}?" if near else f"known: {', '.join(by_fold.values())}"
    )
    raise ArgumentError(f"no {what} {value!r}; {hint}")


def moment(value: str, now: datetime) -> datetime:
    """Return a moment given as a day, an RFC 3339 time, or as so long ago (24h, 7d).

    Raises:
        ArgumentError: it is none of these.
    """
    if ago := _AGO.fullmatch(value):
        unit = {"h": "hours", "d": "days"}[ago[2]]
        return now - timedelta(**{unit: int(ago[1])})
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise ArgumentError(
            f"--since takes 2026-01-31, 2026-01-31T08:00:00Z, 24h or 7d, not {value!r}"
        ) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def json_flag(parser: argparse.ArgumentParser, **kwargs: Any) -> None:
    """Add ``--json``, which every command that shows something understands."""
    parser.add_argument("--json", action="store_true", help="print JSON", **kwargs)


def print_json(shown: Any) -> None:
    """Print a value as JSON."""
    sys.stdout.write(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode() + "\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; what the web or a user brought along is no markup."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(file=sys.stdout).print(table)
