"""A web server of its own process with many hosts, 127.0.0.2 and on, that logs each request.

``python recording_server.py LOG DELAY_S [CRAWL_DELAY_S]`` prints its port and answers every
address but robots.txt with a page. The log holds a line of JSON for each request: ``{"host",
"path", "asked", "answered"}``, seconds of the epoch; it is whole once the server has ended,
which SIGTERM makes it do. A request was asked when its bytes reached the machine: the kernel's
own time, so that a busy server does not bring two requests nearer to each other.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import struct
import sys
import time
from pathlib import Path

LOG = Path(sys.argv[1])
DELAY_S = float(sys.argv[2])
CRAWL_DELAY = sys.argv[3] if len(sys.argv) > 3 else ""
PAGE = b"<p>a page</p>"
ROBOTS = f"User-agent: *\nCrawl-delay: {CRAWL_DELAY}\n".encode() if CRAWL_DELAY else b""
SO_TIMESTAMPING = 37  # and the two flags: when it was received, by the machine's clock
RECEIVED = 1 << 3 | 1 << 4
CHUNK = 65_536
seen: list[dict[str, object]] = []


async def talk(connection: socket.socket) -> None:
    """Answer the requests of a connection; none of them comes before the last is answered."""
    host, loop = connection.getsockname()[0], asyncio.get_running_loop()
    try:
        while True:
            head, asked = await receive(connection)
            if not head:
                return
            while not head.endswith(b"\r\n\r\n"):
                head += (await receive(connection))[0]
            path = head.split(b" ", 2)[1].decode()
            await asyncio.sleep(DELAY_S)
            body, status = PAGE, b"200 OK"
            if path == "/robots.txt":
                body, status = ROBOTS, status if ROBOTS else b"404 Not Found"
            # before it is sent: what follows it is not beside it
            seen.append({"host": host, "path": path, "asked": asked, "answered": time.time()})
            lines = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n" % (status, len(body))
            await loop.sock_sendall(connection, lines + b"Content-Type: text/html\r\n\r\n" + body)
    except OSError:
        pass
    finally:
        connection.close()


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
        assert not data, "the kernel told no time"
        return data, 0.0


async def main() -> None:
    loop = asyncio.get_running_loop()
    listening = socket.create_server(("0.0.0.0", 0), backlog=512)
    # what it accepts inherits it: a request may be there before its connection is accepted
    listening.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RECEIVED)
    listening.setblocking(False)
    talks: set[asyncio.Task[None]] = set()

    async def accept() -> None:
        while True:
            connection, _ = await loop.sock_accept(listening)
            connection.setblocking(False)
            talks.add(asyncio.ensure_future(talk(connection)))

    accepting = asyncio.ensure_future(accept())
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    print(listening.getsockname()[1], flush=True)
    await ended.wait()
    accepting.cancel()
    LOG.write_text("".join(json.dumps(line) + "\n" for line in seen))


if __name__ == "__main__":
    asyncio.run(main())
