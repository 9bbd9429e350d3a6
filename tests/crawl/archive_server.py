"""A web server of its own process with answers of every make; prints its port."""

from __future__ import annotations

import gzip
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import brotli

TEXT = b"<html><body><p>Quillon opens its testnet to everyone. </p></body></html>" * 40
SIZED = b"Content-Length: %d\r\n\r\n"
PAGES = {
    "/gzip": b"200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n",
    "/brotli": b"200 OK\r\nContent-Type: text/html\r\nContent-Encoding: br\r\n",
    "/moved": b"302 Found\r\nLocation: /gzip\r\n",
    "/moved-raw": b"301 Moved\r\nLocation: /caf\xc3\xa9?q=\xc3\xbc&r=%2f\r\n",
    "/gone": b"404 Not Found\r\nContent-Type: text/html; charset=utf-8\r\n",
    "/broken": b"503 Service Unavailable\r\nRetry-After: 5\r\n",
    "/cookies": b"200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\n",
    "/odd": (
        b"200\r\nx-lOwEr: kept\r\nX-Latin: caf\xe9\r\nX-Empty:\r\nX-Colons: a: b: c\r\n"
        b"a line without a colon\r\nX-Percent: 50%\r\nX-Folded: one\r\n two\r\nContent-Type: x\r\n"
    ),
    "/empty": b"200 OK\r\nContent-Type: text/plain\r\n",
    "/latin": b"200 OK\r\nContent-Type: text/html; charset=iso-8859-1\r\n",
    "/binary": b"200 OK\r\nContent-Type: image/png\r\n",
    "/tagged": b'200 OK\r\nETag: "1"\r\nContent-Type: text/html\r\n',
    "/caf%C3%A9?q=%C3%BC&r=%2f": b"200 OK\r\nContent-Type: text/html\r\n",
}
BODIES = {
    "/gzip": gzip.compress(TEXT, mtime=0),
    "/brotli": brotli.compress(TEXT),
    "/empty": b"",
    "/latin": "café".encode("latin-1"),
    "/binary": bytes(range(256)) * 50,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/chunked":
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/html\r\n\r\n"
            )
            for part in (TEXT[:1000], TEXT[1000:]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        elif self.path == "/until-close":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + TEXT)
            self.close_connection = True
        elif self.path == "/tagged" and self.headers["If-None-Match"] == '"1"':
            self.wfile.write(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n')
        else:
            body = BODIES.get(self.path, self.path.encode())
            head = PAGES.get(self.path, b"404 Not Found\r\n")
            self.wfile.write(b"HTTP/1.1 " + head + SIZED % len(body) + body)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
