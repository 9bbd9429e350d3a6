"""A web server of its own process that logs when it was asked and when it answered.

``python timed_server.py ROUTES.json LOG`` prints its port. A route is a list of
answers, the last of which holds from then on: ``{"status": 200, "headers": {...},
"body": "", "delay_s": 0}``. A header value ``{date+3}`` becomes the HTTP-date at least
3 seconds ahead. The log holds two lines of JSON for each request, joined by ``id``:
``{"id", "path", "asked_at", "in_flight"}``, with this one, and ``{"id", "answered_at"}``;
moments are epoch seconds.
"""

from __future__ import annotations

import json
import math
import re
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROUTES: dict[str, list[dict[str, Any]]] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
LOG = Path(sys.argv[2])
lock = threading.Lock()
asked = in_flight = 0


def date_ahead(found: re.Match[str]) -> str:
    return formatdate(math.ceil(time.time()) + int(found[1]), usegmt=True)


def note(**line: object) -> None:
    with LOG.open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        global asked, in_flight
        with lock:
            asked, in_flight = asked + 1, in_flight + 1
            number = asked
            note(id=number, path=self.path, asked_at=time.time(), in_flight=in_flight)
            answers = ROUTES.get(self.path, [{"status": 404}])
            answer = answers[0] if len(answers) == 1 else answers.pop(0)
        time.sleep(answer.get("delay_s", 0))
        with lock:  # before it is sent: what follows it is not beside it
            in_flight -= 1
            note(id=number, answered_at=time.time())
        self.answer(answer)

    def answer(self, answer: dict[str, Any]) -> None:
        body = answer.get("body", "").encode()
        self.send_response(answer.get("status", 200))
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, re.sub(r"\{date\+(\d+)\}", date_ahead, value))
        self.send_header("Content-Length", str(len(body)))
        try:
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the crawler has not waited

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
