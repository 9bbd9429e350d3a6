from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from scrapy.statscollectors import StatsCollector
from scrapy.utils.test import get_crawler

from pipelines.dedup import COPIES_WITHIN, DedupPipeline
from pipelines.freshness import FreshnessPipeline
from pipelines.relevance import RelevancePipeline
from tgecrawler.dedup.memory import MemoryIndex
from tgecrawler.domain.freshness import AgeLimit
from tgecrawler.domain.timing import Durations
from tgecrawler.drops import EntryDropped
from tgecrawler.items import Assessment, Mention

NOW = datetime(2026, 10, 12, 8, tzinfo=UTC)
LONG_TEXT = (
    "Nimbus opens the claims for its token to everybody who was there before the snapshot. " * 3
)


def mention(entry_id: str = "a", **given: Any) -> Mention:
    url = given.pop("url", f"https://desk.example/{entry_id}")
    defaults = {
        "source": "desk",
        "owner": "desk",
        "tier": 2,
        "canonical_url": url,
        "title": "Nimbus opens claims",
        "seen_at": NOW,
    }
    return Mention(entry_id=entry_id, url=url, **{**defaults, **given})


@pytest.fixture
def stats() -> StatsCollector:
    return StatsCollector(get_crawler())


class AlwaysAssessor:
    """A real assessor's place, with a verdict that the test chooses."""

    def __init__(self, assessment: Assessment) -> None:
        self.assessment = assessment

    def assess(self, *texts: str, **about: Any) -> Assessment:
        return self.assessment


def judge(stats: StatsCollector, item: Any, *, relevant: bool) -> Any:
    score = 0.9 if relevant else 0.1
    verdict = Assessment(score=score, relevant=relevant, kind="airdrop", missing=("no event",))
    pipeline = RelevancePipeline(AlwaysAssessor(verdict), stats, Durations())  # type: ignore[arg-type]
    return pipeline.process_item(item)


def test_what_is_too_old_by_its_page_goes() -> None:
    pipeline = FreshnessPipeline(AgeLimit(7))
    fresh = mention(published_at=NOW - timedelta(days=6))
    assert pipeline.process_item(fresh) is fresh
    with pytest.raises(EntryDropped) as dropped:
        pipeline.process_item(mention(published_at=NOW - timedelta(days=8)))
    assert (dropped.value.outcome, dropped.value.remember) == ("too_old", True)


def test_a_relevant_mention_carries_its_assessment(stats: StatsCollector) -> None:
    assert judge(stats, mention(), relevant=True).assessment.score == 0.9
    assert stats.get_value("tge/relevance/airdrop") == 1


def test_an_irrelevant_one_is_dropped_with_its_reason(stats: StatsCollector) -> None:
    with pytest.raises(EntryDropped, match="no event") as dropped:
        judge(stats, mention(), relevant=False)
    assert (dropped.value.outcome, dropped.value.remember) == ("irrelevant", True)
    assert dropped.value.log_level == "DEBUG"


def test_without_its_page_it_has_failed_and_is_tried_again(stats: StatsCollector) -> None:
    with pytest.raises(EntryDropped) as dropped:
        judge(stats, mention(page_error="HTTP 503"), relevant=False)
    assert (dropped.value.outcome, dropped.value.remember) == ("failed", False)
    assert judge(stats, mention(page_error="HTTP 503"), relevant=True).assessment.relevant


def dedup(stats: StatsCollector, known: dict[str, str] | None = None) -> Callable[[Any], Any]:
    index = MemoryIndex(COPIES_WITHIN)
    pipeline = DedupPipeline({} if known is None else known, index, frozenset(), stats)
    return lambda item: asyncio.run(pipeline.process_item(item))


def test_copies_are_marked_and_go_on(stats: StatsCollector) -> None:
    process = dedup(stats)
    first = process(mention("a", text=LONG_TEXT))
    same_text = process(mention("b", text=LONG_TEXT.upper()))
    same_page = process(mention("c", url="http://www.desk.example/a?utm_source=x"))
    other = process(mention("d", text=LONG_TEXT + " And more."))
    assert [item.copy_of for item in (first, same_text, same_page, other)] == ["", "a", "a", ""]
    assert first.url_key == same_page.url_key != other.url_key
    assert first.text_key == same_text.text_key != ""
    assert same_page.text_key == ""
    assert stats.get_value("tge/dedup/same_text") == stats.get_value("tge/dedup/same_url") == 1


def test_a_copy_of_a_copy_names_the_first(stats: StatsCollector) -> None:
    process = dedup(stats)
    process(mention("a", text=LONG_TEXT))
    process(mention("b", text=LONG_TEXT))
    through_the_second = process(mention("c", url="https://desk.example/b"))
    assert through_the_second.copy_of == "a"


def test_stories_of_earlier_runs_are_known(stats: StatsCollector) -> None:
    known = dedup(stats)(mention("a", text=LONG_TEXT))
    process = dedup(stats, {known.text_key: "a"})
    assert process(mention("b", text=LONG_TEXT)).copy_of == "a"


def test_other_items_pass(stats: StatsCollector) -> None:
    other = {"a": 1}
    assert dedup(stats)(other) is other
    assert FreshnessPipeline(AgeLimit(1)).process_item(other) is other
    assert judge(stats, other, relevant=False) is other


def test_a_mention_is_not_changed_in_place(stats: StatsCollector) -> None:
    item = mention(text=LONG_TEXT)
    before = replace(item)
    dedup(stats)(item)
    assert item == before
