"""A web server of its own process with many hosts, 127.0.0.2 and on, that logs each request.

``python recording_server.py LOG DELAY_S [CRAWL_DELAY_S]`` prints its port and answers every
address but robots.txt with a page. The log holds a line of JSON for each request: ``{"host",
"path", "asked", "answered"}``, by the machine's monotonic clock; it is whole once the server
has ended, which SIGTERM makes it do. It does one thing at a time and little of it, so that a
request is logged soon after it came.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from asyncio import StreamReader, StreamWriter
from pathlib import Path

LOG = Path(sys.argv[1])
DELAY_S = float(sys.argv[2])
CRAWL_DELAY = sys.argv[3] if len(sys.argv) > 3 else ""
PAGE = b"<p>a page</p>"
ROBOTS = f"User-agent: *\nCrawl-delay: {CRAWL_DELAY}\n".encode() if CRAWL_DELAY else b""
seen: list[dict[str, object]] = []


async def serve(reader: StreamReader, writer: StreamWriter) -> None:
    host = writer.get_extra_info("sockname")[0]
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            asked = time.monotonic()
            path = head.split(b" ", 2)[1].decode()
            await asyncio.sleep(DELAY_S)
            body, status = PAGE, b"200 OK"
            if path == "/robots.txt":
                body, status = ROBOTS, status if ROBOTS else b"404 Not Found"
            # before it is sent: what follows it is not beside it
            answered = time.monotonic()
            seen.append({"host": host, "path": path, "asked": asked, "answered": answered})
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n" % (status, len(body)))
            writer.write(b"Content-Type: text/html\r\n\r\n" + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    server = await asyncio.start_server(serve, "0.0.0.0", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()
    server.close()
    LOG.write_text("".join(json.dumps(line) + "\n" for line in seen))


if __name__ == "__main__":
    asyncio.run(main())
