"""A web server of its own process: answers from a JSON file of routes, and logs each request.

``python web_server.py ROUTES.json LOG`` prints its port. A route is
``{"status": 200, "headers": {...}, "body": "...", "repeat": 1, "delay_s": 0}``; its body may hold
``{base}``, which becomes the server's own address. A request that bears the route's
ETag is answered 304, unless ``"lies": true``: then one that bears any. A line of the log is the
path, and the validators that came along. The routes file is read anew for every
request, so that a test can change the world.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROUTES, LOG = Path(sys.argv[1]), Path(sys.argv[2])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        with LOG.open("a", encoding="utf-8") as log:
            log.write(f"{self.path} {self.headers.get('If-None-Match', '')}".rstrip() + "\n")
        route = json.loads(ROUTES.read_text(encoding="utf-8")).get(self.path)
        if route is None:
            route = {"status": 404, "body": "not here"}
        time.sleep(route.get("delay_s", 0))
        asked = self.headers.get("If-None-Match")
        tag = route.get("headers", {}).get("ETag")
        if asked and (route.get("lies") or asked == tag):
            route = {"status": 304, "headers": {"ETag": asked}}
        base = f"http://127.0.0.1:{self.server.server_port}"
        body = route.get("body", "").replace("{base}", base).encode() * route.get("repeat", 1)
        self.send_response(route.get("status", 200))
        for name, value in route.get("headers", {}).items():
            self.send_header(name, value.replace("{base}", base))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the crawler has had enough of a large body

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
