"""The web of the bench of shared crawls, a process of its own: many hosts, one port, one log.

``python shared_server.py LOG LATENCY_S WORLD`` prints its port and when it started; the world is
JSON of `shared_world.World`. A host is the address that was connected to. It answers after the
latency, and whoever has the feed's ETag with 304; robots.txt is a 404.

A line of the log is a request once it has ended, see `Visit`. It starts when its last bytes
reached the machine: the kernel's own time, so that a busy server does not bring two requests
nearer to each other than they were.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import signal
import socket
import struct
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from shared_world import (
    FEED_PATH,
    World,
    path_of,
    render_feed,
    render_page,
    story_of,
)

SO_TIMESTAMPING = 37  # and the two flags: when it was received, by the machine's clock
RECEIVED = 1 << 3 | 1 << 4
CHUNK = 65_536
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_TAG = re.compile(rb"\r\nif-none-match: *([^\r]+)", re.IGNORECASE)
_WHO = re.compile(rb"\r\nuser-agent:[^\r(]*\(\+([^\r)]*)\)", re.IGNORECASE)


@dataclass(slots=True)
class Visit:
    """A request; moments in seconds of the epoch. `status` 0: it broke off before its answer.

    `parallel`: requests of this host that were under way when it came, itself included.
    `who`: what the worker gave as its contact.
    """

    host: str
    path: str
    who: str
    start_s: float
    end_s: float = 0.0
    status: int = 0
    parallel: int = 1


class Site:
    """A host's feed and pages."""

    def __init__(self, world: World, host: int) -> None:
        self.base = world.base(host)
        self.stories = [story_of(world, host, entry) for entry in range(world.entries)]
        self.pages = {
            path_of(entry): answer(render_page(story, self.base), "text/html; charset=utf-8")
            for entry, story in enumerate(self.stories)
        }
        self.told = 0
        self.feed = b""
        self.tag = b""

    def answer(self, request: bytes, path: str) -> bytes:
        if path != FEED_PATH:
            return self.pages.get(path, NOT_FOUND)
        self._publish(datetime.now(UTC))
        held = _TAG.search(request)
        if held and self.tag in held[1]:
            return b"HTTP/1.1 304 Not Modified\r\nETag: " + self.tag + b"\r\n\r\n"
        return self.feed

    def _publish(self, now: datetime) -> None:
        told = sum(story.published_at <= now for story in self.stories)
        if told != self.told or not self.feed:
            self.told = told
            body = render_feed(self.stories[:told], self.base)
            self.tag = f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"'.encode()
            self.feed = answer(body, "application/rss+xml", self.tag)


def answer(body: bytes, content_type: str, tag: bytes = b"") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + (b"ETag: " + tag + b"\r\n" if tag else b"") + b"\r\n" + body


class Server:
    """Answers on all hosts, and writes the log."""

    def __init__(self, sites: dict[str, Site], log: TextIO, latency_s: float) -> None:
        self.sites = sites
        self.log = log
        self.latency_s = latency_s
        self.under_way: Counter[str] = Counter()

    async def accept(self, address: str, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        talks: set[asyncio.Task[None]] = set()
        while True:
            connection, _ = await loop.sock_accept(listening)
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            talk = asyncio.ensure_future(self.talk(address, connection))
            talks.add(talk)
            talk.add_done_callback(talks.discard)

    async def talk(self, address: str, connection: socket.socket) -> None:
        """Answer the requests of a connection one after the other."""
        received = b""
        try:
            while True:
                data, came_s = await receive(connection)
                if not data:
                    return
                received += data
                while b"\r\n\r\n" in received:
                    request, received = received.split(b"\r\n\r\n", 1)
                    await self.visit(address, connection, request, came_s)
        except OSError:
            pass  # whoever asked was killed
        finally:
            connection.close()

    async def visit(
        self, address: str, connection: socket.socket, request: bytes, came_s: float
    ) -> None:
        path, who = request.split(b" ", 2)[1].decode("latin-1"), _WHO.search(request)
        self.under_way[address] += 1
        visit = Visit(address, path, who[1].decode("latin-1") if who else "", came_s)
        visit.parallel = self.under_way[address]
        try:
            await asyncio.sleep(self.latency_s)
            response = self.sites[address].answer(request, path)
            # before it is sent: what follows an answer is not beside it
            visit.end_s = time.time()
            self.under_way[address] -= 1
            await asyncio.get_running_loop().sock_sendall(connection, response)
            visit.status = int(response[9:12])
        finally:
            self.log.write(json.dumps(asdict(visit)) + "\n")
            self.log.flush()


async def receive(connection: socket.socket) -> tuple[bytes, float]:
    """Return bytes and when the machine had received them; b"" at the end."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            data, told, _, _ = connection.recvmsg(CHUNK, 256)
        except BlockingIOError:
            ready = loop.create_future()
            loop.add_reader(connection, lambda done=ready: done.done() or done.set_result(None))
            try:
                await ready
            finally:
                loop.remove_reader(connection)
            continue
        for level, kind, content in told:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPING):
                seconds, nanoseconds = struct.unpack_from("qq", content)
                return data, seconds + nanoseconds / 1e9
        return data, time.time()


async def serve(world: World, log_file: Path, latency_s: float) -> None:
    listeners = [socket.create_server((world.addresses[0], 0), backlog=512)]
    port = listeners[0].getsockname()[1]
    listeners += [
        socket.create_server((address, port), backlog=512) for address in world.addresses[1:]
    ]
    world = replace(world, port=port, started_s=int(time.time()))
    sites = {address: Site(world, host) for host, address in enumerate(world.addresses)}
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    with log_file.open("w", encoding="utf-8") as log:
        server = Server(sites, log, latency_s)
        accepting = []
        for address, listener in zip(world.addresses, listeners, strict=True):
            listener.setblocking(False)
            # at once, and for what it accepts: the kernel takes a moment to begin with it
            listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RECEIVED)
            accepting.append(asyncio.ensure_future(server.accept(address, listener)))
        print(world.port, world.started_s, flush=True)
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(serve(World(**json.loads(sys.argv[3])), Path(sys.argv[1]), float(sys.argv[2])))
