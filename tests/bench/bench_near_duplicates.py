"""How long it takes to find near copies, and what an index in memory weighs.

Beside it, in the same run: the exact hash that finds only the same words, and
MinHash the plain way, 128 values in numpy and bands in a dict.
"""

from __future__ import annotations

import hashlib
import random
import resource
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from run import ROUNDS, Row, interleaved, memory_mb
from tgecrawler.dedup.memory import MemoryIndex
from tgecrawler.domain.fingerprint import normal_words, text_key
from tgecrawler.domain.near_duplicate import (
    BANDS,
    PERMUTATIONS,
    SHINGLE_WORDS,
    are_copies,
    make_fingerprint,
)

MOST_MS = 0.7  # of a document: fingerprint, look-up and keeping
MOST_MB = 3_000  # of a million documents
MOST_LOAD_S = 5.0  # of HELD rows: how long a start may wait
HELD = 100_000

DOCUMENTS, WORDS, EDITS = 200, 600, 6  # of 600 words 6 are others: a Jaccard index of 0.94
VOCABULARY = [f"{first}{number}" for first in "bcdfghklmnprst" for number in range(1_500)]
TOLD_AT = datetime(2026, 10, 12, 8, tzinfo=UTC)
WINDOW = timedelta(days=7)

SOAKED, PLANTED = 1_000_000, 10_000
MOST_MISSED = 0.01  # share of the planted copies
MOST_SOAK_MB = 3_000  # at the peak, while runs are merged
MOST_LAST_MS = 0.45  # of a document in the last quarter: what 0.7 leaves beside its fingerprint


def document(seed: int) -> list[str]:
    return random.Random(seed).choices(VOCABULARY, k=WORDS)


def edited(seed: int) -> list[str]:
    """Return a document with `EDITS` of its words replaced by others."""
    rng = random.Random(-seed - 1)
    words = document(seed)
    for at in rng.sample(range(WORDS), EDITS):
        words[at] = rng.choice(VOCABULARY)
    return words


def print_of(words: list[str]) -> bytes:
    return make_fingerprint("", "", " ".join(words), frozenset())


def invented_prints(count: int) -> Iterator[bytes]:
    """Yield different fingerprints of bodies that nobody wrote.

    What a hash makes is as good as random bytes: for an index these are like real ones.
    """
    rng = random.Random(1)
    hashed = 8 * BANDS + PERMUTATIONS  # bytes of keys and values, behind a head
    head = print_of(document(0))[:-hashed]
    for _ in range(count):
        yield head + rng.randbytes(hashed)


def rows(count: int) -> Iterator[tuple[str, bytes, datetime]]:
    """Yield what an index is loaded with; ids are as long as `mention_key` makes them."""
    for number, value in enumerate(invented_prints(count)):
        yield f"2{number:032x}", value, TOLD_AT


def loaded() -> MemoryIndex:
    index = MemoryIndex(WINDOW)
    index.load(rows(HELD))
    assert len(index) == HELD
    return index


class PlainMinHash:
    """The textbook way: 128 values in numpy, 16 bands of 8 in a dict, the share of equal values."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.factors, self.terms = rng.integers(1, 1 << 32, (2, 128, 1), dtype=np.uint64)
        self.bands: dict[bytes, list[int]] = {}
        self.values: list[np.ndarray] = []

    def match_and_add(self, text: str) -> list[int]:
        values = self.values_of(text)
        keys = [bytes([at]) + values[8 * at : 8 * at + 8].tobytes() for at in range(16)]
        found = {place for key in keys for place in self.bands.get(key, ())}
        for key in keys:
            self.bands.setdefault(key, []).append(len(self.values))
        self.values.append(values)
        return [place for place in found if np.mean(self.values[place] == values) >= 0.8]

    def values_of(self, text: str) -> np.ndarray:
        words = normal_words(text)
        shingles = set(zip(*(words[at:] for at in range(SHINGLE_WORDS)), strict=False))
        digests = (hashlib.blake2b(" ".join(s).encode(), digest_size=4).digest() for s in shingles)
        hashes = np.frombuffer(b"".join(digests), "<u4").astype(np.uint64)
        return ((self.factors * hashes + self.terms) % np.uint64((1 << 61) - 1)).min(axis=1)


def batches() -> list[list[tuple[str, str]]]:
    """Return ids and texts for every round: half new, half nearly the same once more."""
    half = DOCUMENTS // 2
    made = []
    for first in range(0, ROUNDS * half, half):
        seeds = range(first, first + half)
        texts = [" ".join(make(seed)) for make in (document, edited) for seed in seeds]
        made.append([(f"{first}/{at}", text) for at, text in enumerate(texts)])
    return made


def each(work: Callable[[str, str], object]) -> Callable[[], None]:
    """Return what does some work on the next batch whenever it is called."""
    turns = iter(batches())

    def run() -> None:
        for id_, text in next(turns):
            work(id_, text)

    return run


def finding_in(index: MemoryIndex) -> Callable[[str, str], object]:
    return lambda id_, text: index.match_and_add(
        id_, make_fingerprint("", "", text, frozenset()), TOLD_AT
    )


def bench_find() -> list[Row]:
    plain, keys = PlainMinHash(), set[str]()
    first, other = print_of(document(0)), print_of(edited(0))
    taken = interleaved(
        {
            "held": each(finding_in(loaded())),
            "few": each(finding_in(MemoryIndex(WINDOW))),
            "fingerprint": each(lambda _, text: make_fingerprint("", "", text, frozenset())),
            "compare": each(lambda _, __: are_copies(first, other)),
            "exact": each(lambda _, text: keys.add(text_key(text))),
            "plain": each(lambda _, text: plain.match_and_add(text)),
        }
    )
    ms = {name: 1000 * seconds / DOCUMENTS for name, seconds in taken.items()}

    def row(key: str, name: str, limit: float | None = None) -> Row:
        note = "" if limit else f"near copies take {ms['held'] / ms[key]:.2f} times this"
        return Row(name, ms[key], "ms", limit, note)

    return [
        row("held", f"near copies of {WORDS} words, beside {HELD:,}", MOST_MS),
        row("few", "the same, beside few"),
        row("fingerprint", "the fingerprint alone"),
        row("compare", "one comparison"),
        row("exact", "exact hash of the same words"),
        row("plain", "plain MinHash, 128 values, beside few"),
    ]


def bench_load() -> list[Row]:
    held = list(rows(HELD))
    taken = interleaved({"load": lambda: MemoryIndex(WINDOW).load(held)}, rounds=3)
    return [Row(f"loading {HELD:,} rows", taken["load"], "s", MOST_LOAD_S)]


def bench_memory() -> list[Row]:
    code = (
        "import sys; sys.path[:0] = ['.', 'tests/bench']\n"
        "from bench_near_duplicates import loaded\n"
        "# measured\n"
        "index = loaded()\n"
    )
    note = f"from {HELD:,} invented fingerprints, of the size of real ones"
    million = memory_mb(code) * 1_000_000 / HELD
    return [Row("memory of a million bodies", million, "MB", MOST_MB, note)]


def soaked() -> Iterator[tuple[str, bytes]]:
    """Yield ids and fingerprints: invented ones, with real "o7" in the first half, then its copy.

    The copies come in another order, so that they are looked for in runs of every age.
    """
    rng = random.Random(3)
    invented = invented_prints(SOAKED)
    shuffled = rng.sample(range(PLANTED), PLANTED)
    for letter, make, seeds in (("o", document, range(PLANTED)), ("c", edited, shuffled)):
        planted = iter(seeds)
        places = set(rng.sample(range(SOAKED // 2), PLANTED))
        for place in range(SOAKED // 2 + PLANTED):
            if place in places:
                seed = next(planted)
                yield f"{letter}{seed}", print_of(make(seed))
            else:
                yield f"{letter}-{place:031x}", next(invented)


def soak_index() -> list[Row]:
    """Put a million bodies and `PLANTED` real ones with their copies through one index.

    Of a document the time of the processor counts: nothing runs in turns here, so that another
    process that wakes up in the meantime would look like an index that slows down.
    """
    index = MemoryIndex(WINDOW, most=2 * SOAKED)
    started, pauses = time.perf_counter(), []
    hits = misses = false = 0
    for id_, value in soaked():
        before = time.process_time()
        copies = index.match_and_add(id_, value, TOLD_AT)
        pauses.append(time.process_time() - before)
        wanted = {f"o{id_[1:]}"} if id_[0] == "c" and id_[1] != "-" else set()
        found = {copy.id for copy in copies}
        hits, misses = hits + len(found & wanted), misses + len(wanted - found)
        false += len(found - wanted)
    total = time.perf_counter() - started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    quarters = [1000 * float(part.mean()) for part in np.array_split(pauses, 4)]
    name = f"{len(index):,} bodies"
    return [
        Row(f"{name}: missed of {hits + misses:,} copies", misses, "", MOST_MISSED * PLANTED),
        Row("  pairs that are none", false, "", 0),
        Row("  peak of memory, whole process", peak_mb, "MB", MOST_SOAK_MB),
        Row("  time in all, with making the texts", total, "s"),
        *(Row(f"  a look-up, quarter {at}", ms, "ms") for at, ms in enumerate(quarters[:3], 1)),
        Row("  a look-up, quarter 4", quarters[3], "ms", MOST_LAST_MS),
        Row("  longest wait, while runs are merged", max(pauses), "s"),
    ]
