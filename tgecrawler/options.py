"""The one table of options: name, default, type, unit and meaning.

``-s TGE_NAME=value`` beats the environment, the environment beats the default.
Documentation and ``deploy/env.example`` are generated from this table. A name
that begins with ``TGE_`` and is not in it stops the process.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tgecrawler.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PREFIX = "TGE_"

Value = str | int | float | bool


def _text(raw: str) -> str:
    return raw.strip()


def _whole(raw: str) -> int:
    number = int(raw)
    if number < 0:
        raise ValueError
    return number


def _positive_whole(raw: str) -> int:
    number = int(raw)
    if number < 1:
        raise ValueError
    return number


def _positive(raw: str) -> float:
    number = float(raw)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


def _share(raw: str) -> float:
    number = float(raw)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def _switch(raw: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    return words[raw.strip().lower()]


_EXPECTED: dict[Callable[[str], Value], str] = {
    _text: "text",
    _whole: "a whole number, 0 or more",
    _positive_whole: "a whole number, 1 or more",
    _positive: "a number above 0",
    _share: "a number from 0 to 1",
    _switch: "1 or 0",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table. `unit` is "" where a value has none."""

    name: str
    default: Value
    parse: Callable[[str], Value]
    meaning: str
    unit: str = ""
    secret: bool = False

    @property
    def expected(self) -> str:
        """What a value looks like, for messages and the manual."""
        return _EXPECTED[self.parse]

    def read(self, raw: object) -> Value:
        """Return the typed value of `raw`.

        Raises:
            OptionError: it does not parse; a secret's value is not repeated.
        """
        try:
            return self.parse(str(raw))
        except (ValueError, KeyError):
            shown = "this value" if self.secret else repr(str(raw))
            raise OptionError(f"{self.name} is {self.expected}, not {shown}") from None


OPTIONS: tuple[Option, ...] = (
    Option(
        "TGE_DATABASE_URL",
        "sqlite:///var/tge.db",
        _text,
        "Database: sqlite:///PATH (relative to the working folder) or postgresql://…",
        secret=True,
    ),
    Option(
        "TGE_REDIS_URL",
        "",
        _text,
        "Redis that several processes share: redis://, rediss://, unix://, redis+sentinel:// or "
        "redis+cluster://…; empty = a single process",
        secret=True,
    ),
    Option(
        "TGE_REDIS_WAIT_S",
        60.0,
        _positive,
        "Longest time that a starting process waits for Redis",
        unit="s",
    ),
    Option(
        "TGE_LEASE_S",
        30.0,
        _positive,
        "A worker that is not heard of for so long loses what it works on to the others",
        unit="s",
    ),
    Option(
        "TGE_QUEUE_ATTEMPTS",
        5,
        _positive_whole,
        "Failures in our own code after which a request is put with the dead ones",
    ),
    Option(
        "TGE_QUEUE_RECLAIMS",
        10,
        _positive_whole,
        "Workers that may die over a request before it is put with the dead ones",
    ),
    Option(
        "TGE_QUEUE_PER_HOST",
        4,
        _whole,
        "Requests for one host that all workers together may have out of the queue and not yet "
        "answered; 0 = no bound",
    ),
    Option(
        "TGE_QUEUE_MAX_REQUESTS",
        1_000_000,
        _positive_whole,
        "Most requests that the shared queue holds; more wait in their workers",
    ),
    Option(
        "TGE_QUEUE_SEEN_DAYS",
        7.0,
        _positive,
        "For how long the shared filter of duplicates remembers a request",
        unit="days",
    ),
    Option(
        "TGE_STREAM_MAX_MESSAGES",
        100_000,
        _positive_whole,
        "Messages that the stream of alerts and events keeps; the oldest go first",
    ),
    Option("TGE_WATCHLIST", "", _text, "Path of a watchlist.yaml; empty = the bundled one"),
    Option("TGE_SOURCES", "", _text, "Path of a sources.yaml; empty = the bundled one"),
    Option("TGE_LEXICON", "", _text, "Path of a lexicon.yaml; empty = the bundled one"),
    Option(
        "TGE_WEIGHTS",
        "",
        _text,
        "Path of a weights.tsv that `scrapy fit` wrote; empty = the bundled one",
    ),
    Option("TGE_DISCOVERY", True, _switch, "Also alert on projects that are not on the watchlist"),
    Option(
        "TGE_REPLAY",
        "",
        _text,
        "A .warc or .warc.gz, or a folder of them: every request is answered from it and nothing "
        "goes to the network; a URL that it lacks is a 404",
    ),
    Option("TGE_ARCHIVE", "", _text, "Folder: every response is written there as WARC"),
    Option(
        "TGE_ALLOW_PRIVATE_NETWORKS",
        False,
        _switch,
        "Also fetch from this machine and its networks, as tests and intranets need; feeds and "
        "pages can then make the crawler ask any service there",
    ),
    Option(
        "TGE_USER_AGENT_CONTACT",
        "",
        _text,
        "Address or page put into the User-Agent, so that a host's operator can reach you",
    ),
    Option("TGE_STATS_JSON", "", _text, "Path: the run report is written there as JSON"),
    Option(
        "TGE_CACHE_URL",
        "",
        _text,
        "Cache that outlives a run: redis://…, sqlite:///PATH, or off; empty = the file "
        "cache.sqlite beside an SQLite database, else var/cache.sqlite",
        secret=True,
    ),
    Option(
        "TGE_CACHE_MEMORY_MB",
        100,
        _whole,
        "Most memory that the cache takes in a process; 0 = none",
        unit="MB",
    ),
    Option(
        "TGE_CACHE_MAX_MB",
        1000,
        _positive_whole,
        "Most that the cache's file, or its part of Redis, takes",
        unit="MB",
    ),
    Option(
        "TGE_CACHE_TTLS",
        "",
        _text,
        "Other times in the cache, seconds by tier: feed=300,article=86400; "
        "`scrapy cache advise` proposes some",
    ),
    Option(
        "TGE_RELEVANCE_MIN_SCORE", 0.5, _share, "Score from which a text is relevant", unit="score"
    ),
    Option(
        "TGE_MAX_AGE_DAYS",
        7,
        _whole,
        "Entries published longer ago are counted and left; 0 = no limit",
        unit="days",
    ),
    Option(
        "TGE_POLL_SHORTEST_S",
        120.0,
        _positive,
        "Shortest time between two polls of a feed by its rhythm",
        unit="s",
    ),
    Option(
        "TGE_POLL_LONGEST_S",
        86_400.0,
        _positive,
        "Longest time between two polls of a feed by its rhythm",
        unit="s",
    ),
    Option(
        "TGE_SITE_MAX_PAGES",
        500,
        _positive_whole,
        "Most pages of one site without a feed that one run fetches, newest first",
        unit="pages",
    ),
    Option(
        "TGE_READERS",
        2,
        _whole,
        "Processes beside the crawl that read article pages; 0 = the crawl reads them itself",
        unit="processes",
    ),
    Option(
        "TGE_DATABASE_BATCH_SIZE",
        500,
        _positive_whole,
        "Rows that make a batch full; of what gathers while a slow database commits, up to four "
        "times as many are written together",
        unit="rows",
    ),
    Option(
        "TGE_DATABASE_BATCH_AGE_S",
        2.0,
        _positive,
        "Longest time that a row waits for its batch",
        unit="s",
    ),
    Option(
        "TGE_DATABASE_POOL_SIZE",
        20,
        _positive_whole,
        "Connections to the database that a process keeps open; opened as they are needed",
        unit="connections",
    ),
    Option(
        "TGE_DATABASE_POOL_OVERFLOW",
        10,
        _whole,
        "Connections beyond those, closed after use",
        unit="connections",
    ),
    Option(
        "TGE_DATABASE_POOL_TIMEOUT_S",
        30.0,
        _positive,
        "Longest wait for a connection while all are in use",
        unit="s",
    ),
    Option(
        "TGE_DATABASE_POOL_RECYCLE_S",
        3600.0,
        _positive,
        "Age from which a connection is made anew before its next use (PostgreSQL)",
        unit="s",
    ),
    Option(
        "TGE_DATABASE_STATEMENT_TIMEOUT_S",
        60,
        _whole,
        "Time after which PostgreSQL ends a statement, but not one of `scrapy db`; 0 = none",
        unit="s",
    ),
    Option(
        "TGE_DATABASE_REPLICA_URL",
        "",
        _text,
        "Streaming replica of a PostgreSQL database, postgresql://…: what only shows is read "
        "from it; empty = none",
        secret=True,
    ),
    Option(
        "TGE_DATABASE_REPLICA_MAX_LAG_S",
        10.0,
        _positive,
        "How far the replica may be behind; beyond, the database itself is read",
        unit="s",
    ),
    Option(
        "TGE_DATABASE_SLOW_QUERY_MS",
        200,
        _whole,
        "Time from which a statement is logged with its plan; 0 = none is",
        unit="ms",
    ),
    Option(
        "TGE_SPOOL_MAX_MB",
        500,
        _whole,
        "Most that rows take on disk while the database is away; beyond it the crawl waits; "
        "0 = they are not kept, and the next run reads their entries again",
        unit="MB",
    ),
    Option(
        "TGE_SPOOL_PATH",
        "",
        _text,
        "Folder of the rows on disk, and of those that the database refuses; empty = beside an "
        "SQLite database, else var/spool",
    ),
    Option(
        "TGE_KEEP_TEXTS_DAYS",
        0,
        _whole,
        "How long `scrapy db prune` keeps the bodies of mentions; headline, summary and verdict "
        "stay; 0 = for ever",
        unit="days",
    ),
    Option(
        "TGE_KEEP_POSTS_DAYS",
        0,
        _whole,
        "The same for the bodies of posts, as a platform's terms may ask for; 0 = as other bodies",
        unit="days",
    ),
    Option(
        "TGE_KEEP_MENTIONS_DAYS",
        0,
        _whole,
        "How long whole mentions are kept, with their alerts, after the last that was told of "
        "their event; the events stay; 0 = for ever",
        unit="days",
    ),
    Option(
        "TGE_KEEP_SEEN_DAYS",
        0,
        _whole,
        "How long it is remembered that an entry was judged of which no mention is kept; one "
        "that a feed still tells is then read again; 0 = for ever",
        unit="days",
    ),
    Option(
        "TGE_KEEP_RUNS_DAYS",
        90,
        _whole,
        "How long the reports of runs are kept; 0 = for ever",
        unit="days",
    ),
)

_BY_NAME = {option.name: option for option in OPTIONS}
_FILE_NAMES = {f"{option.name}_FILE": option for option in OPTIONS if option.secret}


def read_options(given: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, Value]:
    """Return every option's typed value.

    Args:
        given: what was set for this process (``-s``, project settings); beats `environ`.
        environ: the environment. A secret may also be the content of the file that
            ``NAME_FILE`` names.

    Raises:
        OptionError: an unknown TGE_ name (with the nearest known one), a value that does
            not parse, or a secret's file that cannot be read.
    """
    _refuse_unknown(given)
    _refuse_unknown(environ)
    layers = ({**_secrets(environ), **environ}, {**_secrets(given), **given})
    raw = {name: value for layer in layers for name, value in layer.items() if name in _BY_NAME}
    return {
        option.name: option.read(raw[option.name]) if option.name in raw else option.default
        for option in OPTIONS
    }


def _refuse_unknown(names: Iterable[str]) -> None:
    known = [*_BY_NAME, *_FILE_NAMES]
    for name in names:
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "see docs/options.md"
            raise OptionError(f"unknown option {name}; {hint}")


def _secrets(layer: Mapping[str, Any]) -> dict[str, str]:
    return {
        option.name: _file_content(name, str(layer[name]))
        for name, option in _FILE_NAMES.items()
        if layer.get(name)
    }


def _file_content(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{name}: cannot read {path} ({error})") from None
