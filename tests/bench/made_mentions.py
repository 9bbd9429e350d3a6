"""Mentions as a crawl would write them, made by chance from a seed: no two texts alike.

Projects, companies and sources are skewed as real ones are: a few are told of by everybody.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from tgecrawler.items import Assessment, EventTraits, Mention, Reason

START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = {"token_launch": 30, "airdrop": 25, "listing": 25, "token_sale": 12, "tokenomics": 8}
STATUSES = {"announced": 45, "live": 25, "scheduled": 15, "completed": 10, "rumour": 4,
            "postponed": 1}  # fmt: skip
COPIES = 0.3
ZIPF = 0.9
REASONS = 8


class MadeMentions:
    """An endless row of mentions, each a minute after the one before."""

    def __init__(self, seed: int, *, chars: int = 3_000, projects: int = 2_000) -> None:
        self.rng = random.Random(seed)
        self.chars = chars
        letters = "abcdefghijklmnopqrstuvwxyz"
        self.words = [
            "".join(self.rng.choices(letters, k=self.rng.randint(3, 9))) for _ in range(4_000)
        ]
        self.projects = [f"{self.rng.choice(self.words)}{n}" for n in range(projects)]
        self._ranks: dict[int, list[float]] = {}

    def take(self, count: int, first: int = 0) -> Iterator[Mention]:
        """Yield mentions numbered from `first` on."""
        original = None
        for number in range(first, first + count):
            mention = self._make(number, original if self.rng.random() < COPIES else None)
            original = mention
            yield mention

    def skewed(self, count: int) -> int:
        """Return a number below `count` by Zipf's law: the first of 2,000 once in sixteen times."""
        if count not in self._ranks:
            self._ranks[count] = list(accumulate(n**-ZIPF for n in range(1, count + 1)))
        return self.rng.choices(range(count), cum_weights=self._ranks[count])[0]

    def text(self, chars: int) -> str:
        return " ".join(self.rng.choices(self.words, k=chars // 5))[:chars]

    def one_of(self, weights: dict[str, int]) -> str:
        return self.rng.choices(list(weights), list(weights.values()))[0]

    def _make(self, number: int, original: Mention | None) -> Mention:
        project = self.projects[self.skewed(len(self.projects))]
        published_at = START + timedelta(minutes=number)
        url = f"https://news{number % 50}.example/{number}"
        companies = (f"Company {self.skewed(200)}",) if self.rng.random() < 0.5 else ()
        kind = self.one_of(KINDS)
        reasons = tuple(
            Reason(rule=f"{kind}/said", weight=1.25, field="text", start=9 * at, end=9 * at + 7,
                   text=self.rng.choice(self.words))
            for at in range(REASONS)
        )  # fmt: skip
        assessment = Assessment(
            score=round(self.rng.betavariate(5, 2), 3), relevant=True, kind=kind,
            status=self.one_of(STATUSES), companies=companies, project=project,
            token=project.upper()[:6], reasons=reasons,
        )  # fmt: skip
        text = self.text(self.chars)
        return Mention(
            entry_id=f"1{number:032x}", source=f"source-{number % 50}",
            owner=f"owner-{number % 40}", tier=1 + number % 3, url=url, canonical_url=url,
            title=f"{project} {kind} {self.text(40)}", summary=text[:200], text=text,
            published_at=published_at, seen_at=published_at + timedelta(seconds=60),
            url_key=f"2{number:032x}",
            text_key=original.text_key if original else f"3{number:032x}",
            fingerprint=self.rng.randbytes(512), assessment=assessment,
            traits=EventTraits(project, project.upper()[:6], "main", 0),
        )  # fmt: skip
