"""Finds the responses of a web archive by address."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Self

from w3lib.url import safe_url_string

from tgecrawler.archive.body import read_body
from tgecrawler.archive.records import DamagedError, Record, Scan, open_record
from tgecrawler.archive.response import ArchivedResponse
from tgecrawler.domain.urls import resolve_url
from tgecrawler.errors import ReplayError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SUFFIXES = (".warc", ".warc.gz")
_NOT_MODIFIED = 304
_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")


class Place(NamedTuple):
    """Where a capture lies, and when it was taken; see `records.Record`."""

    path: Path
    offset: int
    skip: int
    fetched_at: datetime
    status: int

    def beats(self, other: Place | None) -> bool:
        """Whether this capture counts, and not the other; a 304 says nothing of the page."""
        if other is None:
            return True
        mine, theirs = self.status != _NOT_MODIFIED, other.status != _NOT_MODIFIED
        return (mine, self.fetched_at) >= (theirs, other.fetched_at)


class WarcIndex:
    """Captures of one archive file, or of all in a folder, by address.

    Of several captures of one address the newest counts. `warnings` says what
    could not be read; everything else is served. Reads are independent of one
    another: safe from several threads.
    """

    def __init__(self, places: dict[str, Place], warnings: tuple[str, ...]) -> None:
        self._places = places
        spellings = ((_spelling(url), url) for url in places)
        self._spellings = {spelling: url for spelling, url in spellings if spelling != url}
        self.warnings = warnings
        self.newest_at = max(place.fetched_at for place in places.values())

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the index of an archive, after one pass over it.

        Raises:
            ReplayError: there is no such archive, or not one whole response in it.
        """
        places: dict[str, Place] = {}
        warnings: list[str] = []
        for file in _archives(path):
            try:
                warnings += _gather(file, places)
            except OSError as error:
                warnings.append(f"{file.name} cannot be read: {error.strerror}")
        if not places:
            why = f" ({warnings[0]})" if warnings else ""
            raise ReplayError(f"{path} holds no whole response; name a .warc or .warc.gz{why}")
        return cls(places, tuple(warnings))

    def __len__(self) -> int:
        return len(self._places)

    def get(
        self, url: str, *, max_bytes: int = 0, with_body: bool = True
    ) -> ArchivedResponse | None:
        """Return the capture of an address, or None where there is none.

        Fragments are not minded, nor are spellings that mean the same address.

        Args:
            max_bytes: longest body to read; 0 = any.
            with_body: False leaves the body empty and unread.

        Raises:
            BodyTooLargeError: the body is longer.
            ReplayError: the file has changed since it was indexed.
        """
        url = _without_fragment(url)
        key = url if url in self._places else self._known(_spelling(url))
        if key is None:
            return None
        place = self._places[key]
        try:
            with open_record(place.path, place.offset, place.skip) as (http, content):
                headers = tuple(http.headers)
                body = read_body(headers, content, max_bytes) if with_body else b""
        except (OSError, DamagedError) as error:
            raise ReplayError(f"{place.path} has changed during the replay: {error}") from None
        return ArchivedResponse(
            url=key,
            status=place.status,
            headers=headers,
            body=body,
            fetched_at=place.fetched_at,
        )

    def _known(self, spelling: str) -> str | None:
        return spelling if spelling in self._places else self._spellings.get(spelling)


def _archives(path: Path) -> list[Path]:
    if path.is_dir():
        try:
            names = sorted(os.listdir(path))
        except OSError as error:
            raise ReplayError(f"the folder {path} cannot be read: {error.strerror}") from None
        found = [path / name for name in names if name.lower().endswith(SUFFIXES)]
        if not found:
            raise ReplayError(f"the folder {path} holds no .warc or .warc.gz")
        return found
    if not path.is_file():
        raise ReplayError(f"there is no archive {path}; name a .warc, a .warc.gz or a folder")
    return [path]


def _gather(file: Path, places: dict[str, Place]) -> list[str]:
    """Put the captures of a file among `places`; return what there is to warn of."""
    scan = Scan(file)
    taken = unread = 0
    for record in scan:
        kind = record.warc.get_header("WARC-Type")
        if kind not in ("response", "revisit"):
            continue
        url = _address(record, "WARC-Target-URI")
        place = _place(file, record) if kind == "response" else _revisited(record, places)
        if url and place:
            taken += 1
            if place.beats(places.get(url)):
                places[url] = place
        else:
            unread += kind == "response"
    return list(_warnings(scan, taken, unread))


def _place(file: Path, record: Record) -> Place | None:
    moment = _moment(record.warc.get_header("WARC-Date") or "")
    if moment is None or record.http is None:
        return None
    status = int(record.http.get_statuscode())
    return Place(file, record.offset, record.skip, moment, status)


def _revisited(record: Record, places: Mapping[str, Place]) -> Place | None:
    """Return the place of the page that a revisit found again unchanged."""
    moment = _moment(record.warc.get_header("WARC-Date") or "")
    earlier = places.get(
        _address(record, "WARC-Refers-To-Target-URI") or _address(record, "WARC-Target-URI")
    )
    return earlier._replace(fetched_at=moment) if earlier and moment else None


def _address(record: Record, header: str) -> str:
    return _without_fragment((record.warc.get_header(header) or "").strip("<> "))


def _warnings(scan: Scan, taken: int, unread: int) -> Iterator[str]:
    name = scan.path.name
    if scan.damaged and not taken:
        yield f"{name} is no WARC file, or none that can be read"
    elif scan.damaged:
        yield f"{name} is damaged ({scan.damaged} times); its {taken} whole responses are replayed"
    if scan.cut:
        yield f"{name} is cut after {taken} responses; those are replayed"
    if unread:
        yield f"{name}: {unread} responses without address, date or HTTP head are left out"
    if scan.lumped:
        yield f"{name} is slow to read; run: warcio recompress {name} NEW.warc.gz"


def _without_fragment(url: str) -> str:
    return url.partition("#")[0]


def _spelling(url: str) -> str:
    """Return one spelling for all that mean the same address.

    Begins with what Scrapy does to the address of a request, so that a capture
    by another crawler is found under it.
    """
    try:
        safe = str(safe_url_string(url))
    except ValueError:
        safe = url
    resolved = resolve_url(safe) or safe
    return _ESCAPE.sub(lambda match: match.group().upper(), resolved)


def _moment(date: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(date)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
