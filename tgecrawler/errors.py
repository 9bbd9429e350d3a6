"""Every exception that is raised on purpose.

    TgeError
    ├── UserError            something the operator can mend; one line, exit code 2
    │   ├── OptionError      an unknown TGE_ name or a value that does not parse
    │   ├── ArgumentError    an unknown spider argument, slug, filter or file
    │   ├── ConfigError      watchlist, sources or lexicon; knows file and line
    │   ├── ReplayError      an archive that cannot be replayed at all
    │   ├── DatabaseError    unreachable, unreadable, or of a newer schema
    │   │   └── DatabaseRefusalError   of the rows themselves, not for the moment
    │   ├── SpoolError       rows cannot be kept on disk until the database is back
    │   │   └── SpoolFullError    for now: there is room again once some are written
    │   ├── RedisUnavailableError  the Redis that workers share does not answer at the start
    │   └── CacheError       a cache that a command cannot reach; a crawl does without
    ├── NearIndexError       the shared index of near copies does not answer; a crawl does without
    ├── PayloadError         rows that were kept on disk cannot be read by this version
    └── SourceError          what the web sent cannot be read; counted, and the crawl goes on

A pipeline that lets an entry go raises ``tgecrawler.drops.EntryDropped``: an
outcome, not an error.
"""

from __future__ import annotations


class TgeError(Exception):
    """Base of everything raised on purpose."""


class UserError(TgeError):
    """Something the operator can mend; its text is one line that says what to do."""


class OptionError(UserError):
    """An unknown TGE_ name, or a value that does not parse."""


class ArgumentError(UserError):
    """An unknown spider argument, source slug, filter value or file."""


class ConfigError(UserError):
    """A watchlist, sources or lexicon file that cannot be used.

    Args:
        message: what is wrong, and what to write instead.
        file: path as the operator knows it.
        line: 1-based line; None where the whole file is meant.
    """

    def __init__(self, message: str, *, file: str, line: int | None = None) -> None:
        self.file = file
        self.line = line
        self.message = message
        place = file if line is None else f"{file}:{line}"
        super().__init__(f"{place}: {message}")


class ReplayError(UserError):
    """An archive that cannot be replayed at all (missing, or without one whole record)."""


class DatabaseError(UserError):
    """A database that cannot be reached, read, or is of a newer schema."""


class DatabaseRefusalError(DatabaseError):
    """A database that refuses what it was given; the same rows would be refused again."""


class SpoolError(UserError):
    """A spool that cannot keep rows: its folder cannot be used, or the disk is full."""


class SpoolFullError(SpoolError):
    """A spool that has as many bytes as it may have."""


class RedisUnavailableError(UserError):
    """The Redis that workers share cannot be used, and was waited for long enough."""


class CacheError(UserError):
    """A cache that a command cannot reach; a crawl does without."""


class NearIndexError(TgeError):
    """The shared index of near copies cannot be used for now; a crawl does without."""


class PayloadError(TgeError):
    """Rows on disk that are damaged, or of a newer version."""


class SourceError(TgeError):
    """A feed, page or sitemap that cannot be read; counted against its source."""
