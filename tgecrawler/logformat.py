"""What Scrapy's own events look like in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from scrapy.logformatter import LogFormatter

if TYPE_CHECKING:
    from scrapy.http import Request, Response
    from scrapy.logformatter import LogFormatterResult
    from twisted.python.failure import Failure


class QuietLogFormatter(LogFormatter):
    """An item is logged at DEBUG by its address, not with its whole text.

    A failed download is said once, by the source or the entry it belongs to;
    Scrapy's own line with its traceback is kept for DEBUG.
    """

    def scraped(
        self, item: Any, response: Response | Failure | None, spider: Any
    ) -> LogFormatterResult:
        return {
            "level": logging.DEBUG,
            "msg": "assessed %(url)s",
            "args": {"url": getattr(item, "url", item)},
        }

    def dropped(
        self, item: Any, exception: BaseException, response: Response | Failure | None, spider: Any
    ) -> LogFormatterResult:
        line = super().dropped(item, exception, response, spider)
        return {**line, "msg": "dropped: %(exception)s"}

    def item_error(
        self, item: Any, exception: BaseException, response: Response | Failure | None, spider: Any
    ) -> LogFormatterResult:
        line = super().item_error(item, exception, response, spider)
        # the traceback follows; a whole text before it would bury it
        return {
            **line,
            "msg": "error processing %(url)s",
            "args": {"url": getattr(item, "url", type(item).__name__)},
        }

    def download_error(
        self, failure: Failure, request: Request, spider: Any, errmsg: str | None = None
    ) -> LogFormatterResult:
        line = super().download_error(failure, request, spider, errmsg)
        return {**line, "level": logging.DEBUG}
