"""A way to Redis that is longer: ``delaying_proxy.py PORT DELAY_MS`` prints its own port.

What comes from either side is passed on half the delay later. Threads sleep for it, since
event loops count in whole milliseconds.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time


def carry(source: socket.socket, target: socket.socket, delay_s: float) -> None:
    """Pass on what comes from one side, in two threads, until it ends."""
    on_the_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def receive() -> None:
        data = b"-"
        while data:
            try:
                data = source.recv(1 << 18)
            except OSError:
                data = b""
            on_the_way.put((time.monotonic() + delay_s, data))

    def send() -> None:
        while True:
            due_s, data = on_the_way.get()
            if (left_s := due_s - time.monotonic()) > 0:
                time.sleep(left_s)
            try:
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)
            except OSError:
                return

    for run in (receive, send):
        threading.Thread(target=run, daemon=True).start()


def serve(port: int, delay_ms: float) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            client, _ = server.accept()
            redis = socket.create_connection(("127.0.0.1", port))
            for end in (client, redis):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            carry(client, redis, delay_ms / 2000)
            carry(redis, client, delay_ms / 2000)


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
