"""``python ssrf_crawl.py SPIDER SETTINGS RESOLVER`` crawls with this project's own components.

127.0.0.9 stands for the public Internet, every other address is what it is. The
resolver is ``"system"``; ``"rebinding"``, for which ``*.rebind.example`` is public
when it is asked first and this host ever after; or ``"blind"``, which besides
lets everything through, so that only the socket is left to refuse. Prints the
stats as JSON.
"""

from __future__ import annotations

import json
import socket
import sys
from collections import Counter
from ipaddress import IPv4Network
from typing import Any

from scrapy.crawler import CrawlerProcess
from scrapy.utils.project import get_project_settings

from tgecrawler.domain import addresses
from tgecrawler.transport import guarded_connect, session

PUBLIC, PRIVATE = "127.0.0.9", "127.0.0.1"
ASKED: Counter[str] = Counter()
_getaddrinfo = socket.getaddrinfo


def stand_for_the_internet() -> None:
    loopback = IPv4Network("127.0.0.0/8")
    addresses._CLOSED_V4 = (
        *(block for block in addresses._CLOSED_V4 if block != loopback),
        *loopback.address_exclude(IPv4Network(f"{PUBLIC}/32")),
    )


def rebind(host: str, port: int, *rest: Any) -> Any:
    if not host.endswith(".rebind.example"):
        return _getaddrinfo(host, port, *rest)
    ASKED[host] += 1
    answer = PUBLIC if ASKED[host] == 1 else PRIVATE
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port))]


def main() -> None:
    spider, settings, resolver = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
    stand_for_the_internet()
    if resolver != "system":
        socket.getaddrinfo = rebind
        session.DNS_TTL_S = 0  # every look-up is asked anew, as an attacker's TTL wishes
    if resolver == "blind":
        guarded_connect.ThreadResolver.allow_private = property(lambda _: True, lambda *_: None)  # type: ignore
    process = CrawlerProcess({**get_project_settings(), **settings})
    crawler = process.create_crawler(json.loads(spider))
    process.crawl(crawler)
    process.start()
    stats = crawler.stats.get_stats() if crawler.stats else {}
    kept = {name: value for name, value in stats.items() if isinstance(value, int | float | str)}
    print(json.dumps({"stats": kept, "asked": ASKED}))


if __name__ == "__main__":
    main()
