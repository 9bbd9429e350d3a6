"""robots.txt: bytes -> the rules that hold for us.

Which group holds is decided here, by RFC 9309; Protego then weighs its rules.
Protego's own choice of a group differs from the RFC in three ways: a token that
ours begins with would be ours, "tgecrawler/1.0" would not, and a Crawl-delay
between two User-agent lines would part them.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from protego import Protego

LONGEST_BYTES = 500 * 1024  # RFC 9309, 2.5: at least so much is read; we read no more
TOKEN = "tgecrawler"  # noqa: S105 - our product token, as the User-Agent begins with it

_AGENT = re.compile(r"user[ -]?agent\s*[:\s]\s*(.*)", re.IGNORECASE)
_RULE = re.compile(r"(?:dis+al+[ao]w|diasllow|allow)\b", re.IGNORECASE)
_PRODUCT = re.compile(r"\*(?=\s|$)|[A-Za-z_-]+")
_RESERVED = re.compile(r"%(3a|2f|40)", re.IGNORECASE)
_EVERYBODY = "*"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class RobotsRules:
    """What a robots.txt asks of us; `size_bytes` is the length of the rules that were kept."""

    crawl_delay_s: float | None
    size_bytes: int
    _parsed: Protego

    def allows(self, url: str) -> bool:
        """Return whether an address may be fetched; /robots.txt always may."""
        return self._parsed.can_fetch(spell_query(url), _EVERYBODY)


def parse_robots(body: bytes, token: str = TOKEN) -> RobotsRules:
    """Return the rules of a robots.txt; junk holds none, and then everything is allowed.

    Args:
        body: as it was sent; what lies behind `LONGEST_BYTES` is not read, and
            neither is the line that is cut there.
        token: product token whose group is looked for, in any case; where there
            is none, the group of everybody holds.
    """
    lines = select_group(decode_robots(body), token)
    parsed = Protego.parse("\n".join(("User-agent: *", *lines)))
    return RobotsRules(parsed.crawl_delay(_EVERYBODY), sum(map(len, lines)), parsed)


def decode_robots(body: bytes) -> str:
    """Return the text: by its byte order mark, else as UTF-8, else as Latin-1."""
    if len(body) > LONGEST_BYTES:
        body = body[:LONGEST_BYTES]
        body = body[: max(body.rfind(b"\n"), body.rfind(b"\r")) + 1]
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, errors="replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def select_group(text: str, token: str) -> list[str]:
    """Return the lines of all groups that name `token`, else of those that name "*".

    Consecutive User-agent lines make one group; only an Allow or Disallow ends their
    row, and no other line does (RFC 9309, 2.2.1 and 2.2.4).
    """
    wanted = {token.lower(), _EVERYBODY}
    groups: dict[str, list[str]] = {}
    named: set[str] = set()  # of the wanted ones only: a file may name 30,000
    in_names = False
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        if agent := _AGENT.match(line):
            named = (named if in_names else set()) | ({_product_of(agent[1])} & wanted)
            in_names = True
            for name in named:
                groups.setdefault(name, [])
        elif line:
            in_names = in_names and not _RULE.match(line)
            for name in named:
                groups[name].append(spell_query(line))
    return groups.get(token.lower(), groups.get(_EVERYBODY, []))


def spell_query(text: str) -> str:
    """Return an address or a rule with : / @ in its query written plainly.

    RFC 9309, 2.2.2: ``?u=http://a`` and ``?u=http%3A%2F%2Fa`` are the same.
    """
    path, mark, query = text.partition("?")
    return path + mark + _RESERVED.sub(lambda found: chr(int(found[1], 16)), query)


def _product_of(value: str) -> str:
    found = _PRODUCT.match(value.strip())
    return found[0].lower() if found else ""
