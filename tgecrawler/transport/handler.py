"""The download handler for http and https."""

from __future__ import annotations

import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self

import yarl
from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.exceptions import DownloadCancelledError, NotSupported
from scrapy.http import Headers
from scrapy.responsetypes import responsetypes

from tgecrawler.domain.addresses import refuse_host
from tgecrawler.scheduling.host_gate import host_key
from tgecrawler.scheduling.process_gate import gate_of_crawler
from tgecrawler.transport.attempt import Attempt
from tgecrawler.transport.body import Body, BodyReader
from tgecrawler.transport.deadlines import deadlines_of
from tgecrawler.transport.failures import scrapy_exceptions
from tgecrawler.transport.refusal import count_refusal
from tgecrawler.transport.session import HEADERS_BYTES, Client, PinnedResponse, client_of

if TYPE_CHECKING:
    import aiohttp
    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response

    from tgecrawler.transport.deadlines import Deadlines
    from tgecrawler.transport.gate import Gate

# About one connection and no part of the answer; gone from Scrapy's own handler as well
_HOP_BY_HOP = frozenset(
    (
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer"),
        *(b"transfer-encoding", b"upgrade"),
    )
)


class GuardedDownloadHandler(BaseDownloadHandler):
    """Fetches what may be fetched, in its turn and within its deadlines.

    Options: TGE_ALLOW_PRIVATE_NETWORKS; Scrapy's CONCURRENT_REQUESTS,
    CONCURRENT_REQUESTS_PER_DOMAIN, DOWNLOAD_MAXSIZE, DOWNLOAD_FAIL_ON_DATALOSS,
    DOWNLOAD_VERIFY_CERTIFICATES, DOWNLOAD_TLS_MIN_VERSION and _MAX_VERSION,
    DNS_TIMEOUT. ``request.meta``: ``kind``, ``download_timeout``,
    ``download_maxsize`` and ``download_fail_on_dataloss``; ``download_latency``
    is set. A wait for `gate` counts neither as latency nor against a deadline.

    Proxies are not supported: behind one, nobody here could tell where a name
    leads.
    """

    lazy = True

    def __init__(self, crawler: Crawler, client: Client, gate: Gate, bodies: BodyReader) -> None:
        super().__init__(crawler)
        self.client = client
        self.gate = gate
        self.bodies = bodies

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        settings = crawler.settings
        bodies = BodyReader(
            crawler,
            most_bytes=settings.getint("DOWNLOAD_MAXSIZE"),
            fail_on_loss=settings.getbool("DOWNLOAD_FAIL_ON_DATALOSS"),
        )
        return cls(crawler, client_of(crawler), gate_of_crawler(crawler), bodies)

    async def download_request(self, request: Request) -> Response:
        """Return the response to a request.

        Raises:
            RequestRefused: its host is, or resolves to, what must not be reached.
            NotSupported: it asks for a proxy.
            Exception: those of `scrapy_exceptions` and `BodyReader.read`.
        """
        if request.meta.get("proxy"):
            raise NotSupported("requests through a proxy are not sent")
        # sent as Scrapy wrote it: no second parser changes what the guard has seen
        url = yarl.URL(request.url, encoded=True)
        allowed = self.client.options.allow_private
        if reason := refuse_host(url.raw_host or "", allow_private=allowed):
            raise count_refusal(reason, self.crawler.stats)
        async with self.gate.turn(host_key(request.url)) as turn:
            deadlines = deadlines_of(request.meta)
            with scrapy_exceptions(deadlines, self.crawler.stats):
                return await self._fetch(request, url, deadlines, Attempt(turn))

    async def _fetch(
        self, request: Request, url: yarl.URL, deadlines: Deadlines, attempt: Attempt
    ) -> Response:
        started = time.monotonic()
        async with self.client.session.request(
            request.method,
            url,
            data=request.body or None,
            headers=_headers_of(request),
            allow_redirects=False,
            timeout=deadlines.timeout,
            trace_request_ctx=attempt,
            middlewares=(attempt,),
        ) as response:
            request.meta["download_latency"] = time.monotonic() - started
            headers = _read_headers(response)
            body = await self.bodies.read(response, request, headers)
            return _make_response(response, request, headers, body)

    async def close(self) -> None:
        await self.client.close()


def _headers_of(request: Request) -> list[tuple[str, str]]:
    headers = request.headers.to_tuple_list()
    return [(name, value) for name, value in headers if name != "Proxy-Authorization"]


def _read_headers(response: aiohttp.ClientResponse) -> Headers:
    size = sum(len(name) + len(value) for name, value in response.raw_headers)
    if size > HEADERS_BYTES:
        raise DownloadCancelledError(f"headers of {size:,} bytes; {HEADERS_BYTES:,} are read")
    return Headers([pair for pair in response.raw_headers if pair[0].lower() not in _HOP_BY_HOP])


def _make_response(
    response: aiohttp.ClientResponse, request: Request, headers: Headers, body: Body
) -> Response:
    url = request.url.partition("#")[0]
    made = responsetypes.from_args(headers=headers, url=url, body=body.data)(
        url=url,
        status=response.status,
        headers=headers,
        body=body.data,
        flags=body.flags,
        protocol=_protocol_of(response),
        **_sender_of(response),
    )
    if body.stopped is not None:
        made.flags.append("download_stopped")
        if body.stopped.fail:
            body.stopped.response = made
            raise body.stopped
    return made


def _protocol_of(response: aiohttp.ClientResponse) -> str:
    version = response.version
    return f"HTTP/{version.major}.{version.minor}" if version else "HTTP/1.1"


def _sender_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    if not isinstance(response, PinnedResponse) or not response.peer:
        return {}
    return {"ip_address": ip_address(response.peer), "certificate": response.certificate}
