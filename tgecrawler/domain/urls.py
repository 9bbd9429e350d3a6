"""Addresses: resolving links, and one spelling for all spellings of a page."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes, urlsplit

import can_ada

LONGEST_URL = 2048  # what browsers and sitemaps agree on; a longer one is no article's address

_TRACKING = re.compile(
    r"utm_\w+|mtm_\w+|pk_\w+|mc_[ce]id|_hs\w+|hsa_\w+|vero_\w+|oly_\w+|"
    r"fbclid|gclid|dclid|gbraid|wbraid|msclkid|yclid|twclid|ttclid|igshid|_ga|_gl|"
    r"wprss|ncid|cmpid|cmp|campaign_id|ref_src|ref_url|rss",
    re.IGNORECASE,
)
_DEFAULT_DOCUMENT = re.compile(r"/(?:index|default)\.(?:html?|php|aspx?)$", re.IGNORECASE)
_UNRESERVED = re.compile(r"%(2D|2E|5F|7E|3[0-9]|4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A])")
_ESCAPE = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")


def resolve_url(href: str, base: str = "") -> str:
    """Return `href` as an absolute http(s) URL, or "" where it is none.

    Follows the WHATWG rules, as browsers do: surrounding white space is cut,
    and tabs and line breaks inside are dropped before the scheme is read, so
    that ``java\\nscript:`` is no way round the check. An address that carries a
    user or a password is refused.
    """
    href = href.strip().encode("utf-8", "replace").decode("utf-8")
    if not href or len(href) > LONGEST_URL:
        return ""
    try:
        parsed = can_ada.parse(base) + href if can_ada.can_parse(base) else can_ada.parse(href)
    except ValueError:
        return ""
    if parsed.protocol not in ("http:", "https:") or not parsed.hostname:
        return ""
    if parsed.username or parsed.password:
        return ""
    resolved = str(parsed.href)
    return "" if _FORBIDDEN.search(resolved) or len(resolved) > LONGEST_URL else resolved


def canonicalize_url(url: str) -> str:
    """Return the one spelling under which a page is known, or "" for no http(s) URL.

    Dropped: scheme (http and https are one page), ``www.``, default port,
    fragment, tracking parameters, default documents, the slash at the end.
    Query parameters are sorted; escapes of unreserved characters are undone and
    the others written in upper case. The result identifies, and need not open:
    it always begins with ``https://``.
    """
    resolved = resolve_url(url)
    if not resolved:
        return ""
    parsed = can_ada.parse(resolved)
    host = str(parsed.host).removesuffix(".").removeprefix("www.")
    host = host.removesuffix(":80").removesuffix(":443")
    path = _DEFAULT_DOCUMENT.sub("/", _fold_escapes(str(parsed.pathname)))
    path = re.sub(r"/{2,}", "/", path).rstrip("/") or "/"
    query = _kept_query(str(parsed.search).removeprefix("?"))
    return f"https://{host}{path}{'?' if query else ''}{query}"


def host_of(url: str) -> str:
    """Return the host name of `url` in lower case, or "" where it has none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _kept_query(query: str) -> str:
    pairs = sorted(_fold_escapes(pair) for pair in query.split("&") if pair)
    return "&".join(pair for pair in pairs if not _TRACKING.fullmatch(pair.partition("=")[0]))


def _fold_escapes(part: str) -> str:
    upper = _ESCAPE.sub(lambda match: match.group().upper(), part)
    return _UNRESERVED.sub(lambda match: unquote_to_bytes(match.group()).decode("ascii"), upper)
