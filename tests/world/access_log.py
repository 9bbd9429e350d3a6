"""The access log of the simulated world: JSON lines, one per request and one per connection.

Moments are seconds since the day began; a request starts when its last byte arrived at
the server and ends when the last byte of the answer has left it, or the connection has.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO


@dataclass(slots=True)
class Request:
    """One request as the server saw it.

    `nth`: its number on its connection, from 1. `whole` is False where the connection
    ended before the answer. `retry_at_s`: before it the host must not be asked again.
    """

    host: str
    path: str
    start_s: float
    end_s: float
    connection: int = 1
    nth: int = 1
    kind: str = "other"  # feed, page, robots, other
    status: int = 200
    body_bytes: int = 0
    if_none_match: str = ""
    if_modified_since: str = ""
    retry_at_s: float | None = None
    whole: bool = True


@dataclass(slots=True)
class Connection:
    """One connection from accept to close."""

    number: int
    host: str
    opened_s: float
    closed_s: float


@dataclass(frozen=True, slots=True)
class AccessLog:
    """All that a server saw, requests in the order of their starts."""

    requests: list[Request]
    connections: list[Connection]


def write_line(log: TextIO, line: Request | Connection) -> None:
    """Append a request or a connection."""
    log.write(json.dumps({type(line).__name__.lower(): asdict(line)}) + "\n")


def read_log(path: Path) -> AccessLog:
    """Return what a log holds."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    requests = [Request(**line["request"]) for line in lines if "request" in line]
    connections = [Connection(**line["connection"]) for line in lines if "connection" in line]
    return AccessLog(sorted(requests, key=lambda one: one.start_s), connections)
