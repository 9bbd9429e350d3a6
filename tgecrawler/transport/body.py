"""A response's body, read within its bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
from scrapy import signals
from scrapy.exceptions import DownloadCancelledError, ResponseDataLossError, StopDownload

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Headers


@dataclass(slots=True)
class Body:
    """What was read: the bytes, flags for the response, and why reading stopped early."""

    data: bytes = b""
    flags: list[str] = field(default_factory=list)
    stopped: StopDownload | None = None


class BodyReader:
    """Reads bodies as they cross the wire, still compressed.

    Args:
        crawler: whose signals headers_received and bytes_received are sent, and may
            stop a download.
        most_bytes: size from which a body is given up; 0 = no bound. The request's
            ``download_maxsize`` beats it.
        fail_on_loss: a body that ends before its end is an error, not a flag; the
            request's ``download_fail_on_dataloss`` beats it.
    """

    def __init__(self, crawler: Crawler, *, most_bytes: int, fail_on_loss: bool) -> None:
        self.crawler = crawler
        self.most_bytes = most_bytes
        self.fail_on_loss = fail_on_loss

    async def read(
        self, response: aiohttp.ClientResponse, request: Request, headers: Headers
    ) -> Body:
        """Return the body.

        Raises:
            DownloadCancelledError: it is, or says that it is, too large.
            ResponseDataLossError: it ends before its end.
        """
        body = Body()
        most = int(request.meta.get("download_maxsize", self.most_bytes)) or None
        expected = response.content_length
        # the length of an answer to a HEAD is that of a body which is not sent
        if most and expected and expected > most and request.method != "HEAD":
            raise DownloadCancelledError(f"a body of {expected:,} bytes; {most:,} are read")
        body.stopped = self._stopped(
            signals.headers_received, request, headers=headers, body_length=expected
        )
        try:
            if body.stopped is None:
                await self._read_chunks(body, response.content, request, most)
        except aiohttp.ClientPayloadError as error:
            if request.meta.get("download_fail_on_dataloss", self.fail_on_loss):
                raise ResponseDataLossError("the body ends before its end") from error
            body.flags.append("dataloss")
        return body

    async def _read_chunks(
        self, body: Body, content: aiohttp.StreamReader, request: Request, most: int | None
    ) -> None:
        chunks: list[bytes] = []
        received = 0
        try:
            async for chunk in content.iter_any():
                chunks.append(chunk)
                received += len(chunk)
                body.stopped = self._stopped(signals.bytes_received, request, data=chunk)
                if body.stopped is not None:
                    return
                if most and received > most:
                    chunks.clear()
                    raise DownloadCancelledError(f"a body of more than {most:,} bytes")
        finally:
            body.data = chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _stopped(self, signal: Any, request: Request, **what: Any) -> StopDownload | None:
        """Send a signal; return what a receiver raised to stop the download."""
        results = self.crawler.signals.send_catch_log(
            signal=signal, request=request, spider=self.crawler.spider, **what
        )
        for _, result in results:
            if isinstance(raised := getattr(result, "value", None), StopDownload):
                return raised
        return None
