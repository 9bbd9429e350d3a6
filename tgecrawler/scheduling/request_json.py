"""Requests as JSON, and back: what comes out of Redis can make nothing run.

The JSON is that of `scrapy.Request.to_dict`, without what is a default; headers are
latin-1, the body is base64. Nothing is taken on trust on the way in: only the names of
known classes, of known attributes, and of those methods of the spider that may be called.
Tuples come back as lists; what JSON does not have is refused on the way out.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import inspect
import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import orjson
from scrapy import Request, Spider
from scrapy.http import FormRequest, JsonRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_BYTES = 1_000_000
METHODS = ("GET", "HEAD", "POST")
SCHEMES = ("http", "https")
MOST_PRIORITY = 2**31
DEEPEST = 20  # of what meta and cb_kwargs hold

# request.meta: of this process or of this one making of the request alone
NOT_SENT = frozenset(
    {
        "cached_response",
        "download_latency",
        "is_start_request",
        "lease",
        "lease_group",
        "lease_id",
        "shared",
    }
)

_HEADER_TEXT = re.compile("[^\r\n\0\u0100-\U0010ffff]*")
_CLASSES: dict[str, type[Request]] = {
    f"{kind.__module__}.{kind.__name__}": kind for kind in (Request, FormRequest, JsonRequest)
}
_DEFAULTS: dict[str, Any] = {
    "callback": None,
    "errback": None,
    "headers": {},
    "method": "GET",
    "body": b"",
    "cookies": {},
    "meta": {},
    "encoding": "utf-8",
    "priority": 0,
    "dont_filter": False,
    "flags": [],
    "cb_kwargs": {},
}


class RequestError(ValueError):
    """A request that cannot be sent, or something that is no request of ours; one line."""


def dumps(request: Request, spider: Spider) -> bytes:
    """Return a request as JSON.

    Raises:
        RequestError: it holds what JSON cannot, or `loads` would refuse it.
    """
    found = {
        "url": request.url,
        "callback": _name_of(request.callback, spider),
        "errback": _name_of(request.errback, spider),
        "headers": _told_headers(request),
        "method": request.method,
        "body": base64.b64encode(request.body).decode() if request.body else b"",
        "cookies": request.cookies,
        "meta": {name: value for name, value in request.meta.items() if name not in NOT_SENT},
        "encoding": request.encoding,
        "priority": request.priority,
        "dont_filter": request.dont_filter,
        "flags": request.flags,
        "cb_kwargs": request.cb_kwargs,
    }
    told = {name: value for name, value in found.items() if value != _DEFAULTS.get(name, "")}
    if type(request) is not Request:
        told["_class"] = f"{type(request).__module__}.{type(request).__name__}"
    _check(told, spider)
    return _packed(told)


def loads(payload: bytes, spider: Spider) -> Request:
    """Return the request of a spider that a payload stands for.

    Raises:
        RequestError: it is none of ours.
    """
    if len(payload) > MOST_BYTES:
        raise RequestError(f"larger than {MOST_BYTES} bytes")
    try:
        told = orjson.loads(payload)
    except ValueError:
        raise RequestError(f"not JSON: {payload[:40]!r}") from None
    if not isinstance(told, dict):
        raise RequestError(f"not a request: {payload[:40]!r}")
    try:
        _check(told, spider)
    except RecursionError:  # orjson reads what is nested deeper than Python can show
        raise RequestError("nested too deep") from None
    kind = _CLASSES[told.pop("_class")] if "_class" in told else Request
    if "body" in told:
        told["body"] = _unpacked_body(told["body"])
    for name in ("callback", "errback"):
        if name in told:
            told[name] = getattr(spider, told[name])
    try:
        return kind(**told)
    except (TypeError, ValueError, LookupError) as error:
        raise RequestError(f"not a request: {error}") from error


def _packed(told: dict[str, Any]) -> bytes:
    try:
        payload = orjson.dumps(told)
    except TypeError as error:  # a number beyond 64 bits, or half a surrogate pair
        raise RequestError(str(error)) from error
    if len(payload) > MOST_BYTES:
        raise RequestError(f"larger than {MOST_BYTES} bytes")
    return payload


def _unpacked_body(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise RequestError(f"body: {error}") from error


def _told_headers(request: Request) -> dict[str, list[str]]:
    items = cast("dict[bytes, list[bytes]]", request.headers).items()
    return {
        name.decode("latin-1"): [value.decode("latin-1") for value in values]
        for name, values in items
    }


def _name_of(method: Callable[..., Any] | None, spider: Spider) -> str | None:
    """Return the name under which a spider's method is found again."""
    if method is None:
        return None
    name = getattr(method, "__name__", "")
    if getattr(method, "__self__", None) is not spider or getattr(spider, name, None) != method:
        raise RequestError(f"{method!r} is no method of the spider")
    return name


def _check(told: Mapping[str, Any], spider: Spider) -> None:
    """Refuse whatever is not as `dumps` makes it."""
    if "url" not in told:
        raise RequestError("a request without an address")
    for name, value in told.items():
        is_right = _RIGHT.get(name)
        if is_right is None:
            raise RequestError(f"unknown attribute {name!r:.100}")
        if not is_right(value):
            raise RequestError(f"{name} {value!r:.100} is not sent")
        if name in ("callback", "errback") and not may_call(spider, value):
            raise RequestError(f"{name} {value!r:.100} is none that may be called")
        for key in value if name == "meta" else ():
            if not _may_bear(spider, key):
                raise RequestError(f"meta[{key!r:.100}] is not sent")
        if name in ("meta", "cb_kwargs", "cookies"):
            _check_plain(name, value)


def may_call(spider: Spider, name: str) -> bool:
    """Return whether a request from elsewhere may name a method of the spider.

    A spider with `shared_callbacks` lists them. Of another, all methods are meant that
    are its own and public; none that Scrapy calls by itself.
    """
    shared = getattr(spider, "shared_callbacks", None)
    if shared is not None:
        return name in shared
    kind: Any = type(spider)
    return _is_own_method(kind, name)


def _may_bear(spider: Spider, name: str) -> bool:
    """Return whether the meta of a request from elsewhere may have a name.

    A spider with `shared_meta` lists them. Much of Scrapy and of ours obeys meta: it sets
    bounds aside, or robots.txt.
    """
    shared = getattr(spider, "shared_meta", None)
    return name not in NOT_SENT if shared is None else name in shared


@lru_cache(maxsize=256)
def _is_own_method(kind: type[object], name: str) -> bool:
    if name.startswith("_") or name == "closed" or (name != "parse" and hasattr(Spider, name)):
        return False
    return inspect.isfunction(inspect.getattr_static(kind, name, None))


def _check_plain(place: str, value: Any, depth: int = 0) -> None:
    """Refuse what JSON does not have; orjson would turn some of it into text unasked."""
    kind = type(value)
    if kind in (str, bool, int, type(None)) or (kind is float and math.isfinite(value)):
        return
    if depth > DEEPEST:
        raise RequestError(f"{place} is nested more than {DEEPEST} deep")
    if kind is dict:
        for key, one in value.items():
            if type(key) is not str:
                raise RequestError(f"{place} has a key that is no text: {key!r:.100}")
            _check_plain(f"{place}[{key!r}]" if depth == 0 else place, one, depth + 1)
    elif kind in (list, tuple):
        for one in value:
            _check_plain(place, one, depth + 1)
    else:
        raise RequestError(f"{place} is not to be had in JSON: {value!r:.100}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_web_address(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in SCHEMES and bool(parts.hostname)


def _are_headers(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_header_text(name) and isinstance(texts, list) and all(map(_is_header_text, texts))
        for name, texts in value.items()
    )


def _is_header_text(value: Any) -> bool:
    """Return whether this is one header's name or value, and not the beginning of another."""
    return isinstance(value, str) and _HEADER_TEXT.fullmatch(value) is not None


def _is_encoding(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(codecs.lookup(value))
    except (LookupError, ValueError):
        return False


def _are_flags(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


_RIGHT: dict[str, Callable[[Any], bool]] = {
    "url": _is_web_address,
    "_class": lambda value: isinstance(value, str) and value in _CLASSES,
    "callback": _is_text,
    "errback": _is_text,
    "headers": _are_headers,
    "method": lambda value: value in METHODS,
    "body": _is_text,
    "cookies": lambda value: isinstance(value, dict | list),
    "meta": lambda value: isinstance(value, dict),
    "encoding": _is_encoding,
    "priority": lambda value: type(value) is int and abs(value) <= MOST_PRIORITY,
    "dont_filter": lambda value: type(value) is bool,
    "flags": _are_flags,
    "cb_kwargs": lambda value: isinstance(value, dict),
}
