"""Where tokens are claimed, and whether that address is the project's own.

An address is official where its host is one of the company's domains or lies
below one: nothing else about it counts, for everything else can be copied. One
that is not official and looks as if it were is suspect, with the reason in words.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import can_ada

from tgecrawler.domain.urls import LONGEST_URL, host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tgecrawler.items import TextField

MAX_CHARS = 20_000  # of a text
MAX_LINKS = 200  # of a text
MAX_ANCHORS = 1_000  # of a page; a long one has 500
NEAR_CHARS = 60  # between a link and a word that tells what it is for

_LONGEST_HOST = 253
_LONGEST_LABEL = 63
# Letters of a name from which on one wrong letter, the name inside any other word
# ("history" is no "story"), and two wrong letters are no coincidence.
_ONE_WRONG, _INSIDE, _TWO_WRONG = 5, 7, 8

# Where a host's registrable part is longer than its last two labels: under a country's
# second level, and on platforms where anybody gets a name.
_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"})
_PLATFORMS = frozenset(
    {
        *("blogspot.com", "carrd.co", "eth.limo", "eth.link", "fleek.co", "framer.app"),
        *("framer.website", "github.io", "gitbook.io", "gitlab.io", "glitch.me", "herokuapp.com"),
        *("firebaseapp.com", "medium.com", "netlify.app", "notion.site", "on.fleek.co"),
        *("onrender.com", "pages.dev", "replit.app", "square.site", "substack.com", "surge.sh"),
        *("vercel.app", "web.app", "webflow.io", "weebly.com", "wixsite.com", "wordpress.com"),
        *("workers.dev", "zapier.app"),
    }
)

_ADDRESS_WORDS = (
    "airdrop airdrops allocation claim claimable claiming claims checker eligibility launchpad mint"
    " portal presale sale whitelist"
)
# Only in a sentence: in an address "register" is the page of any account.
_SPOKEN_WORDS = f"{_ADDRESS_WORDS} eligible minting participate register registration"


def _any_of(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(words.split())})(?![^\W_])", re.IGNORECASE)


_CLAIM, _CLAIM_ADDRESS = _any_of(_SPOKEN_WORDS), _any_of(_ADDRESS_WORDS)
# "claimcaldera.com", "caldera-drop.app": names with what a swindler adds
_ADDED = re.compile(
    r"(?:airdrop|alloc(?:ation)?|app|bridge|bonus|check(?:er)?|claims?|coin|dapp|dao|defi|dist"
    r"|drop|eligib(?:le|ility)|event|finance|foundation|get|labs|launch|live|mint|my|net(?:work)?"
    r"|official|portal|presale|protocol|redeem|rewards?|sale|snapshot|stake|staking|swap|the|tokens?"
    r"|wallet|web3|xyz|io|fi|\d|-)+"
)

_URL = re.compile(
    rf"https?://[^\s<>\"'`{{}}|^\[\]，。；：！？、（）「」『』【】《》\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
    rf"{{1,{LONGEST_URL}}}",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"[a-z][a-z0-9+-]*:(?!\d)", re.IGNORECASE)  # "acme.xyz:8443" has a port
# Endings of hosts that stand in texts without a scheme. The second row are also words or
# abbreviations: with them only an address with a path is one.
_SURE_ENDINGS = (
    "ai app cloud com dev exchange fi finance foundation gg info io money network net org xyz"
)
_ENDINGS = (
    "art bet build capital cash cc claims club digital events fun fund fyi game games global id in"
    " is land link limo live lol market markets me one online page pro protocol quest rocks run sh"
    " site so social space store systems team tech to tools top trade tv us vip ventures website"
    " wiki world wtf zone"
)
_ENDING = re.compile(
    rf"\.(?:(?P<sure>{'|'.join(_SURE_ENDINGS.split())})|{'|'.join(_ENDINGS.split())})(?![\w-]|\.\w)"
)
_HOST_BEFORE = re.compile(r"(?<![\w.@/:\]-])[^\W_][\w.-]{0,252}\Z")
_PATH = re.compile(
    r"(?::\d{1,5})?(?P<path>/[^\s<>\"'`{}|^\[\]，。；：！？、（）「」【】]{0,1000})?"
)
_PARTS = re.compile(r"[/?#&=]")
_SLUG_HYPHENS = 2  # "claim-your-tokens" is a page to claim at, a longer slug a headline
_CLOSING = ".,;:!?…'\"’”)*_~"

# Letters that look like Latin ones: Cyrillic, Greek, then some of other alphabets; and
# signs that look alike among themselves.
_TO_LATIN = str.maketrans(
    "авгеікмнопрстухьѕјһԁԛԝӏѵ" + "αβγεηικνορτυχωσς" + "ıłøđɡɑʟ",
    "abreikmhonpctyxbsjhdqwlv" + "abyenikvoptuxwoc" + "ilodgal",
)
_ALIKE = str.maketrans("01i35", "olles")
_DIGRAPHS = (("rn", "m"), ("vv", "w"), ("cl", "d"))

# Hosts that news and posts link beside claim words, and where nothing is claimed: social
# sites, shorteners that hide the address, explorers, price sites, stores.
_NO_CLAIM_HOSTS = frozenset(
    {
        *("x.com", "twitter.com", "t.co", "t.me", "telegram.me", "telegram.org", "discord.gg"),
        *("discord.com", "youtube.com", "youtu.be", "facebook.com", "instagram.com", "reddit.com"),
        *("linkedin.com", "tiktok.com", "whatsapp.com", "bit.ly", "tinyurl.com", "buff.ly"),
        *("coinmarketcap.com", "coingecko.com", "dextools.io", "dexscreener.com", "etherscan.io"),
        *("solscan.io", "bscscan.com", "basescan.org", "arbiscan.io", "tradingview.com"),
        *("google.com", "apple.com", "wikipedia.org", "github.com"),
    }
)


class Link(NamedTuple):
    """An address in a text; ``url`` has a scheme, ``start`` and ``end`` are characters."""

    url: str
    start: int
    end: int


class Verdict(NamedTuple):
    """Whether an address is the company's own, None where its domains are unknown.

    ``suspect`` says in words why one that is not looks as if it were, else "".
    """

    official: bool | None
    suspect: str = ""


class ClaimLink(NamedTuple):
    """Where tokens are claimed, and what says so.

    ``field`` is None for a link of the page; ``text`` then is what it is
    written on, and ``start`` and ``end`` are 0.
    """

    url: str
    field: TextField | None
    start: int
    end: int
    text: str


def find_links(text: str) -> list[Link]:
    """Return the http(s) addresses of a text in order of place.

    One without a scheme counts where it has a path ("acme.xyz/claim"), or where
    words of a claim stand near or in it ("claim at claim.acme.xyz"). Addresses
    made harmless ("hxxp://", "acme[.]xyz") are none.
    """
    text = text[:MAX_CHARS]
    links = [
        Link(url, match.start(), match.start() + len(url))
        for match in islice(_URL.finditer(text), MAX_LINKS)
        if "." in (url := _without_closing(match.group())) and not _is_inside(text, match.start())
    ]
    taken = [(link.start, link.end) for link in links]
    bare = (_bare_link(text, match) for match in islice(_ENDING.finditer(text), MAX_LINKS))
    links += [
        link
        for link in bare
        if link is not None and all(link.end <= start or end <= link.start for start, end in taken)
    ]
    return sorted(set(links), key=lambda link: link.start)


def judge_link(url: str, official_domains: Sequence[str]) -> Verdict:
    """Return whether an address is official, and why it is suspect.

    Goes by the host that a browser would open: full-width letters and "%2e" are
    read as it reads them, a user name before "@" is no host, and letters of
    other alphabets make another host.
    """
    domains = _domains(official_domains)
    if not domains:
        return Verdict(None)
    host = _host(url)
    if not host:
        return Verdict(False, "it is no web address")
    if "@" in url and _has_user(url):
        return Verdict(False, f"it opens {host}, whatever stands before the @")
    if any(_is_below(host, domain) for domain in domains):
        return Verdict(True)
    return Verdict(False, next(filter(None, (_likeness(host, domain) for domain in domains)), ""))


def find_claim_link(
    texts: Sequence[tuple[TextField, str]],
    anchors: Sequence[tuple[str, str]] = (),
    official_domains: Sequence[str] = (),
    page_url: str = "",
) -> ClaimLink | None:
    """Return the address where tokens are claimed, None where no words speak of one.

    Words of a claim in an address count more than those near it; of equals an
    official address is taken, then the first.

    Args:
        anchors: absolute addresses and the words they are written on, from the article's page.
        page_url: the article's own page; links into its site are left out.
    """
    own, domains = host_of(page_url).removeprefix("www."), _domains(official_domains)
    best: tuple[int, ClaimLink] | None = None
    for link, is_near in (*_text_links(texts), *_page_links(anchors)):
        host = _host(link.url)
        official = any(_is_below(host, domain) for domain in domains)
        # first, for most links of a page stay on its site
        if not host or (not official and (_is_below(host, own) or _is_idle(host))):
            continue
        weight = 3 * _names_claim(link.url) + 2 * is_near()
        if weight and (best is None or weight + 2 * official > best[0]):
            best = weight + 2 * official, link
    return best[1] if best is not None else None


# ---- addresses in a text


def _without_closing(url: str) -> str:
    """Return an address without the marks of the sentence around it."""
    while url and url[-1] in _CLOSING:
        if url[-1] == ")" and url.count("(") >= url.count(")"):
            break
        url = url[:-1]
    return url


def _is_inside(text: str, start: int) -> bool:
    """Return whether a letter stands right before: "xhttps://" is no address."""
    return text[start - 1 : start].isalnum()


def _bare_link(text: str, ending: re.Match[str]) -> Link | None:
    """Return the address without a scheme whose host ends with an ending, None for none."""
    begin = max(ending.start() - _LONGEST_HOST, 0)
    host = _HOST_BEFORE.search(text, begin, ending.start())
    if host is None or ".." in host.group() or "-." in host.group():
        return None
    tail = _PATH.match(text, ending.end())
    path = _without_closing(tail["path"] or "") if tail else ""
    end = tail.start("path") + len(path) if tail and path else ending.end()
    if len(path) < 2 and not (ending["sure"] and _is_spoken_of(text, host.start(), end)):
        return None
    return Link(f"https://{text[host.start() : end]}", host.start(), end)


def _is_spoken_of(text: str, start: int, end: int) -> bool:
    """Return whether a bare host is an address: "Crypto.com" and "Gate.io" are names."""
    return bool(_CLAIM_ADDRESS.search(text, start, end)) or (
        text[start:end].islower() and _is_near_claim(text, start, end)
    )


def _is_near_claim(text: str, start: int, end: int) -> bool:
    """Return whether words of a claim stand near a link, in its line."""
    before = text[max(start - NEAR_CHARS, 0) : start].rpartition("\n")[2]
    behind = text[end : end + NEAR_CHARS // 2].partition("\n")[0]
    return bool(_CLAIM.search(before) or _CLAIM.search(behind))


def _text_links(
    texts: Sequence[tuple[TextField, str]],
) -> Iterator[tuple[ClaimLink, Callable[[], bool]]]:
    """Yield the links of the fields, each with how to ask whether words of a claim stand near."""
    for field, text in texts:
        for url, start, end in find_links(text):
            link = ClaimLink(url, field, start, end, text[start:end])
            yield link, partial(_is_near_claim, text, start, end)


def _page_links(
    anchors: Sequence[tuple[str, str]],
) -> Iterator[tuple[ClaimLink, Callable[[], bool]]]:
    for url, words in islice(anchors, MAX_ANCHORS):
        words = words[:NEAR_CHARS]
        yield ClaimLink(url, None, 0, 0, words), partial(_speaks_of_claim, words)


def _speaks_of_claim(words: str) -> bool:
    return _CLAIM.search(words) is not None


def _names_claim(url: str) -> bool:
    """Return whether words of a claim stand in an address; a headline in its path has them too."""
    parts = _PARTS.split(url[url.find("//") + 2 :])
    return any(_CLAIM_ADDRESS.search(part) and part.count("-") <= _SLUG_HYPHENS for part in parts)


def _is_below(host: str, domain: str) -> bool:
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _is_idle(host: str) -> bool:
    return any(_is_below(host, idle) for idle in _NO_CLAIM_HOSTS)


# ---- hosts


def _parse(url: str) -> can_ada.URL | None:
    if not url or len(url) > LONGEST_URL:
        return None
    try:
        return can_ada.parse(url if _SCHEME.match(url) else f"https://{url}")
    except ValueError:
        return None


def _host(url: str) -> str:
    """Return the host that a browser opens, in ASCII, without a dot at the end; else ""."""
    parsed = _parse(url.strip())
    if parsed is None or parsed.protocol not in ("http:", "https:"):
        return ""
    host = str(parsed.hostname).removesuffix(".").removeprefix("www.")
    return host if "." in host or ":" in host else ""


def _domains(official: Sequence[str]) -> list[str]:
    """Return official domains as hosts; one that anybody could be below is left out."""
    return [domain for domain in map(_host, official) if _name_of(domain)]


def _has_user(url: str) -> bool:
    parsed = _parse(url.strip())
    return parsed is not None and bool(parsed.username or parsed.password)


def _registrable(host: str) -> str:
    """Return the part of a host that somebody registered, "" for numbers and endings alone."""
    labels = host.split(".")
    if labels[-1].isdigit() or ":" in host or len(labels) < 2:
        return ""
    ending = ".".join(labels[-2:])
    is_country = len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS
    own = labels[-3:] if ending in _PLATFORMS or is_country else labels[-2:]
    return ".".join(own) if ".".join(own) not in _PLATFORMS and len(own) > 1 + is_country else ""


def _name_of(host: str) -> str:
    """Return the label that bears the name: "caldera" of "claim.caldera.xyz"."""
    return _registrable(host).partition(".")[0]


# ---- looking like another


def _likeness(host: str, domain: str) -> str:
    """Return why a host looks like one of an official domain, "" where it does not."""
    name = _name_of(domain)
    for label in host.split(".")[:-1]:
        shown = _shown(label)
        looks = f"“{shown}” looks like {domain}"
        if shown == name == _name_of(host):
            return f"it has the name of {domain} under another ending"
        if shown == name:
            return f"it has the name of {domain} in front of another domain, {_registrable(host)}"
        if _skeleton(shown) == _skeleton(name):
            return f"{looks}, letter for letter"
        if _has_words_added(shown, name):
            return f"{looks} with something added"
        parts = {shown, *shown.split("-")}
        if any(_is_misspelt(_latin(part), _latin(name)) for part in parts):
            return f"{looks}, misspelt"
    return ""


def _shown(label: str) -> str:
    """Return a label as a reader sees it: Punycode decoded."""
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _latin(label: str) -> str:
    """Return a label with every letter as the Latin one that it looks like; no hyphens."""
    plain = unicodedata.normalize("NFKD", label[:_LONGEST_LABEL].casefold())
    bare = "".join(char for char in plain if not unicodedata.combining(char) and char != "-")
    return bare.translate(_TO_LATIN).translate(_ALIKE)


def _skeleton(label: str) -> str:
    """Return what is left of a label at a glance: as ``_latin``, and "rn" is "m"."""
    skeleton = _latin(label)
    for pair, single in _DIGRAPHS:
        skeleton = skeleton.replace(pair, single)
    return skeleton


def _has_words_added(label: str, name: str) -> bool:
    """Return whether a label is a name with words before or behind it."""
    wanted = _skeleton(name)
    if len(name) >= _INSIDE and wanted in _skeleton(label):
        return True
    if any(_skeleton(part) == wanted for part in label.split("-")):
        return True
    before, found, behind = label.partition(name)
    return bool(found) and all(_ADDED.fullmatch(part) for part in (before, behind) if part)


def _is_misspelt(label: str, name: str) -> bool:
    """Return whether a label is a name with a wrong letter, in a long name with two."""
    allowed = (len(name) >= _ONE_WRONG) + (len(name) >= _TWO_WRONG)
    if not allowed or abs(len(label) - len(name)) > allowed:
        return False
    return count_edits(label, name) <= allowed


def count_edits(one: str, other: str) -> int:
    """Return how many letters are added, left out, replaced or swapped with the next.

    Source: Damerau's distance as optimal string alignment, O(len * len).
    """
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, char in enumerate(one, start=1):
        row = [i]
        for j, wanted in enumerate(other, start=1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (char != wanted))
            if i > 1 and j > 1 and char == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1]
