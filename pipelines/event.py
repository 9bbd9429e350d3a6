"""Reads off each mention what tells its event; the database groups the events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from tgecrawler.addon import runtime_of
from tgecrawler.domain.event_traits import traits_of
from tgecrawler.items import Mention

if TYPE_CHECKING:
    from collections.abc import Container

    from scrapy.crawler import Crawler


class EventPipeline:
    """Adapter around `domain.event_traits.traits_of`.

    Which event a mention is of depends on all others of its project, so it is
    settled in the transaction that stores it; see `storage.events`.
    """

    def __init__(self, anybodys: Container[str]) -> None:
        self.anybodys = anybodys

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(runtime_of(crawler).anybodys)

    def process_item(self, item: Any) -> Any:
        if not isinstance(item, Mention) or item.assessment is None:
            return item
        traits = traits_of(item.title, item.summary, item.text, item.assessment, self.anybodys)
        return replace(item, traits=traits)
