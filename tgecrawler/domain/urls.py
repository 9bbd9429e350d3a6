"""Addresses: resolving links, and one spelling for all spellings of a page."""

from __future__ import annotations

import re
from functools import lru_cache
from string import ascii_letters, digits, hexdigits
from urllib.parse import urlsplit

import can_ada

from tgecrawler.domain.url_redirects import wrapped_url
from tgecrawler.domain.url_sites import NAMES_FIRST, fold_site

LONGEST_URL = 2048  # what browsers and sitemaps agree on; a longer one is no article's address
DEEPEST_WRAP = 4  # redirectors inside redirectors; more are no reader's link

# Parameters that tell how a reader came, and show the same page as none. Left alone, as they name
# the page on some sites: s (search), t (topic), id, sid, p, page, lang, and campaign_id, which is a
# quest's own number on the sites that give tokens away.
_TRACKER_PREFIXES = (
    *("utm_", "mtm_", "pk_", "piwik_", "matomo_", "_hs", "hsa_", "vero_", "oly_"),
    *("fb_action_", "guce_referrer", "_branch_"),
)
_TRACKERS = frozenset(
    (
        *("fbclid", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "msclkid", "yclid", "ysclid"),
        *("twclid", "ttclid", "igshid", "igsh", "li_fat_id", "epik", "rb_clickid", "irclickid"),
        *("_ga", "_gl", "_openstat", "_kx", "__s", "s_kwcid", "ef_id", "dm_i", "spm"),
        *("mc_cid", "mc_eid", "mc_tc", "mkt_tok", "hsctatracking", "elqtrack", "elqtrackid"),
        *("ck_subscriber_id", "ml_subscriber", "ml_subscriber_hash", "wickedid", "vgo_ee"),
        *("s_cid", "sc_cid", "sc_channel", "sc_campaign", "ito", "ncid", "cmpid", "cmp", "ocid"),
        *("smid", "smtyp", "mbid", "xtor", "wt_mc", "wt_mc_o", "wt.mc_id", "sr_share", "tsrc"),
        *("at_medium", "at_campaign", "at_custom1", "at_custom2", "at_custom3", "at_custom4"),
        *("soc_src", "soc_trk", "fb_source", "fb_ref", "mibextid", "sfnsn", "guccounter"),
        *("ref_src", "ref_url", "referrer", "referer", "__twitter_impression", "wprss", "rss"),
        *("amp_js_v", "amp_gsa", "usqp"),  # added by the caches of AMP pages
        *("phpsessid", "jsessionid"),
    )
)
# These name the page on some sites (a branch, an offset, a list of sources), so the value decides:
# a channel by which readers come (Medium's values have dashes: "rss----ab12---4"), or for `ref`
# the host that sent them, as Ghost adds it.
_ORIGINS = frozenset(("ref", "source", "src", "from", "via", "mod"))
_CHANNEL = re.compile(
    r"rss\d?|rss[-_]\S*|\S*---\S*|feed|newsletter|email|twitter|facebook|telegram|reddit|linkedin",
    re.IGNORECASE,
)
_SENDER = re.compile(r"[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
_AMP_PAIRS = frozenset(
    ("amp", "amp=", "amp=1", "amp=y", "amp=true", "_amp=true", "output=amp", "outputtype=amp")
)

_VARIANT_HOST = re.compile(r"(?:(?:www|m|mobile|amp)\.)+(?=[^.]+\.[^.])")
# What stands before a country below which names are given away: m.co.uk is no mobile "co.uk"
_REGISTRIES = frozenset(
    ("co", "com", "net", "org", "gov", "edu", "ac", "or", "ne", "go", "gob", "gouv", "nom", "ltd")
)
# Hosts that give a name to everybody: m.substack.com is somebody's
_PLATFORMS = frozenset(
    (
        *("blogspot.com", "substack.com", "wordpress.com", "medium.com", "mirror.xyz", "ghost.io"),
        *("github.io", "gitlab.io", "gitbook.io", "notion.site", "hashnode.dev", "beehiiv.com"),
        *("netlify.app", "vercel.app", "pages.dev", "web.app", "fly.dev", "herokuapp.com"),
        *("webflow.io", "wixsite.com", "weebly.com", "eth.limo", "eth.link", "livejournal.com"),
    )
)
# /coins/amp and /tag/amp show something called Amp, and are no variant of the list above them
_SHELVES = frozenset(
    (
        *("tag", "tags", "topic", "topics", "category", "categories", "author", "search", "wiki"),
        *("coin", "coins", "token", "tokens", "currency", "currencies", "cryptocurrency", "crypto"),
        *("cryptocurrencies", "price", "prices", "asset", "assets", "market", "markets", "quote"),
        *("quotes", "symbol", "symbols", "glossary", "project", "projects", "airdrop", "airdrops"),
    )
)

_DEFAULT_DOCUMENT = re.compile(
    r"/(?:index|default)\.(?:[sx]?html?|php|aspx?|jsp|cfm)$", re.IGNORECASE
)
_SESSION = re.compile(r";jsessionid=[^/;]*", re.IGNORECASE)
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = f"{ascii_letters}{digits}-._~"


def _escapes(plain: str) -> dict[str, str]:
    """Return what each escape becomes: a `plain` character, else itself in upper case."""
    spellings = (f"%{high}{low}" for high in hexdigits for low in hexdigits)
    return {
        spelling: character
        if (character := chr(int(spelling[1:], 16))) in f"{_UNRESERVED}{plain}"
        else spelling.upper()
        for spelling in spellings
    }


# The characters that separate nothing there: /@name and /Token_(Greek) are written both ways
_IN_PATH = _escapes("!$'()*,:@")
_IN_QUERY = _escapes("!$()*,:@/?")  # WHATWG escapes the apostrophe again
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")


def resolve_url(href: str, base: str = "") -> str:
    """Return `href` as an absolute http(s) URL, or "" where it is none.

    Follows the WHATWG rules, as browsers do: surrounding white space is cut,
    and tabs and line breaks inside are dropped before the scheme is read, so
    that ``java\\nscript:`` is no way round the check. An address that carries a
    user or a password is refused.
    """
    href = href.strip()
    if not href.isascii():
        href = href.encode("utf-8", "replace").decode("utf-8")
    if not href or len(href) > LONGEST_URL:
        return ""
    try:
        based = _parse_base(base) if base else None
        parsed = can_ada.parse(href) if based is None else based + href
    except ValueError:
        return ""
    if parsed.protocol not in ("http:", "https:") or not parsed.hostname:
        return ""
    resolved = str(parsed.href)
    if "@" in resolved and (parsed.username or parsed.password):
        return ""
    return "" if _FORBIDDEN.search(resolved) or len(resolved) > LONGEST_URL else resolved


@lru_cache(maxsize=16)  # all links of a page have one base
def _parse_base(base: str) -> can_ada.URL | None:
    return can_ada.parse(base) if can_ada.can_parse(base) else None


def unwrap_url(url: str) -> str:
    """Return the address that a redirector's or an AMP cache's carries, else `url` itself.

    Redirectors within redirectors are followed, `DEEPEST_WRAP` of them; what is
    wrapped more often stays as it is. A target that `resolve_url` refuses is
    not followed.
    """
    resolved = resolve_url(url)
    unwrapped = _unwrap(resolved) if resolved else ""
    return url if unwrapped == resolved else unwrapped


@lru_cache(maxsize=256)  # an entry asks for the keys of its mention and of its page in one go
def canonicalize_url(url: str) -> str:
    """Return the one spelling under which a page is known, or "" for no http(s) URL.

    A redirector gives way to its target, and a variant for telephones or of AMP
    to the page itself. Dropped: scheme (http and https are one page), ``www.``,
    default port, fragment (but no script's route, as in ``/#/pools``), tracking
    parameters, default documents, the slash at the end. Query parameters are
    sorted; escapes of characters that separate nothing are undone and the
    others written in upper case. Sites where one post has several addresses
    have rules of their own (`fold_site`).

    The result identifies, and need not open: it always begins with
    ``https://``, and is its own canonical form.
    """
    spelling = resolve_url(url)
    # A rule may uncover what another one folds (/index.html/amp, escapes that spell escapes).
    # No rule undoes the work of another, so the bound is never met.
    for _ in range(LONGEST_URL):
        folded = _fold(spelling) if spelling else ""
        if folded == spelling:
            break
        spelling = resolve_url(folded)
    return spelling


def host_of(url: str) -> str:
    """Return the host name of `url` in lower case, or "" where it has none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _split(resolved: str) -> tuple[str, str, str, str]:
    """Return host with port, path, query and fragment of what `resolve_url` gave."""
    rest, _, fragment = resolved.partition("://")[2].partition("#")
    rest, _, query = rest.partition("?")
    host, _, path = rest.partition("/")
    return host, f"/{path}", query, fragment


def _unwrap(resolved: str) -> str:
    url = resolved
    for _ in range(DEEPEST_WRAP + 1):
        host, path, query, _ = _split(url)
        target = resolve_url(wrapped_url(_fold_host(host), path, query))
        if not target:
            return url
        url = target
    return resolved


def _fold(resolved: str) -> str:
    """Return a URL with every rule applied once, or the target of one that wraps it."""
    host, path, query, fragment = _split(resolved)
    host = _fold_host(host)
    if not host:
        return ""
    if wrapped_url(host, path, query) and (target := _unwrap(resolved)) != resolved:
        return target
    path = _fold_path(path)
    if host not in NAMES_FIRST:
        path = _without_amp(path)
    host, path, query = fold_site(host, path, _kept_query(query))
    # A page that a script puts together keeps its route behind the "#" of one and the same shell
    route = f"#{fragment}" if path == "/" and len(fragment) > 1 and fragment[0] in "!/" else ""
    return f"https://{host}{path}{'?' if query else ''}{query}{route}"


def _fold_host(host: str) -> str:
    """Return a host without default port, final dot and the labels of a page's variants."""
    host = host.removesuffix(":80").removesuffix(":443").removesuffix(".")
    variant = _VARIANT_HOST.match(host)
    if variant is None:
        return host
    rest = host[variant.end() :]
    first, _, last = rest.partition(":")[0].partition(".")
    if rest in _PLATFORMS or (first in _REGISTRIES and len(last) == 2):
        return host.removeprefix("www.")
    return rest


def _fold_path(path: str) -> str:
    path = _fold_escapes(path, _IN_PATH)
    path = _SESSION.sub("", path) if ";" in path else path
    while "//" in path:
        path = path.replace("//", "/")
    return _DEFAULT_DOCUMENT.sub("/", path).rstrip("/") or "/"


def _without_amp(path: str) -> str:
    """Return the path of the page of which this is the AMP variant; others as they are."""
    while path.startswith("/amp/"):
        path = path[len("/amp") :]
    while path.endswith("/amp") and path.count("/") > 1:
        story = path.removesuffix("/amp")
        if story.rpartition("/")[2].lower() in _SHELVES:
            break
        path = story
    ending = ".html" if path.endswith(".html") else ""
    name = path.removesuffix(ending)
    while name.endswith(".amp") and not name.endswith("/.amp"):
        name = name.removesuffix(".amp")
    return name + ending


def _kept_query(query: str) -> str:
    if not query:
        return ""
    spelled = _fold_escapes(query, _IN_QUERY).replace("%20", "+").split("&")
    # "amp;": the rest of an ampersand that was escaped for HTML and never unescaped
    pairs = (pair.removeprefix("amp;") for pair in spelled)
    return "&".join(sorted(pair for pair in pairs if pair and not _is_idle(pair)))


def _is_idle(pair: str) -> bool:
    """Return whether a parameter shows the same page as none."""
    name, _, value = pair.lower().partition("=")
    if name in _TRACKERS or name.startswith(_TRACKER_PREFIXES):
        return True
    if name in _ORIGINS and (
        _CHANNEL.fullmatch(value) or (name == "ref" and _SENDER.fullmatch(value))
    ):
        return True
    return pair.lower() in _AMP_PAIRS


def _fold_escapes(part: str, escapes: dict[str, str]) -> str:
    return _ESCAPE.sub(lambda match: escapes[match.group()], part) if "%" in part else part
