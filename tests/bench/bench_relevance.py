"""How long a judgement takes, with few and with many companies, and what they weigh."""

from __future__ import annotations

import json
import re
from pathlib import Path

from run import Row, interleaved, memory_mb
from tgecrawler.config.loader import load_lexicon, load_watchlist, load_weights
from tgecrawler.domain.relevance import Assessor
from tgecrawler.domain.watchlist import Watchlist

GATE = Path(__file__).parents[1] / "gate"
COMPANIES = (15, 1_000, 50_000)
SHORT_MS, LONG_MS = 1.0, 3.0
LONG_CHARS = 6_000
LETTERS = "aeioubcdfglmnprstvz"


def invented(number: int) -> list[dict[str, object]]:
    """Return companies with a name, an alias and a ticker each, all different."""
    return [
        {
            "name": f"{_word(at)}{at}",
            "aliases": [f"{_word(at * 7)} {_word(at * 3)}{at} Labs"],
            "symbols": [f"T{at}"],
        }
        for at in range(number)
    ]


def _word(seed: int) -> str:
    letters = [LETTERS[(seed * 31 + at * 17) % len(LETTERS)] for at in range(6)]
    return "".join(letters).capitalize()


def assessor_with(companies: int) -> Assessor:
    own = [company.model_dump(mode="json") for company in load_watchlist().companies]
    rows = (own + invented(max(0, companies - len(own))))[:companies]
    watchlist = Watchlist.model_validate({"version": 1, "companies": rows})
    return Assessor(watchlist, load_lexicon(), load_weights(), min_score=0.5)


def short_records() -> list[tuple[str, str]]:
    rows = [json.loads(line) for line in (GATE / "own.jsonl").read_text("utf-8").splitlines()]
    return [(row["title"], row["summary"]) for row in rows if row["title"] and row["summary"]]


def long_records() -> list[tuple[str, str, str]]:
    rows = short_records()
    sentences = " ".join(f"{title}. {summary}" for title, summary in rows)
    texts = [sentences[at * 500 : at * 500 + LONG_CHARS] for at in range(30)]
    return [(*row, text) for row, text in zip(rows, texts, strict=False)]


def bench_assess() -> list[Row]:
    """The limits are those of a title with its summary, and of a whole article."""
    short, long = short_records(), long_records()
    assessors = {companies: assessor_with(companies) for companies in COMPANIES}
    names = [company.name for company in load_watchlist().companies]
    loop = [re.compile(rf"\b{re.escape(name)}\b", re.IGNORECASE) for name in names * 14]
    candidates = {
        f"{sort}/{companies}": (lambda a=assessor, r=records: [a.assess(*row) for row in r])
        for companies, assessor in assessors.items()
        for sort, records in (("short", short), ("long", long))
    }
    candidates["loop"] = lambda: [[p.search(text) for p in loop] for _, _, text in long]
    taken = interleaved(candidates)
    rows = []
    for companies in COMPANIES:
        for sort, records, limit in (("short", short, SHORT_MS), ("long", long, LONG_MS)):
            key = f"{sort}/{companies}"
            value = 1000 * taken[key] / len(records)
            ratio = taken[key] / taken[f"{sort}/{COMPANIES[0]}"]
            note = f"{ratio:.2f} times {COMPANIES[0]} companies"
            rows.append(Row(f"assess {sort}, {companies} companies", value, "ms", limit, note))
    loop_ms = 1000 * taken["loop"] / len(long)
    ratio = loop_ms / (1000 * taken["long/15"] / len(long))
    note = f"{len(loop)} patterns over one text; {ratio:.1f} times a whole judgement"
    return [*rows, Row("a loop of compiled patterns", loop_ms, "ms", None, note)]


def bench_memory() -> list[Row]:
    code = (
        "import sys; sys.path[:0] = ['.', 'tests/bench']\n"
        "from bench_relevance import assessor_with\n"
        "few = assessor_with(15)\n"
        "# measured\n"
        "many = assessor_with(50_000)\n"
    )
    return [Row("memory of 50,000 companies", memory_mb(code), "MB", None, "beside 15 companies")]
