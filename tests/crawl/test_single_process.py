"""A process that shares its crawl with nobody carries nothing of what sharing needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import QUICK, ROOT, Project, Web
from newsroom import open_desk

pytestmark = pytest.mark.slow

SHARED = ("redis", "scrapy_redis", "tgecrawler.redis_link", "tgecrawler.fleet.fleet")
RUN = f"""
import runpy, sys
try:
    runpy.run_module("scrapy", run_name="__main__")
finally:
    print("loaded:", *sorted(set(sys.modules) & set({SHARED!r})))
"""


def test_a_crawl_without_redis_loads_nothing_of_it(project: Project, web: Web) -> None:
    open_desk(project, web)
    arguments = project.command("crawl", "rss", *QUICK)[3:]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        cwd=ROOT,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"
    assert project.rows("select count(*) from mentions") != [(0,)]
