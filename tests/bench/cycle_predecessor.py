"""The predecessor's way through a cycle: requests, feedparser and newspaper in ten threads.

``python cycle_predecessor.py SECONDS.json FEED...`` in the environment of requirements.txt
beside this file. A thread takes a feed and reads its pages one after the other. Left out, in its
favour: it wrote its cache of all texts anew after each page, and newspaper fetched the pages
itself, on which it spends a HEAD each, and looked for their images.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import feedparser
import requests
from newspaper import Article, Config

THREADS = 10
TIMEOUT_S = 10
SHORTEST = 1_000  # characters of a text that is the article's


def read_feed(session: requests.Session, config: Config, url: str) -> list[int]:
    """Return the lengths of a feed's texts."""
    feed = feedparser.parse(session.get(url, timeout=TIMEOUT_S).content)
    return [len(read_page(session, config, entry.link)) for entry in feed.entries]


def read_page(session: requests.Session, config: Config, url: str) -> str:
    article = Article(url, config=config)
    article.download(input_html=session.get(url, timeout=TIMEOUT_S).text)
    article.parse()
    return article.text


def main(out: str, feeds: list[str]) -> None:
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(len(feeds), pool_maxsize=20))
    config = Config()
    config.fetch_images = False
    started, started_cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(lambda url: read_feed(session, config, url), feeds))
    report = {
        "cycle_s": time.perf_counter() - started,
        "cpu_s": time.process_time() - started_cpu,
        "pages": sum(length >= SHORTEST for lengths in found for length in lengths),
    }
    Path(out).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
