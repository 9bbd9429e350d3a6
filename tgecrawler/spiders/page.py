"""One page, fetched for a person who asks about it; nothing is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy import Request, Spider

from tgecrawler.errors import SourceError
from tgecrawler.sources.article_reader import ArticleReader
from tgecrawler.spiders.base import content_type_of
from tgecrawler.spiders.failures import describe_failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scrapy.http import Response
    from twisted.python.failure import Failure

    from tgecrawler.items import Article


class PageSpider(Spider):
    """Fetches `url`; leaves `article`, or says in `error` why there is none."""

    name = "page"

    def __init__(self, url: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.url = url
        self.article: Article | None = None
        self.error = ""

    async def start(self) -> AsyncIterator[Any]:
        yield Request(self.url, callback=self.read, errback=self.fail, meta={"kind": "article"})

    async def read(self, response: Response) -> None:
        """Keep the article."""
        try:
            self.article = await ArticleReader(0).read(
                response.body, url=response.url, content_type=content_type_of(response)
            )
        except SourceError as error:
            self.error = str(error)

    def fail(self, failure: Failure) -> None:
        """Keep the reason."""
        self.error = describe_failure(failure)
