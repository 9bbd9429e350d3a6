"""A server of a tree of small pages in a process of its own: ``tree_server.py COUNT [LOG]``.

Prints its port. ``/t/N`` is page N; it links to the pages ``4 N + 1`` to ``4 N + 4``, as far
as they are below COUNT, and twice to itself. HTTP/1.1 with keep-alive. Some ways to a page
are longer, for whoever takes them: ``/hop/N`` redirects to it, ``/flaky/N`` answers 503 to
the first request, ``/slow/N`` waits for 50 ms. With a LOG each request's path is a line of it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import BinaryIO, ClassVar

FILLING = "<p>Nothing on this page is of any interest to anybody, and so it is short.</p>\n" * 20
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
SLOW_S = 0.05


class Tree(asyncio.Protocol):
    """One connection; answers each request as soon as its head is there."""

    log: ClassVar[BinaryIO | None] = None
    refused: ClassVar[set[bytes]] = set()
    pages: ClassVar[dict[int, bytes]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            if self.log is not None:
                self.log.write(path + b"\n")
                self.log.flush()
            self.answer(path)

    def answer(self, path: bytes) -> None:
        _, kind, number = path.split(b"/")
        answer = self.pages.get(int(number), NOT_FOUND)
        if kind == b"hop":
            answer = b"HTTP/1.1 302 Found\r\nLocation: /t/%b\r\nContent-Length: 0\r\n\r\n" % number
        elif kind == b"flaky" and path not in self.refused:
            self.refused.add(path)
            answer = UNAVAILABLE
        if kind == b"slow":
            asyncio.get_running_loop().call_later(SLOW_S, self.transport.write, answer)
        else:
            self.transport.write(answer)


def page(number: int, count: int) -> bytes:
    children = [child for child in range(4 * number + 1, 4 * number + 5) if child < count]
    links = "".join(f'<a href="/t/{one}">{one}</a>\n' for one in (*children, number, number))
    body = f"<html><title>{number}</title><body>{links}{FILLING}</body></html>".encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def serve(count: int, log: str | None) -> None:
    Tree.pages = {number: page(number, count) for number in range(count)}
    Tree.log = Path(log).open("ab") if log else None  # noqa: SIM115 - until the process ends
    server = await asyncio.get_running_loop().create_server(Tree, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
