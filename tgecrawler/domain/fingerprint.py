"""Stable keys of pages, texts and mentions.

Every key begins with the version of the rule that made it, so that keys of two
rules never compare equal. blake2b at 128 bits: a hostile page must not be able
to craft a text that passes for another one's copy, which rules out the faster
non-cryptographic hashes (0.5 us against 8 us for 3 kB: nothing beside a fetch).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from tgecrawler.domain.urls import canonicalize_url

URL_VERSION = "2"  # changes with `canonicalize_url`
TEXT_VERSION = "1"
CONTENT_VERSION = "1"
FEWEST_WORDS = 25  # below this two texts may agree by chance: captions, one-line notes

_WORD = re.compile(r"\w+")


def url_key(url: str) -> str:
    """Return the key of the page at `url`: the same for every spelling of it."""
    return _digest(URL_VERSION, "url", canonicalize_url(url) or url)


def mention_key(source: str, url: str) -> str:
    """Return the key of what `source` told at `url`: one row each."""
    return _digest(URL_VERSION, "mention", source, canonicalize_url(url) or url)


def text_key(text: str) -> str:
    """Return the key of a story, whatever its case, punctuation and white space.

    "" for a text of fewer than `FEWEST_WORDS` words, which identifies no story.
    """
    words = normal_words(text)
    return _digest(TEXT_VERSION, "text", *words) if len(words) >= FEWEST_WORDS else ""


def rules_key(rules: str) -> str:
    """Return the end that the content keys of these rules have."""
    return hashlib.blake2b(rules.encode(), digest_size=6).hexdigest()


def content_key(body: bytes, rules: str) -> str:
    """Return the key of a source's body as read under some rules: others read it again."""
    digest = hashlib.blake2b(body, digest_size=12).hexdigest()
    return CONTENT_VERSION + digest + rules_key(rules)


def normal_words(text: str) -> list[str]:
    """Return the words of a text without case, punctuation and forms of one letter."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _digest(version: str, *parts: str) -> str:
    joined = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return version + hashlib.blake2b(joined, digest_size=16).hexdigest()
