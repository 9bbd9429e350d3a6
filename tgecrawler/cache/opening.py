"""Which cache a process works with, by its options; every crawler of a process shares it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from tgecrawler.cache.sqlite import SqliteLevel
from tgecrawler.cache.tiered import TieredCache
from tgecrawler.cache.tiers import tiers_with
from tgecrawler.errors import OptionError
from tgecrawler.redis_address import SCHEMES

if TYPE_CHECKING:
    from tgecrawler.cache.level import SharedLevel

MB = 1_000_000
OFF = "off"
FILE_NAME = "cache.sqlite"
SQLITE = "sqlite:///"

_open: dict[CacheOptions, TieredCache] = {}
_opening = threading.Lock()


class Options(Protocol):
    """Typed options by name: what `read_options` returns, or a crawler's settings."""

    def __getitem__(self, name: str, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """The options that make up a cache."""

    url: str
    memory_bytes: int
    most_bytes: int
    ttls: str

    @classmethod
    def of(cls, options: Options) -> CacheOptions:
        """Return them from an option table or from a crawler's settings."""
        url = str(options["TGE_CACHE_URL"])
        return cls(
            url=url or f"{SQLITE}{_beside(str(options['TGE_DATABASE_URL']))}",
            memory_bytes=int(options["TGE_CACHE_MEMORY_MB"]) * MB,
            most_bytes=int(options["TGE_CACHE_MAX_MB"]) * MB,
            ttls=str(options["TGE_CACHE_TTLS"]),
        )

    @property
    def file(self) -> Path | None:
        """The file of a cache on SQLite; None for the others."""
        return Path(self.url.removeprefix(SQLITE)) if self.url.startswith(SQLITE) else None


def open_cache(options: Options) -> TieredCache:
    """Return the process's cache for these options; nothing connects before its first use.

    With ``off`` it keeps nothing, and everything is a miss.

    Raises:
        OptionError: TGE_CACHE_URL or TGE_CACHE_TTLS cannot be read.
    """
    wanted = CacheOptions.of(options)
    with _opening:
        if wanted not in _open:
            _open[wanted] = _make(wanted)
        return _open[wanted]


def close_caches() -> None:
    """Close every cache of this process; the next `open_cache` begins with an empty memory."""
    with _opening:
        for cache in _open.values():
            cache.close()
        _open.clear()


def open_level(options: CacheOptions) -> SharedLevel | None:
    """Return the shared level of these options, None for ``off``.

    Raises:
        OptionError: TGE_CACHE_URL cannot be read.
    """
    if options.url == OFF:
        return None
    if options.file is not None:
        if options.file == Path():
            raise _unreadable()
        return SqliteLevel(options.file, options.most_bytes)
    if urlsplit(options.url).scheme not in SCHEMES:
        raise _unreadable()
    from tgecrawler.cache.redis import RedisLevel  # 5 MB that most processes need not load

    try:
        return RedisLevel(options.url, options.most_bytes)
    except ValueError as error:  # repeats nothing of the address
        raise OptionError(f"TGE_CACHE_URL: {error}") from None


def _make(options: CacheOptions) -> TieredCache:
    level = open_level(options)
    memory_bytes = 0 if level is None else options.memory_bytes
    return TieredCache(level, memory_bytes=memory_bytes, tiers=tiers_with(options.ttls))


def _beside(database_url: str) -> Path:
    """Return the file beside an SQLite database; a PostgreSQL one has no folder here."""
    if database_url.startswith(SQLITE):
        return Path(database_url.removeprefix(SQLITE)).with_name(FILE_NAME)
    return Path("var") / FILE_NAME


def _unreadable() -> OptionError:
    # the value is not shown: it may hold a password
    return OptionError("TGE_CACHE_URL is empty, redis://host:6379/0, sqlite:///PATH, or off")
