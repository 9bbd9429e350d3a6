"""The web of the cycle benchmark, a process of its own: 21 hosts that answer after a latency.

``python cycle_server.py LATENCY_S`` prints its port, which is the same on 127.0.1.1 to
127.0.1.21 (a feed and its pages each) and on 127.0.0.1, where ``GET /counts`` returns what the
hosts were asked since the last time, and forgets it. A host is the address that was connected
to, whatever a request says. Feeds and pages bear ETags and go gzipped; robots.txt is a 404.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
import sys
from collections import Counter
from datetime import UTC, datetime
from functools import partial

from cycle_world import ENTRIES, FEED_PATH, FEEDS, render_feed, render_page, story_of

DESK = "127.0.0.1"  # where the counts are asked for
HOSTS = [f"127.0.1.{number + 1}" for number in range(FEEDS)]
_TAG = re.compile(rb"\r\nif-none-match: *([^\r]+)", re.IGNORECASE)
_PACKED = re.compile(rb"\r\naccept-encoding:[^\r]*\bgzip\b", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close\b", re.IGNORECASE)


class Document:
    """What an address answers: a feed or a page, plain and packed."""

    def __init__(self, kind: str, content_type: str, body: bytes) -> None:
        self.kind = kind
        self.content_type = content_type
        self.body = body
        self.packed = gzip.compress(body, compresslevel=6, mtime=0)
        self.etag = f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"'

    def answer(self, request: bytes) -> tuple[int, bytes]:
        """Return a status and what follows the status line."""
        head = f"ETag: {self.etag}\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n"
        held = _TAG.search(request)
        if held and self.etag.encode() in held[1]:
            return 304, f"{head}\r\n".encode()
        packed = _PACKED.search(request) is not None
        body = self.packed if packed else self.body
        head += f"Content-Type: {self.content_type}\r\nContent-Length: {len(body)}\r\n"
        return 200, (head + "Content-Encoding: gzip\r\n" * packed + "\r\n").encode() + body


class Host:
    """A host's documents, and what was asked of it."""

    def __init__(self, documents: dict[str, Document]) -> None:
        self.documents = documents
        self.open = 0
        self.forget()

    def forget(self) -> None:
        self.asked: Counter[str] = Counter()
        self.unchanged: Counter[str] = Counter()
        self.connections = 0
        self.parallel = self.open  # most connections at a time

    def connected(self) -> None:
        self.connections += 1
        self.open += 1
        self.parallel = max(self.parallel, self.open)

    def answer(self, request: bytes) -> bytes:
        """Return the whole response to a request."""
        path = request.split(b" ", 2)[1].decode("latin-1")
        document = self.documents.get(path)
        if document is None:
            self.asked["robots" if path == "/robots.txt" else "other"] += 1
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        status, rest = document.answer(request)
        self.asked[document.kind] += 1
        self.unchanged[document.kind] += status == 304
        return f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not Modified'}\r\n".encode() + rest

    def counts(self) -> dict[str, object]:
        return {
            "asked": self.asked,
            "unchanged": self.unchanged,
            "connections": self.connections,
            "parallel": self.parallel,
        }


class Connection(asyncio.Protocol):
    """Answers the requests of a connection one after the other, each after the latency."""

    def __init__(self, host: Host, latency_s: float) -> None:
        self.host, self.latency_s = host, latency_s
        self.received = b""
        self.answering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.host.connected()

    def connection_lost(self, error: Exception | None) -> None:
        self.host.open -= 1

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.take_next()

    def take_next(self) -> None:
        if not self.answering and b"\r\n\r\n" in self.received:
            request, self.received = self.received.split(b"\r\n\r\n", 1)
            self.answering = True
            asyncio.get_running_loop().call_later(self.latency_s, self.send, request)

    def send(self, request: bytes) -> None:
        self.answering = False
        self.transport.write(self.host.answer(request))
        if _CLOSE.search(request):
            self.transport.close()
        self.take_next()


class Desk(asyncio.Protocol):
    """Tells what all hosts were asked, and forgets it."""

    def __init__(self, hosts: dict[str, Host]) -> None:
        self.hosts = hosts

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        body = json.dumps({name: host.counts() for name, host in self.hosts.items()}).encode()
        for host in self.hosts.values():
            host.forget()
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()


def documents_of(feed: int, base: str, now: datetime) -> dict[str, Document]:
    stories = [story_of(feed, entry, now) for entry in range(ENTRIES)]
    pages = {
        story.path: Document("page", "text/html; charset=utf-8", render_page(story, base))
        for story in stories
    }
    return {
        FEED_PATH: Document("feed", "application/rss+xml", render_feed(feed, base, now)),
        **pages,
    }


async def listen(latency_s: float) -> None:
    loop = asyncio.get_running_loop()
    hosts: dict[str, Host] = {}
    desk = await loop.create_server(lambda: Desk(hosts), DESK, 0)
    port = desk.sockets[0].getsockname()[1]
    now = datetime.now(UTC).replace(microsecond=0)
    for feed, address in enumerate(HOSTS):
        host = hosts[address] = Host(documents_of(feed, f"http://{address}:{port}", now))
        await loop.create_server(partial(Connection, host, latency_s), address, port)
    print(port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(listen(float(sys.argv[1])))
