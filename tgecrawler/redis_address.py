"""The address of a Redis: one server, a socket, Sentinels, or a cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

PORT = 6379
SENTINEL_PORT = 26379
SHAPES = (
    "an address of Redis is redis://user:password@host:6379/0, rediss://… with TLS, "
    "unix:///path?db=0, redis+sentinel://host:26379,host:26379/service/0, or "
    "redis+cluster://host:7000,host:7001 (in a password %40 stands for @, %2F for /, %3F for ? "
    "and %23 for #)"
)


class Kind(Enum):
    """How the server is found."""

    SERVER = "server"
    SOCKET = "socket"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_SCHEMES = {
    "redis": (Kind.SERVER, False),
    "rediss": (Kind.SERVER, True),
    "unix": (Kind.SOCKET, False),
    "redis+sentinel": (Kind.SENTINEL, False),
    "rediss+sentinel": (Kind.SENTINEL, True),
    "redis+cluster": (Kind.CLUSTER, False),
    "rediss+cluster": (Kind.CLUSTER, True),
}
SCHEMES = frozenset(_SCHEMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """What an address says; its representation shows no password.

    `hosts` are those of the server, the Sentinels, or some nodes of the cluster; none
    for a socket. `tls` and `sentinel` are arguments of redis-py.
    """

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    with_tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Mapping[str, Any] = field(default_factory=dict)
    sentinel: Mapping[str, str] = field(default_factory=dict, repr=False)


def parse_redis_address(url: str) -> RedisAddress:
    """Return what an address says.

    Options after ``?``: ``db``, ``username``, ``password``; with TLS ``ssl_ca_certs``,
    ``ssl_certfile`` and ``ssl_keyfile`` (paths), ``ssl_check_hostname`` (yes or no),
    ``ssl_cert_reqs`` (required, optional or none); for the Sentinels themselves
    ``sentinel_username`` and ``sentinel_password``.

    Raises:
        ValueError: it is none; one line that says what is wrong and repeats nothing of it.
    """
    try:
        parts = urlsplit(url)
        # an @ or / that was not written %40 or %2F leaves something behind, never a wrong host
        if parts.fragment:
            raise ValueError("there is a #")
    except ValueError:
        raise _wrong("it cannot be read") from None
    if parts.scheme not in _SCHEMES:
        raise _wrong("its scheme is not one of Redis")
    kind, with_tls = _SCHEMES[parts.scheme]
    userinfo, _, places = parts.netloc.rpartition("@")
    user, _, password = (unquote(part) for part in userinfo.partition(":"))
    options = _options_of(parts, kind, with_tls)
    path, service, db = _path_of(parts, kind)
    return RedisAddress(
        kind=kind,
        hosts=_hosts_of(places, kind),
        path=path,
        service=service,
        db=options.pop("db", db),
        with_tls=with_tls,
        username=options.pop("username", None) or user or None,
        password=options.pop("password", None) or password or None,
        tls={name: value for name, value in options.items() if name.startswith("ssl_")},
        sentinel={
            name.removeprefix("sentinel_"): value
            for name, value in options.items()
            if name.startswith("sentinel_")
        },
    )


def _wrong(reason: str) -> ValueError:
    return ValueError(f"{reason}; {SHAPES}")


def _hosts_of(places: str, kind: Kind) -> tuple[tuple[str, int], ...]:
    if kind is Kind.SOCKET:
        if places:
            raise _wrong("a socket has no host: unix:///path has three slashes")
        return ()
    default = SENTINEL_PORT if kind is Kind.SENTINEL else PORT
    listed = places.split(",")
    if kind is Kind.SERVER:
        if len(listed) > 1:
            raise _wrong("several hosts are those of Sentinels or of a cluster")
    elif not all(listed):
        raise _wrong("a host is missing")
    return tuple(_host_of(place, default) for place in listed)


def _host_of(place: str, default: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{place}")
        return unquote(parts.hostname or "localhost"), parts.port or default
    except ValueError:  # it would repeat what may be a password
        raise _wrong("a host or its port cannot be read") from None


def _path_of(parts: SplitResult, kind: Kind) -> tuple[str, str, int]:
    """Return path of a socket, service of Sentinels, and number of the database."""
    if kind is Kind.SOCKET:
        if parts.path in ("", "/"):
            raise _wrong("the path of the socket is missing")
        return unquote(parts.path), "", 0
    steps = [unquote(step) for step in parts.path.strip("/").split("/") if step]
    service = ""
    if kind is Kind.SENTINEL:
        if not steps:
            raise _wrong("the name of the service is missing after the Sentinels")
        service = steps.pop(0)
    if len(steps) > 1:
        raise _wrong("its path has too many parts")
    db = _number(steps[0]) if steps else 0
    if kind is Kind.CLUSTER and db:
        raise _wrong("a cluster has one database, 0")
    return "", service, db


def _options_of(parts: SplitResult, kind: Kind, with_tls: bool) -> dict[str, Any]:
    known: dict[str, Callable[[str], Any]] = {"username": str, "password": str}
    if kind is not Kind.CLUSTER:
        known["db"] = _number
    if kind is Kind.SENTINEL:
        known |= {"sentinel_username": str, "sentinel_password": str}
    if with_tls:
        known |= _TLS_OPTIONS
    options: dict[str, Any] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:  # and is not repeated: a ? in a password leads here
            raise _wrong(f"an option after the ? is none of {', '.join(sorted(known))}")
        options[name] = known[name](value)
    return options


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5):
        raise _wrong("its database is no number")
    return int(text)


def _yes_or_no(text: str) -> bool:
    if text.lower() not in ("yes", "no", "true", "false", "1", "0"):
        raise _wrong("ssl_check_hostname is yes or no")
    return text.lower() in ("yes", "true", "1")


def _cert_reqs(text: str) -> str:
    if text not in ("none", "optional", "required"):
        raise _wrong("ssl_cert_reqs is required, optional or none")
    return text


_TLS_OPTIONS: dict[str, Callable[[str], Any]] = {
    "ssl_ca_certs": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_check_hostname": _yes_or_no,
    "ssl_cert_reqs": _cert_reqs,
}
