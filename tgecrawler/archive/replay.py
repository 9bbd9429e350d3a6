"""A download handler that answers from an archive and never touches the network."""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.exceptions import DownloadCancelledError
from scrapy.http import Headers
from scrapy.responsetypes import responsetypes

from tgecrawler.archive.warc import ArchivedResponse, BodyTooLargeError, WarcIndex
from tgecrawler.errors import ReplayError

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response

logger = logging.getLogger(__name__)

FETCHED_AT = "fetched_at"  # request.meta: when the response was archived
_ABOUT_THE_TRANSFER = ("transfer-encoding", "content-length", "connection", "keep-alive")


class ReplayDownloadHandler(BaseDownloadHandler):
    """Answers http and https from the archive of TGE_REPLAY.

    An address that the archive lacks is a 404. ``request.meta["fetched_at"]``
    tells when the response was archived (for a 404: the archive's newest
    moment), so that ages are judged as they were then.

    Raises:
        ReplayError: the archive cannot be replayed at all.
    """

    lazy = False  # a wrong path is said before the crawl

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.index = open_index(str(crawler.settings["TGE_REPLAY"]))
        self.default_maxsize = crawler.settings.getint("DOWNLOAD_MAXSIZE")

    async def download_request(self, request: Request) -> Response:
        stats = self.crawler.stats
        maxsize = int(request.meta.get("download_maxsize", self.default_maxsize))
        try:
            found = await asyncio.to_thread(self.index.get, request.url, max_bytes=maxsize)
        except BodyTooLargeError as error:
            raise DownloadCancelledError(f"{error}; {maxsize:,} are read") from None
        if found is None:
            stats.inc_value("tge/replay/missing")
            request.meta[FETCHED_AT] = self.index.newest_at
            return _response(request, status=404)
        stats.inc_value("tge/replay/hits")
        request.meta[FETCHED_AT] = found.fetched_at
        return _answer(request, found)


@lru_cache(maxsize=4)
def open_index(path: str) -> WarcIndex:
    """Return the index of an archive; both schemes, and every crawler of a process, share it.

    Raises:
        ReplayError: the archive cannot be replayed at all.
    """
    if not path:
        raise ReplayError("TGE_REPLAY names no archive")
    index = WarcIndex.open(Path(path))
    for warning in index.warnings:
        logger.warning("replay: %s", warning)
    logger.info("replay: %d addresses from %s; nothing goes to the network", len(index), path)
    return index


def _answer(request: Request, found: ArchivedResponse) -> Response:
    headers = Headers()
    for name, value in found.headers:
        if name.lower() not in _ABOUT_THE_TRANSFER:
            headers.appendlist(name, value)
    asked = request.headers.get("If-None-Match")
    if asked and asked == headers.get("ETag"):
        return _response(request, status=304, headers=headers)
    body = b"" if request.method == "HEAD" else found.body
    return _response(request, status=found.status, headers=headers, body=body)


def _response(
    request: Request, *, status: int, headers: Headers | None = None, body: bytes = b""
) -> Response:
    headers = headers if headers is not None else Headers()
    response_class = responsetypes.from_args(headers=headers, url=request.url, body=body)
    return response_class(
        url=request.url, status=status, headers=headers, body=body, protocol="HTTP/1.1"
    )
