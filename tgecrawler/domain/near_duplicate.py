"""Which texts say the same nearly word for word: fingerprints, and how alike two are.

A body is known by MinHash over its shingles of three words (Broder 1997): the
share of equal values in two signatures estimates the Jaccard index J of the two
sets of shingles, with a standard error of sqrt(J (1 - J) / 512). Of each value a
byte is kept (b-bit MinHash, Li and Koenig 2010): of 512 values a byte tells more
than four bytes of 128. A text too short
for that (a post, a headline without a body) is known by its words, in their order.

Exchanges announce every listing in the same words but for the token. So a
fingerprint also says whose token its text is about: texts about different ones
are no copies, however alike.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING

import numpy as np
from rensa import RMinHash

from tgecrawler.domain.fingerprint import normal_words
from tgecrawler.domain.matching import word_set

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

VERSION = 2
"""First byte of every fingerprint: those of two rules never compare equal."""

LONG, SHORT = b"L", b"S"
"""Second byte: of a body, or of a text too short for shingles."""

PERMUTATIONS = 512
BANDS, ROWS = 32, 8
SEED = 42
SHINGLE_WORDS = 3
FEWEST_LONG_WORDS = 50
MOST_WORDS = 20_000  # of a body that are read; the rest of a longer one is left out

# Of the estimate, a quarter of a standard error below the 0.8 from where two texts are copies;
# tests/gate/test_near_duplicates.py measures what that is worth on real texts.
LEAST_SIMILAR = 0.795
LEAST_SIMILAR_SHORT = 0.82
FEWEST_SHORT_WORDS = 4
MOST_SHORT_WORDS = 64

LONG_BYTES = 10 + BANDS * 8 + PERMUTATIONS
"""Length of a body's fingerprint; that of a short text is less."""

_BY_CHANCE = 1 / 256  # share of bytes that are equal without their values being so
_SORT = 2  # bytes of version and sort; behind them 4 of the project and 4 of the token
_HEAD = 10
_KEY = 8  # bytes of a key

_STOP = word_set(
    "a an and are as at be been by for from had has have he her his in into is it its of on or"
    " over she that the their them they this to was we were what which who will with you your"
    " here how s t re via"
)
# Words that turn a story: with another of these classes it is news, however alike the rest.
_TURNS = {
    word: name
    for name, words in {
        "ahead": "tomorrow soon will upcoming",
        "begins": "begin begins began start starts started open opens opened live launches"
        " launched",
        "ends": "complete completes completed conclude concludes concluded end ends ended close"
        " closes closed finish finishes finished over",
        "later": "delay delays delayed postpone postpones postponed extend extends extended",
        "stops": "cancel cancels cancelled canceled scrap scraps scrapped halt halts halted pause"
        " pauses paused suspend suspends suspended",
        "goes on": "resume resumes resumed",
        "not": "not no denies denied refutes refuted false fake without",
        "agreed": "approves approved passes passed",
        "refused": "rejects rejected",
        "up": "up rise rises rose gains gained increases increased surges surged soars",
        "down": "down fall falls fell loses lost decreases decreased drops dropped plunges",
    }.items()
    for word in words.split()
}
_MONTHS = word_set(
    "january february march april may june july august september october november december"
    " jan feb mar apr jun jul aug sep sept oct nov dec"
)
_NOISE = re.compile(
    r"https?://\S+|\bwww\.\S+"
    r"|^\s*RT\s+@\w+:?"
    r"|^\s*(?:\W*(?:breaking|just in|new|update|exclusive)\W*[:|]\s*)"
    r"|\bvia\s+@\w+\s*$"
    r"|\bThe post .{0,300}? appeared first on .{0,80}$"
    # the source behind a headline: " - Acme News"; any other tail may be what matters
    r"|\s[|–—-]\s(?:[\w.]+\s){0,3}[\w.]*(?:news|times|post|daily|journal|wire|desk|telegraph"
    r"|briefing|magazine|blog|\.com|\.io|\.net|\.news)$",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"[@$#]?\d[\d.,]*\s?(?:%|(?:k|m|mn|mln|million|b|bn|billion)\b)?|[@$#]?[^\W_]+", re.IGNORECASE
)
_POSSESSIVE = re.compile(r"['’]s?\b|['’]")
_UNITS = {"mn": "m", "mln": "m", "million": "m", "bn": "b", "billion": "b"}
_NUMBER = re.compile(r"(\d[\d.,]*)\s?(\D*)")


def make_fingerprint(
    title: str,
    summary: str,
    text: str,
    ordinary: Container[str],
    *,
    project: str = "",
    token: str = "",
) -> bytes:
    """Return what a text is known by, b"" where it says too little to be told from others.

    Of at least `FEWEST_LONG_WORDS` words of `text`: `LONG_BYTES`. Else of the title
    (of a text without one: its text, or its summary), 18 bytes and 4 for each word.

    Args:
        ordinary: words of the language, in lower case. All others are names, and
            two short texts are copies only if they name the same, and both or none
            of them says that something begins, ends, is put off or called off.
        project, token: keys of whose token it is about (``EventTraits``), "" where
            that is not known.
    """
    words = normal_words(text)[:MOST_WORDS]
    if len(words) >= FEWEST_LONG_WORDS:
        return bytes([VERSION]) + LONG + _subject(project, token) + _signature(words)
    short = _short(title or text or summary, ordinary)
    return short and bytes([VERSION]) + SHORT + _subject(project, token) + short


def band_keys(fingerprint: bytes) -> tuple[int, ...]:
    """Return keys (64 bits) one of which two copies share: 32 of a body, 1 of a short text.

    Bodies with Jaccard index J share one with a chance of 1 - (1 - J**8)**32:
    0.997 for 0.8, 0.42 for 0.6 (`are_copies` decides).
    """
    count = {LONG: BANDS, SHORT: 1}.get(_sort(fingerprint), 0)
    keys: list[int] = np.frombuffer(fingerprint, "<u8", count, _HEAD).tolist() if count else []
    return tuple(keys)


def similarity(one: bytes, other: bytes) -> float:
    """Return how alike two texts are, from 0 to 1; 0.0 for those that cannot be compared."""
    sort = _sort(one)
    if not sort or sort != _sort(other) or _differ(one[_SORT:_HEAD], other[_SORT:_HEAD]):
        return 0.0
    if sort == LONG:
        equal = int(np.count_nonzero(_values(one) == _values(other))) / PERMUTATIONS
        return max(0.0, (equal - _BY_CHANCE) / (1 - _BY_CHANCE))
    if one[_HEAD : _HEAD + _KEY] != other[_HEAD : _HEAD + _KEY]:
        return 0.0  # they name different things
    return _alike(_words_of(one), _words_of(other))


def are_copies(one: bytes, other: bytes) -> bool:
    """Return whether two texts say the same nearly word for word."""
    least = LEAST_SIMILAR if _sort(one) == LONG else LEAST_SIMILAR_SHORT
    return similarity(one, other) >= least


def is_fingerprint(value: bytes) -> bool:
    """Return whether some bytes are a fingerprint of this version."""
    return bool(_sort(value))


def _sort(fingerprint: bytes) -> bytes:
    """Return LONG or SHORT, b"" for bytes that are no fingerprint of this version."""
    if fingerprint[:1] != bytes([VERSION]):
        return b""
    sort, size = fingerprint[1:_SORT], len(fingerprint) - _HEAD
    if sort == LONG and size == BANDS * _KEY + PERMUTATIONS:
        return LONG
    if sort == SHORT and size > _KEY and (size - _KEY) % 4 == 0:
        return SHORT
    return b""


def _subject(project: str, token: str) -> bytes:
    """Return 4 bytes for whose token it is, and 4 for the token; zeros where it is not known."""
    known = (hashlib.blake2b(name.encode(), digest_size=4).digest() for name in (project, token))
    return b"".join(
        digest if name else bytes(4) for name, digest in zip((project, token), known, strict=True)
    )


def _differ(one: bytes, other: bytes) -> bool:
    """Return whether two subjects are not the same: by the token, else by the project."""
    tokens, projects = (one[4:], other[4:]), (one[:4], other[:4])
    for mine, others in (tokens, projects):
        if any(mine) and any(others):
            return mine != others
    return False


def _signature(words: list[str]) -> bytes:
    last = len(words) - SHINGLE_WORDS + 1
    shingles = {" ".join(words[at : at + SHINGLE_WORDS]) for at in range(last)}
    minhash = RMinHash(num_perm=PERMUTATIONS, seed=SEED)
    minhash.update(list(shingles))
    values = np.array(minhash.digest(), dtype="<u4")
    bands = values[: BANDS * ROWS].reshape(BANDS, ROWS)
    keys = b"".join(
        hashlib.blake2b(band.tobytes(), digest_size=_KEY, salt=bytes([at])).digest()
        for at, band in enumerate(bands)
    )
    return keys + values.astype(np.uint8).tobytes()


def _values(fingerprint: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(fingerprint, dtype=np.uint8, offset=_HEAD + BANDS * _KEY)


def _short(text: str, ordinary: Container[str]) -> bytes:
    plain = unicodedata.normalize("NFKC", _NOISE.sub(" ", text))
    tokens = list(_tokens(_POSSESSIVE.sub("", plain)))[:MOST_SHORT_WORDS]
    words = [folded for folded, _ in tokens if folded not in _STOP]
    names = {folded for folded, written in tokens if _is_name(folded, written, ordinary)}
    if len(words) < FEWEST_SHORT_WORDS or not names:
        return b""
    turns = {_TURNS[folded] for folded, _ in tokens if folded in _TURNS}
    what = "\x1f".join([" ".join(sorted(names)), *sorted(turns)])
    hashes = [_hash(word.encode(), 4) for word in words]
    key = _hash(what.encode(), _KEY).to_bytes(_KEY, "little")
    return key + np.array(hashes, dtype="<u4").tobytes()


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield each word, folded and as written; an amount is one word: $100 million is 100m."""
    for written in _TOKEN.findall(text):
        number = _NUMBER.fullmatch(written.lstrip("@$#"))
        if number is None:
            yield written.lstrip("@$#").casefold(), written
            continue
        digits, unit = number[1].replace(",", "").rstrip("."), number[2].casefold()
        yield digits + _UNITS.get(unit, unit), written


def _is_name(folded: str, written: str, ordinary: Container[str]) -> bool:
    if folded in _STOP:
        return False
    if written[0] in "@$" or any(map(str.isdigit, folded)) or folded in _MONTHS:
        return True
    return folded not in ordinary and folded not in _TURNS


def _words_of(fingerprint: bytes) -> list[int]:
    words: list[int] = np.frombuffer(fingerprint, dtype="<u4", offset=_HEAD + _KEY).tolist()
    return words


def _alike(one: list[int], other: list[int]) -> float:
    """Return the length of the longest common subsequence against the mean length of both."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for at, against in enumerate(other, start=1):
            above = row[at]
            row[at] = before + 1 if word == against else max(above, row[at - 1])
            before = above
    return 2 * row[-1] / (len(one) + len(other))


def _hash(value: bytes, size: int) -> int:
    return int.from_bytes(hashlib.blake2b(value, digest_size=size).digest(), "little")
