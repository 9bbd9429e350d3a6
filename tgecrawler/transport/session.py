"""The one client of a crawl: its pool, its bounds, and what it verifies."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

import aiohttp

from tgecrawler.transport.connections import ConnectionCounter
from tgecrawler.transport.guarded_connect import ThreadResolver, open_public_socket, open_socket

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.settings import BaseSettings
    from scrapy.statscollectors import StatsCollector

# A connection is kept for as long as its host does: most close it after 5 to 75 s, which is
# noticed before it is used again; one that does not spares each poll of a feed a handshake.
KEEP_ALIVE_S = 4 * 3600
DNS_TTL_S = 300
DNS_ENTRIES = 10_000

# What Twisted's client takes in one line. Content security policies of 8 to 12 kB are sent by
# real sites; the count bounds what a parser can hold before `HEADERS_BYTES` is looked at.
HEADER_LINE_BYTES = 16_384
HEADER_COUNT = 200
HEADERS_BYTES = 65_536

_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_TLS_VERSIONS = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


class PinnedResponse(aiohttp.ClientResponse):
    """A response that remembers who sent it.

    A short body is read together with its headers, and the connection is back
    in the pool before anybody could ask it.
    """

    peer: str = ""
    certificate: bytes | None = None

    async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        if (transport := connection.transport) is not None:
            self.peer = str((transport.get_extra_info("peername") or ("",))[0])
            if tls := transport.get_extra_info("ssl_object"):
                self.certificate = tls.getpeercert(binary_form=True)
        return await super().start(connection)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What a client is built from."""

    connections: int
    connections_per_host: int
    allow_private: bool
    lookup_timeout_s: float
    tls: ssl.SSLContext

    @classmethod
    def from_settings(cls, settings: BaseSettings) -> Self:
        return cls(
            connections=settings.getint("CONCURRENT_REQUESTS"),
            connections_per_host=settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN"),
            allow_private=settings.getbool("TGE_ALLOW_PRIVATE_NETWORKS"),
            lookup_timeout_s=settings.getfloat("DNS_TIMEOUT"),
            tls=make_tls_context(settings),
        )


def make_tls_context(settings: BaseSettings) -> ssl.SSLContext:
    """Return how connections are verified; DOWNLOAD_VERIFY_CERTIFICATES=0 verifies nothing."""
    context = ssl.create_default_context()
    if not settings.getbool("DOWNLOAD_VERIFY_CERTIFICATES"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if lowest := settings.get("DOWNLOAD_TLS_MIN_VERSION"):
        context.minimum_version = _TLS_VERSIONS[lowest]
    if highest := settings.get("DOWNLOAD_TLS_MAX_VERSION"):
        context.maximum_version = _TLS_VERSIONS[highest]
    context.set_alpn_protocols(["http/1.1"])
    return context


class Client:
    """Holds a crawl's session, which begins with its first request.

    Not before: a session belongs to the loop in which it was made, and that
    need not run yet when the components are built.
    """

    def __init__(self, options: ClientOptions, stats: StatsCollector) -> None:
        self.options = options
        self.stats = stats
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session, made inside the running loop."""
        if self._session is None:
            self._resolver = ThreadResolver(
                allow_private=self.options.allow_private, timeout_s=self.options.lookup_timeout_s
            )
            self._session = self._open_session()
        return self._session

    def _open_session(self) -> aiohttp.ClientSession:
        options = self.options
        connector = aiohttp.TCPConnector(
            limit=options.connections,
            limit_per_host=options.connections_per_host,
            keepalive_timeout=KEEP_ALIVE_S,
            ttl_dns_cache=DNS_TTL_S,
            dns_cache_max_size=DNS_ENTRIES,
            resolver=self._resolver,
            socket_factory=open_socket if options.allow_private else open_public_socket,
            ssl=options.tls,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            response_class=PinnedResponse,
            skip_auto_headers=_NOT_ADDED,
            trust_env=False,
            max_line_size=HEADER_LINE_BYTES,
            max_field_size=HEADER_LINE_BYTES,
            max_headers=HEADER_COUNT,
            trace_configs=[ConnectionCounter(self.stats).trace],
        )

    async def close(self) -> None:
        """Close every connection; a second call does nothing."""
        if self._session is not None and not self._session.closed:
            await self._session.close()
            await self._resolver.close()


_clients: WeakKeyDictionary[Crawler, Client] = WeakKeyDictionary()


def client_of(crawler: Crawler) -> Client:
    """Return the client of a crawler: Scrapy builds a handler a scheme, which share one pool."""
    if crawler not in _clients:
        _clients[crawler] = Client(ClientOptions.from_settings(crawler.settings), crawler.stats)
    return _clients[crawler]
