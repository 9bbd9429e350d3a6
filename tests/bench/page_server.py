"""A server of made pages in a process of its own: ``page_server.py COUNT`` prints its port.

HTTP/1.1 with keep-alive, every body packed with gzip beforehand, so that it is never
what the crawl waits for. ``/sitemap.xml`` names the pages, without their titles.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
from datetime import UTC, datetime

from made_pages import make_page

SITEMAP = (
    '<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{}</urlset>'
)
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Served(asyncio.Protocol):
    """One connection; answers each request as soon as its head is there."""

    answers: dict[bytes, bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            self.transport.write(self.answers.get(head.split(b" ", 2)[1], NOT_FOUND))


def answer(body: str, content_type: str) -> bytes:
    packed = gzip.compress(body.encode(), 6)
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Encoding: gzip\r\n"
        f"Content-Length: {len(packed)}\r\n\r\n"
    )
    return head.encode() + packed


async def serve(count: int) -> None:
    published = datetime.now(UTC).isoformat(timespec="seconds")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Served, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    urls = "".join(f"<url><loc>http://127.0.0.1:{port}/p/{at}</loc></url>" for at in range(count))
    Served.answers = {
        f"/p/{at}".encode(): answer(make_page(at, published), "text/html; charset=utf-8")
        for at in range(count)
    }
    Served.answers[b"/sitemap.xml"] = answer(SITEMAP.format(urls), "application/xml")
    print(port, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
