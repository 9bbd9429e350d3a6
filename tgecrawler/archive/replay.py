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

from tgecrawler.archive.body import BodyTooLargeError
from tgecrawler.archive.conditional import not_modified
from tgecrawler.archive.warc import ArchivedResponse, WarcIndex
from tgecrawler.errors import ReplayError

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response

logger = logging.getLogger(__name__)

FETCHED_AT = "fetched_at"  # request.meta: when the response was archived
_ABOUT_THE_TRANSFER = {"transfer-encoding", "connection", "keep-alive", "trailer", "upgrade"}
_OF_A_304 = {
    "cache-control",
    "content-location",
    "date",
    "etag",
    "expires",
    "last-modified",
    "vary",
}


class ReplayDownloadHandler(BaseDownloadHandler):
    """Answers http and https from the archive of TGE_REPLAY.

    An address that the archive lacks is a 404. ``request.meta["fetched_at"]``
    tells when the response was archived (for a 404: the archive's newest
    moment), so that ages are judged as they were then. A conditional request
    for a page that has not changed is a 304; a body above DOWNLOAD_MAXSIZE is
    refused as a live one is. The signals headers_received and bytes_received
    are not sent.

    Raises:
        ReplayError: the archive cannot be replayed at all. Scrapy only logs
            what a handler raises; whoever wants to stop calls `open_index` first.
    """

    lazy = False  # the archive is read before the crawl begins

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.index = open_index(str(crawler.settings["TGE_REPLAY"] or ""))
        self.default_maxsize = crawler.settings.getint("DOWNLOAD_MAXSIZE")

    async def download_request(self, request: Request) -> Response:
        stats = self.crawler.stats
        maxsize = int(request.meta.get("download_maxsize", self.default_maxsize))
        try:
            found = await asyncio.to_thread(self._find, request, maxsize)
        except BodyTooLargeError as error:
            raise DownloadCancelledError(f"{error}; {maxsize:,} are read") from None
        if found is None:
            stats.inc_value("tge/replay/missing")
            request.meta[FETCHED_AT] = self.index.newest_at
            return _response(request, status=404)
        stats.inc_value("tge/replay/hits")
        request.meta[FETCHED_AT] = found.fetched_at
        return _answer(request, found)

    def _find(self, request: Request, maxsize: int) -> ArchivedResponse | None:
        """Return the capture for a request; without its body where none will be sent."""
        if request.method == "HEAD" or any(_validators(request)):
            head = self.index.get(request.url, with_body=False)
            if head is None or request.method == "HEAD":
                return head
            if not_modified(head, *_validators(request)):
                return head
        return self.index.get(request.url, max_bytes=maxsize)


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


def _validators(request: Request) -> tuple[str, str]:
    return _header(request, "If-None-Match"), _header(request, "If-Modified-Since")


def _header(request: Request, name: str) -> str:
    return (request.headers.get(name) or b"").decode("latin-1")


def _answer(request: Request, found: ArchivedResponse) -> Response:
    headers = Headers()
    unchanged = not_modified(found, *_validators(request))
    for name, value in found.headers:
        sent = name.lower() in _OF_A_304 if unchanged else name.lower() not in _ABOUT_THE_TRANSFER
        if sent:
            headers.appendlist(name.encode("latin-1"), value.encode("latin-1"))
    if unchanged:
        return _response(request, status=304, headers=headers)
    if request.method != "HEAD" and headers.get("Content-Length") != b"%d" % len(found.body):
        headers.pop("Content-Length", None)  # it told the length of a body in chunks, or lied
    return _response(request, status=found.status, headers=headers, body=found.body)


def _response(
    request: Request, *, status: int, headers: Headers | None = None, body: bytes = b""
) -> Response:
    headers = headers if headers is not None else Headers()
    url = request.url.partition("#")[0]  # as of a live response
    response_class = responsetypes.from_args(headers=headers, url=url, body=body)
    return response_class(url=url, status=status, headers=headers, body=body, protocol="HTTP/1.1")
