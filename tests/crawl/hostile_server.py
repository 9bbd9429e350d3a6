"""A web server of its own process that does what servers should not; prints its port.

``python hostile_server.py LOG [PEM]`` listens on every loopback address, so that
each of them can play a host; with a certificate and its key, by TLS. LOG gets a
JSON line a connection and a request:
``{"at", "host", "path", "event": "connected" | "asked" | "answered" | "left"}``.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import ssl
import sys
import time
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from html import escape
from pathlib import Path

import brotli
from backports import zstd

Send = Callable[[bytes], Awaitable[None]]
EXPANDED = 100 * 2**20  # of a bomb; a thousandth of it and less crosses the wire
DRIP_S = 1.0  # between two bytes of a slow host
LATE_S = 0.1
TITLE = "Nimbus Protocol announces launch of its NIMB token on October 20"


def rss(items: str, head: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?>{head}<rss version="2.0"><channel><title>t</title>{items}'
        "</channel></rss>"
    ).encode()


def item(link: str, title: str = TITLE) -> str:
    now = format_datetime(datetime.now(UTC))
    return f"<item><title>{title}</title><link>{link}</link><pubDate>{now}</pubDate></item>"


def page(path: str) -> bytes:
    story = f"Nimbus Protocol will launch its native token NIMB on October 20, says {path}. "
    return (
        f"<html><head><title>{TITLE}</title></head><body><article><h1>{TITLE}</h1>"
        f"<p>{story * 3}</p></article></body></html>"
    ).encode()


def just_taken(unit: bytes) -> bytes:
    return page("large") + unit * ((3 * 2**20 - 2_000) // len(unit))


@lru_cache
def bomb(kind: str) -> bytes:
    plain = b"<p>" + b" " * EXPANDED
    packed = {
        "gzip": gzip.compress,
        "br": lambda data: brotli.compress(data, quality=5),
        "zstd": zstd.compress,
        "deflate": zlib.compress,
    }
    for name in kind.split(","):
        plain = packed[name](plain)
    return plain


@lru_cache
def packed_page() -> bytes:
    words = (hashlib.sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(700))
    text = "".join(f"<p class='paragraph of the story'>{word} {word} {word}</p>" for word in words)
    return gzip.compress(f"<html><body>{text}</body></html>".encode())


@lru_cache
def xml_of(kind: str) -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    laughs = f'<!DOCTYPE r [<!ENTITY l0 "{"ha" * 50}">{entities}]>'
    quadratic = f'<!DOCTYPE r [<!ENTITY a "{"a" * 50_000}">]>'
    return {
        "laughs": lambda: rss(item("http://a.example/", "&l9;"), laughs),
        "quadratic": lambda: rss(item("http://a.example/", "&a;" * 50_000), quadratic),
        "external": lambda: rss(
            item("http://a.example/", "&f;"), '<!DOCTYPE r [<!ENTITY f SYSTEM "/etc/passwd">]>'
        ),
        "items": lambda: rss("<item/>" * 1_000_000),
        "title": lambda: rss(item("http://a.example/", "a" * 10_000_000)),
        "title/just": lambda: rss(item("http://a.example/", "a" * 2_620_000)),  # just taken
        "items/just": lambda: rss("<item/>" * 374_000),
        "deep": lambda: rss("<a>" * 100_000),
        # the largest that are taken, about the same token, so that somebody reads them
        "attributes": lambda: just_taken(b"<a %s>" % b" ".join(b"%c" % n for n in range(97, 123))),
        "latin": lambda: just_taken("Vue générale; ".encode("latin-1")),
        "deep-html": lambda: b"<html><body>" + b"<div>" * 100_000 + b"deep",
    }[kind]()


def listed(kind: str) -> list[str]:
    """Return the addresses that the test has put beside the log."""
    name = "pages.json" if kind == "pages" else "links.json"
    found: list[str] = json.loads(Path(sys.argv[1]).with_name(name).read_text())
    return found


def sitemap(kind: str, links: list[str]) -> bytes:
    outer, inner = ("sitemapindex", "sitemap") if kind == "sitemaps" else ("urlset", "url")
    rows = "".join(f"<{inner}><loc>{escape(link)}</loc></{inner}>" for link in links)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return f'<?xml version="1.0"?><{outer} xmlns="{space}">{rows}</{outer}>'.encode()


def in_a_line(target: str) -> bytes:
    return target.encode().replace(b"\r", b"").replace(b"\n", b"").replace(b"\x00", b"")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


async def answer(path: str, send: Send, base: str) -> bool:
    """Answer one request; return whether the connection may be used again."""
    _, kind, *rest = path.split("/")
    if kind == "slow-headers":
        await drip(send, HEAD + b"Content-Length: 0\r\n\r\n")
    elif kind == "slow-body":
        await send(HEAD + b"Content-Length: 100000\r\n\r\n")
        await drip(send, b"x" * 100_000)
    elif kind == "late":  # a healthy host, as far away as most are
        await asyncio.sleep(LATE_S)
        await send(whole_answer("feed", rest, base))
        return True
    elif kind == "silent":
        await asyncio.sleep(3600)
    elif kind == "endless":
        await send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            await send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    elif kind == "continue":
        while True:
            await send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await asyncio.sleep(0.01)
    elif kind == "header-endless":
        await send(HEAD + b"X: ")
        while True:
            await send(b"x" * 65536)
    elif kind == "truncated":
        await send(HEAD + b"Content-Length: 1000\r\n\r\nonly this")
    elif kind == "hangup":
        pass
    else:
        await send(whole_answer(kind, rest, base))
        return kind not in ("close", "rebind")
    return False


def whole_answer(kind: str, rest: list[str], base: str) -> bytes:
    name, head, body = rest[0] if rest else "", HEAD, b""
    if kind == "bomb":
        head, body = head + f"Content-Encoding: {name}\r\n".encode(), bomb(name)
    elif kind == "xml":
        head, body = head.replace(b"text/html", b"application/xml"), xml_of("/".join(rest))
    elif kind == "feed":
        body = rss("".join(item(f"{base}/page/{name}-{number}") for number in range(2)))
    elif kind == "links":  # a feed whose entries lead to what the name lists
        body = rss("".join(item(f"{base}/{link.replace('~', '/')}") for link in name.split("+")))
    elif kind == "large":
        return head + b"Content-Length: 10000000000\r\n\r\n" + b"x" * 100_000
    elif kind == "header-line":
        head += b"X-Long: " + b"x" * int(name) + b"\r\n"
    elif kind == "header-flood":
        head += b"".join(b"X-%d: %s\r\n" % (n, b"x" * 900) for n in range(int(name)))
    elif kind == "packed":  # a page as most are: 150 kB of markup in 30 kB
        head, body = head + b"Content-Encoding: gzip\r\n", packed_page()
    elif kind in ("listed", "pages"):
        body = rss("".join(item(escape(link)) for link in listed(kind)))
    elif kind in ("sitemaps", "sitemap-pages"):
        body = sitemap(kind, listed("listed"))
    elif kind == "to" and "-" in name:  # N-HOPS: hops to the Nth of the list
        at, _, hops = name.partition("-")
        left = int(hops) - 1
        target = f"/to/{at}-{left}" if left else listed("listed")[int(at)]
        head = b"HTTP/1.1 302 Found\r\nLocation: " + in_a_line(target) + b"\r\n"
    elif kind == "rebind":
        head += b"Connection: close\r\n"
        body = rss(item(f"http://n{name}.rebind.example:{base.rpartition(':')[2]}/page/{name}"))
    elif kind == "loop":
        head = f"HTTP/1.1 302 Found\r\nLocation: {base}/loop/{int(name) + 1}\r\n".encode()
    elif kind == "self":
        head = f"HTTP/1.1 301 Moved\r\nLocation: {base}/self\r\n".encode()
    elif kind == "garbage":
        return b"\x00\xff not HTTP at all\r\n\r\n"
    elif kind == "close":
        head, body = head + b"Connection: close\r\n", page(name)
    else:
        body = page(f"{kind}/{name}")
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def drip(send: Send, data: bytes) -> None:
    for at in range(len(data)):
        await send(data[at : at + 1])
        await asyncio.sleep(DRIP_S)


class Server:
    def __init__(self, log: Path) -> None:
        self.log = log.open("a", encoding="utf-8", buffering=1)

    def note(self, host: str, path: str, event: str) -> None:
        line = {"at": time.time(), "host": host, "path": path, "event": event}
        self.log.write(json.dumps(line) + "\n")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = writer.get_extra_info("sockname")
        self.note(host, "", "connected")

        async def send(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        again, path = True, ""
        try:
            while again:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode()
                self.note(host, path, "asked")
                again = await answer(path, send, f"http://{host}:{port}")
                self.note(host, path, "answered")
        except (asyncio.IncompleteReadError, ConnectionError):
            self.note(host, path, "left")
        finally:
            writer.close()


async def main() -> None:
    tls = None
    if len(sys.argv) > 2:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(sys.argv[2])
    server = await asyncio.start_server(
        Server(Path(sys.argv[1])).serve, "0.0.0.0", 0, backlog=1024, ssl=tls
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
