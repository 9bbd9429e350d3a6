"""The simulated world's server: every host in one process, in virtual time, with a log.

``python server.py CLOCK SOCKET LOG PLAN`` prints its port. One listening socket per
host, on one port; a host that is down has none. On the Unix socket the client's event
loop asks the server to settle until a moment (see `warped_loop.ServerLink`): all that has
arrived is taken in, then the clock goes on to what is due here until something was sent.
The answer is the moment of the next thing that happens here.

Single-threaded and by hand over epoll, so that what is in the log is what was on the
wire: one line per request and one per connection, in `access_log`'s form.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import Any

from access_log import Connection, Request, write_line
from site_answers import Answer, Answers
from virtual_clock import NS, VirtualClock
from warped_loop import NEVER
from world import START_AT, Host, Plan, World, build_world

BACKLOG = 64
PIECE = 65536
DRIP_EVERY_S = 1.0
_MOMENT = struct.Struct("<q")
_RESET = struct.pack("ii", 1, 0)  # linger of no time: closing sends RST


class Server:
    """All hosts."""

    def __init__(self, world: World, clock: VirtualClock, control: str, log: Path) -> None:
        self.world = world
        self.clock = clock
        self.selector = DefaultSelector()
        self.log = log.open("a", encoding="utf-8", buffering=1 << 16)
        self.numbers = itertools.count(1)
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._start_ns = int(START_AT.timestamp()) * NS
        self._listening: dict[str, socket.socket] = {}
        self._open: set[Client] = set()
        self._link: socket.socket | None = None
        self._asked_until_ns = 0
        self.acted = False  # since its last answer: the client has something to read
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._control.bind(control)
        self._control.listen()
        self.selector.register(self._control, EVENT_READ, self._take_link)
        self.port = self._listen_everywhere()
        self.answers = Answers(world, self.port)

    @property
    def now_s(self) -> float:
        """Seconds since the day began."""
        return (self.clock.now_ns - self._start_ns) / NS

    def at(self, moment_s: float, action: Callable[[], None]) -> None:
        """Do something at a moment, in the order in which it was asked for."""
        moment_ns = self._start_ns + round(moment_s * NS)
        heapq.heappush(self._due, (moment_ns, next(self.numbers), action))

    def run(self) -> None:
        """Serve until SIGTERM."""
        while True:
            self._handle(self.selector.select(None if not self._is_due() else 0))
            if self._asked_until_ns:
                self._settle()

    def close(self) -> None:
        for client in list(self._open):
            client.close()
        self.log.close()

    def _is_due(self) -> bool:
        return bool(self._due) and self._due[0][0] <= self.clock.now_ns

    def _settle(self) -> None:
        """Take in all there is and do what is due, then tell when to wake this server."""
        while (ready := self.selector.select(0)) or self._is_due() or self._may_go_on():
            self._handle(ready)
        self._asked_until_ns, self.acted = 0, False
        next_ns = self._due[0][0] if self._due else NEVER
        if self._link is not None:
            self._link.sendall(_MOMENT.pack(next_ns))

    def _may_go_on(self) -> bool:
        """Move the clock to what is due next, if the client has nothing to do until then."""
        if self.acted or not self._due or self._due[0][0] > self._asked_until_ns:
            return False
        self.clock.advance_to(self._due[0][0])
        return True

    def _handle(self, ready: list[Any]) -> None:
        # what ends comes before what begins: a connection is closed before its successor opens
        for key, mask in sorted(ready, key=lambda one: one[0].data == self._accept_from):
            key.data(key.fileobj, mask)
        while self._is_due():
            heapq.heappop(self._due)[2]()

    def _take_link(self, control: socket.socket, mask: int) -> None:
        self._link, _ = control.accept()
        self.selector.register(self._link, EVENT_READ, self._take_question)

    def _take_question(self, link: socket.socket, mask: int) -> None:
        question = link.recv(_MOMENT.size, socket.MSG_WAITALL)
        if question:
            self._asked_until_ns = _MOMENT.unpack(question)[0]
        else:
            self.selector.unregister(link)
            link.close()
            self._link = None

    def _listen_everywhere(self) -> int:
        hosts = list(self.world.hosts.values())
        port = self._listen(hosts[0], 0)
        for host in hosts:
            if host is not hosts[0] and not _is_down(host, 0.0):
                self._listen(host, port)
            if host.fault is not None and host.fault.kind == "down":
                self.at(host.fault.from_s, lambda host=host: self._go_down(host))
                self.at(host.fault.until_s, lambda host=host: self._listen(host, port))
        return port

    def _listen(self, host: Host, port: int) -> int:
        listener = socket.create_server((host.address, port), backlog=BACKLOG)
        listener.setblocking(False)
        self._listening[host.address] = listener
        self.selector.register(listener, EVENT_READ, self._accept_from)
        found: int = listener.getsockname()[1]
        return found

    def _go_down(self, host: Host) -> None:
        listener = self._listening.pop(host.address, None)
        if listener is not None:
            self.selector.unregister(listener)
            listener.close()
        for client in [one for one in self._open if one.host is host]:
            client.reset()

    def _accept_from(self, listener: socket.socket, mask: int) -> None:
        try:
            accepted, _ = listener.accept()
        except BlockingIOError:
            return
        host = self.world.hosts[accepted.getsockname()[0]]
        self._open.add(Client(self, accepted, host, next(self.numbers)))

    def forget(self, client: Client) -> None:
        self._open.discard(client)


class Client:
    """One connection: a request at a time, answered when its latency is over."""

    def __init__(self, server: Server, sock: socket.socket, host: Host, number: int) -> None:
        self.server, self.host, self._socket = server, host, sock
        self._number = number
        self._opened_s = server.now_s
        self._received = bytearray()
        self._unsent = bytearray()
        self._request: Request | None = None
        self._answered = 0
        self._dripping = False
        self._closed = False
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.selector.register(sock, EVENT_READ, self._ready)
        self._expect_idle()

    def close(self) -> None:
        """Close, and log what was open."""
        if self._closed:
            return
        self._closed = self.server.acted = True
        self._finish(whole=False)
        self.server.selector.unregister(self._socket)
        self._socket.close()
        self.server.forget(self)
        line = Connection(self._number, self.host.address, self._opened_s, self.server.now_s)
        write_line(self.server.log, line)

    def reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close()

    def _ready(self, sock: socket.socket, mask: int) -> None:
        if self._closed:
            return
        if mask & EVENT_WRITE:
            self._send()
        if mask & EVENT_READ and not self._closed:
            self._receive()

    def _receive(self) -> None:
        try:
            piece = self._socket.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.close()
            return
        self._received += piece
        self._next_request()

    def _next_request(self) -> None:
        head, end, rest = bytes(self._received).partition(b"\r\n\r\n")
        if self._request is not None or not end:
            return
        self._received = bytearray(rest)
        first, *lines = head.decode("latin-1").split("\r\n")
        path = first.split(" ")[1]
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        self._begin(path, headers)

    def _begin(self, path: str, headers: dict[str, str]) -> None:
        now_s = self.server.now_s
        sent_s = now_s + self.host.latency_s
        answer = self.server.answers.answer(self.host.address, path, headers, sent_s)
        self._request = Request(
            connection=self._number,
            nth=self._answered + 1,
            host=self.host.address,
            path=path,
            kind=answer.kind,
            start_s=now_s,
            end_s=now_s,
            status=answer.status,
            body_bytes=len(answer.body),
            if_none_match=headers.get("if-none-match", ""),
            if_modified_since=headers.get("if-modified-since", ""),
            retry_at_s=answer.retry_at_s,
        )
        closing = headers.get("connection", "").lower() == "close"
        self.server.at(sent_s, lambda: self._answer(answer, closing))

    def _answer(self, answer: Answer, closing: bool) -> None:
        if self._closed or answer.manner == "hang":
            return
        if answer.manner == "reset":
            self.reset()
            return
        self._unsent += _head(answer, closing)
        if answer.manner == "drip":
            self._dripping = True  # until the client has had enough
            self._drip(answer.body)
        else:
            self._unsent += answer.body
        self._send()

    def _drip(self, rest: bytes) -> None:
        if self._closed or not rest:
            return
        self._unsent += rest[:1]
        self._send()
        self.server.at(self.server.now_s + DRIP_EVERY_S, lambda: self._drip(rest[1:]))

    def _send(self) -> None:
        try:
            self.server.acted = True
            sent = self._socket.send(self._unsent) if self._unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        del self._unsent[:sent]
        wanted = EVENT_READ | (EVENT_WRITE if self._unsent else 0)
        self.server.selector.modify(self._socket, wanted, self._ready)
        if not self._unsent:
            self._finish(whole=True)

    def _finish(self, *, whole: bool) -> None:
        request = self._request
        if request is None or (whole and self._dripping):
            return
        self._request = None
        self._answered += 1
        request.end_s, request.whole = self.server.now_s, whole
        write_line(self.server.log, request)
        if whole:
            self._expect_idle()
            self._next_request()

    def _expect_idle(self) -> None:
        """Close the connection once it has been idle for the plan's time."""
        answered = self._answered
        until_s = self.server.now_s + self.server.world.plan.keep_alive_s

        def close_if_idle() -> None:
            if self._answered == answered and self._request is None:
                self.close()

        self.server.at(until_s, close_if_idle)


def _is_down(host: Host, moment_s: float) -> bool:
    fault = host.fault
    return fault is not None and fault.kind == "down" and fault.from_s <= moment_s < fault.until_s


_REASONS = {200: "OK", 301: "Moved Permanently", 302: "Found", 304: "Not Modified"}


def _head(answer: Answer, closing: bool) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Other')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if answer.status != 304:
        lines.append(f"Content-Length: {len(answer.body)}")
    lines.append(f"Connection: {'close' if closing else 'keep-alive'}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def main(clock: str, control: str, log: str, plan: str) -> None:
    world = build_world(Plan(**json.loads(plan)))
    server = Server(world, VirtualClock(Path(clock)), control, Path(log))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(server.port, flush=True)
    try:
        server.run()
    finally:
        server.close()
        os.unlink(control)


if __name__ == "__main__":
    main(*sys.argv[1:])
