"""Two crawls at once over one PostgreSQL and one Redis: the same rows as one crawl alone."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from storage_cases import settled

from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.queries import counts

ROOT = Path(__file__).parents[2]
STREAM = ROOT.parent / "shared" / "data" / "news" / "stream_2021_2024.jsonl.gz"
PART = 2_000  # records of the stream: two crawls of them take about 10 s
START = datetime(2026, 9, 1, 8, tzinfo=UTC)

PROJECTS = {
    "Quillon": "QLN", "Marrowfield": "MRW", "Tidepool": "TIDE", "Vantor": "VNT", "Ostler": "OSTL",
    "Lumenforge": "LMF", "Brindle": "BRDL", "Saltmarsh": "SALT", "Fernway": "FRN", "Pellar": "PLR",
}  # fmt: skip
STORIES = (
    ("{name} announces airdrop of its {token} token to early users", 0),
    ("{name} opens claims for {token} airdrop", 9),
    ("Kraken lists {name} ({token}), trading starts today", 10),
)
SENTENCES = (
    "The team behind {name} said that users who were there before the snapshot take part.",
    "A total of one billion {token} will exist, of which a tenth goes to the community.",
    "Holders can stake {token} once the governance contract is deployed on mainnet.",
    "Early backers of {name} are locked for a year and unlock over three more.",
    "The foundation of {name} publishes the list of addresses on its own site.",
    "Support staff warned of fake claim pages that ask for a seed phrase of {name} users.",
    "Fees of the {token} contract are paid by the foundation for the first thousand users.",
)


def stories() -> list[dict[str, str]]:
    """Each story told by three sources in their own words, and copied by a fourth."""
    rng = random.Random(11)
    records = []
    for name, token in PROJECTS.items():
        for title, day in STORIES:
            for teller in range(3):
                told = START + timedelta(days=day, minutes=rng.randrange(600))
                own = " ".join(f"own{rng.randrange(10_000)}" for _ in range(60))
                text = f"{' '.join(rng.sample(SENTENCES, 4))} {own}"
                records.append(_record(f"desk-{teller}", title, text, told, name, token))
                if teller == 0:
                    told += timedelta(minutes=30)
                    text += " Read more on our site."
                    records.append(_record("copyist", title, text, told, name, token))
    return records


def _record(
    source: str, title: str, text: str, told: datetime, name: str, token: str
) -> dict[str, str]:
    names = {"name": name, "token": token}
    headline = title.format(**names)
    return {
        "source": source,
        "url": f"https://{source}.example/{headline.casefold().replace(' ', '-')}",
        "title": headline,
        "text": text.format(**names),
        "published": told.isoformat(),
    }


def start_crawl(folder: Path, records: list[dict[str, str]], seed: int, **options: object):
    """Start a crawl of the records in an order of its own."""
    shuffled = list(records)
    random.Random(seed).shuffle(shuffled)
    file = folder / f"records-{seed}.jsonl"
    file.write_text("\n".join(map(json.dumps, shuffled)), encoding="utf-8")
    command = [sys.executable, "-m", "scrapy", "crawl", "records", "-a", f"file={file}"]
    command += ["-a", "max_age_days=0"]
    for name, value in options.items():
        command += ["-s", f"{name}={value}"]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def finish(*crawls: subprocess.Popen[str]) -> None:
    told = [crawl.communicate(timeout=300)[1] for crawl in crawls]
    for crawl, errors in zip(crawls, told, strict=True):
        assert crawl.returncode == 0, errors[-2_000:]
        assert "ERROR" not in errors


def rows_of(url: str) -> dict[str, object]:
    """What must not depend on who wrote it and when."""
    engine = create_engine(url)
    tables = settled(engine)
    engine.dispose()
    return {
        "mentions": {row["id"]: row["duplicate_of"] for row in tables["mentions"]},
        "alerts": {row["id"] for row in tables["alerts"]},
        "events": {row["id"]: row for row in tables["events"]},
        "members": {row["mention_id"]: row["event_id"] for row in tables["event_mentions"]},
    }


def compare(records: list[dict[str, str]], folder: Path, postgresql_url: str, redis_url: str):
    """Return the rows of two crawls at once, which must be those of one alone."""
    both = {"TGE_DATABASE_URL": postgresql_url, "TGE_REDIS_URL": redis_url}
    small = {"TGE_DATABASE_BATCH_SIZE": 20}
    finish(*(start_crawl(folder, records, seed, **both, **small) for seed in (1, 2)))
    alone = f"sqlite:///{folder}/alone.db"
    finish(start_crawl(folder, records, 3, TGE_DATABASE_URL=alone))
    found = rows_of(postgresql_url)
    assert found == rows_of(alone)
    return found


def test_a_written_stream(postgresql_url, redis_url, tmp_path):
    records = stories()
    found = compare(records, tmp_path, postgresql_url, redis_url)
    engine = create_engine(postgresql_url)
    rows = counts(engine)
    engine.dispose()
    assert rows["mentions"] == len(found["mentions"]) == len(records)
    assert rows["duplicates"] == len(PROJECTS) * len(STORIES)
    assert rows["alerts"] == rows["mentions"] - rows["duplicates"]
    # the airdrop from hint to claims, and the listing
    assert rows["events"] == len(PROJECTS) * 2


@pytest.mark.skipif(not STREAM.exists(), reason="needs ../shared/data/news")
def test_a_real_stream(postgresql_url, redis_url, tmp_path):
    with gzip.open(STREAM, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line, _ in zip(lines, range(PART), strict=False)]
    found = compare(records, tmp_path, postgresql_url, redis_url)
    copies = [original for original in found["mentions"].values() if original]
    assert len(found["alerts"]) + len(copies) == len(found["mentions"])
    assert copies
