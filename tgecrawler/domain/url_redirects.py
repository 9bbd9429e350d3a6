"""Addresses that lead to another one: redirectors, caches of AMP pages, feed proxies."""

from __future__ import annotations

import binascii
import re
from urllib.parse import parse_qsl, unquote

_GOOGLE = re.compile(r"google\.(?:com|[a-z]{2}|com?\.[a-z]{2})")

# Host without www and m ("google": of every country), path ("" for any), parameters of the target.
_BY_PARAMETER: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "google": (("/url", ("q", "url")),),
    "news.google.com": (("", ("url",)),),
    "bing.com": (("/news/apiclick.aspx", ("url",)),),  # the links of Bing's news feeds
    "duckduckgo.com": (("/l", ("uddg",)),),
    "facebook.com": (("/l.php", ("u",)),),
    "l.facebook.com": (("/l.php", ("u",)),),
    "lm.facebook.com": (("/l.php", ("u",)),),
    "l.messenger.com": (("/l.php", ("u",)),),
    "l.instagram.com": (("", ("u",)),),
    "l.threads.net": (("", ("u",)),),
    "l.threads.com": (("", ("u",)),),
    "out.reddit.com": (("", ("url",)),),
    "t.umblr.com": (("/redirect", ("z",)),),
    "youtube.com": (("/redirect", ("q",)),),
    "exit.sc": (("", ("url",)),),
    "slack-redir.net": (("/link", ("url",)),),
    "steamcommunity.com": (("/linkfilter", ("u", "url")),),
    "vk.com": (("/away.php", ("to",)),),
    "away.vk.com": (("/away.php", ("to",)),),
    "medium.com": (("/r", ("url",)),),
    "t.me": (("/iv", ("url",)),),
}
_WHOLE_QUERY = frozenset(
    ("href.li", "anonym.to", "anon.to", "anonymz.com", "nullrefer.com", "dereferer.me")
)
_SAFE_LINKS = ".safelinks.protection.outlook.com"

_AMP_CACHES = ("cdn.ampproject.org", ".bing-amp.com")
_AMP_CACHE_PATH = re.compile(r"/(?:c|v|wp)/(s/)?([^/]+\.[^/]+.*)")
_AMP_VIEWERS = ("google", "bing.com")
_AMP_VIEWER_PATH = re.compile(r"/amp/(s/)?([^/]+\.[^/]+.*)")

_ABSOLUTE = re.compile(r"https?://", re.IGNORECASE)

_NEWS_PATH = re.compile(r"/(?:rss/|__i/rss/rd/)?(?:articles|read)/([\w-]+)={0,2}", re.ASCII)
# Field 1, a small number (0x13 in every article seen), then field 4, bytes with their length
_NEWS_HEAD = re.compile(rb"\x08[\x00-\x7f]\x22([\x80-\xff]?)([\x00-\x7f])", re.DOTALL)

_FEED_PROXIES = (
    "feedproxy.google.com",
    "news.google.com",
    "feedburner.com",
    "feedblitz.com",
    "feedsportal.com",
    "pheedo.com",
)
# FeedBurner and FeedBlitz under a publisher's own host: rss.cnn.com/~r/rss/…, /~/123/0/…
_PROXY_PATHS = ("~r/", "~/")


def wrapped_url(host: str, path: str, query: str) -> str:
    """Return the address that another one carries, as it is written there, or "".

    Nothing is checked: the caller resolves it. An address that leads elsewhere
    without saying where (``feedproxy.google.com/~r/…``, ``t.co``, the articles
    of today's Google News) carries none.

    Args:
        host: in lower case, without ``www.`` and ``m.``.
        path: as the browser sends it, like `query`, which has no "?".
    """
    site = "google" if host.startswith("google.") and _GOOGLE.fullmatch(host) else host
    if site in _BY_PARAMETER:
        target = _from_parameter(site, path, query)
        if target:
            return target
    if site in _AMP_VIEWERS:
        return _from_amp_path(_AMP_VIEWER_PATH, path, query)
    if site == "news.google.com":
        return _from_news_path(path)
    if site in _WHOLE_QUERY:
        return query if _ABSOLUTE.match(query) else unquote(query)
    if host.endswith(_AMP_CACHES):
        return _from_amp_path(_AMP_CACHE_PATH, path, query)
    if host.endswith(_SAFE_LINKS):
        return dict(parse_qsl(query)).get("url", "")
    return ""


def is_feed_proxy(url: str) -> bool:
    """Return whether an address is a feed service's that leads on to an article.

    Args:
        url: absolute, as `resolve_url` gives it.
    """
    host, _, path = url.partition("://")[2].partition("/")
    name = host.partition(":")[0]
    hosted = any(name == proxy or name.endswith(f".{proxy}") for proxy in _FEED_PROXIES)
    return hosted or path.startswith(_PROXY_PATHS)


def _from_parameter(site: str, path: str, query: str) -> str:
    for wanted, names in _BY_PARAMETER[site]:
        if not wanted or path.rstrip("/") == wanted:
            given = dict(reversed(parse_qsl(query)))  # of two the first, as in the services
            for name in names:
                if _ABSOLUTE.match(given.get(name, "")):
                    return given[name]
    return ""


def _from_amp_path(pattern: re.Pattern[str], path: str, query: str) -> str:
    match = pattern.fullmatch(path)
    if match is None:
        return ""
    return f"http{'s' if match[1] else ''}://{match[2]}{'?' if query else ''}{query}"


def _from_news_path(path: str) -> str:
    """Return the address inside an article of Google News, "" where it is encrypted.

    Until 2024 the name of the article was a protobuf message with the address
    in clear, and often that of the AMP page behind it. Since then the bytes
    begin with ``AU_yqL`` and only Google's own service reads them.
    """
    match = _NEWS_PATH.fullmatch(path)
    if match is None:
        return ""
    name = match[1].replace("-", "+").replace("_", "/")
    try:
        message = binascii.a2b_base64(name + "=" * (-len(name) % 4))
    except binascii.Error:
        return ""
    head = _NEWS_HEAD.match(message)
    if head is None:
        return ""
    # a varint: seven bits in each byte, the lowest first; the top bit says "one more"
    low, high = (head[1][0] & 0x7F, head[2][0]) if head[1] else (head[2][0], 0)
    field = message[head.end() : head.end() + low + 128 * high]
    try:
        return field.decode("utf-8") if field.startswith((b"http://", b"https://")) else ""
    except UnicodeDecodeError:
        return ""
