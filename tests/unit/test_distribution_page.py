"""docs/distribution.md and deploy/ against the code that they speak of."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from tgecrawler.cache.redis import PREFIX as CACHE
from tgecrawler.dedup.redis import PREFIX as NEAR
from tgecrawler.manual import ROOT
from tgecrawler.options import OPTIONS
from tgecrawler.redis_address import SCHEMES, parse_redis_address
from tgecrawler.scheduling import clock_scripts, gate_scripts, queue_scripts, seen_scripts
from tgecrawler.scheduling.queue_report import CLOCK_KEYS
from tgecrawler.scheduling.queue_upkeep import queue_prefix
from tgecrawler.scheduling.shared_clock import prefix_of
from tgecrawler.scheduling.shared_gate import PREFIX as GATE
from tgecrawler.scheduling.token_bucket import PREFIX as BUCKET
from tgecrawler.stream.messages import STREAM

PAGE = ROOT / "docs" / "distribution.md"
RUNBOOK = ROOT / "deploy" / "README.md"
UNIT = ROOT / "deploy" / "tgecrawler-worker@.service"
# what a script puts behind its prefix: P .. 'name' or p .. 'name'
BEHIND = re.compile(r"\b[Pp] ?\.\. ?'([a-z]+:?)'")


def documented() -> set[str]:
    """The keys of the page's table; of those that go on with a name, all before it."""
    rows = re.findall(r"^\| (`\{tge[^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    keys = {key for row in rows for key in re.findall(r"`([^`]+)`", row)}
    return {re.sub(r"(?<=:)[A-Z][A-Z:]*$", "", key) for key in keys}


def behind(*sources: str) -> set[str]:
    return {name for source in sources for name in BEHIND.findall(source)}


def queue_names() -> set[str]:
    sources = (queue_scripts.ROUND, queue_scripts.PROLONG, seen_scripts.SEE)
    loops = re.findall(r"ipairs\(\{(.*?)\}\)", queue_scripts.ROUND)
    return behind(*sources) | {name for loop in loops for name in re.findall(r"'([a-z]+)'", loop)}


def clock_names() -> set[str]:
    scripts = ("BEGIN", "TAKE", "PROLONG", "FINISH", "GIVE_BACK")
    return behind(*(getattr(clock_scripts, name).source for name in scripts)) | {"settled"}


def test_every_key_is_documented_and_no_other() -> None:
    keys = {f"{queue_prefix('SPIDER')}{name}" for name in queue_names()}
    keys |= {f"{prefix_of('SPIDER')}{name}" for name in clock_names()}
    keys |= {f"{GATE}{name}" for name in behind(gate_scripts.ROUND.source)}
    keys |= {BUCKET, STREAM, f"{CACHE}…"}
    keys |= {f"{NEAR}:{name}" for name in ("band:", "print:", "loaded")}
    assert documented() == keys
    assert len(keys) >= 30


def test_the_clock_is_purged_with_all_its_keys() -> None:
    assert set(CLOCK_KEYS) == clock_names()


@pytest.mark.parametrize("path", [PAGE, RUNBOOK, UNIT], ids=lambda path: path.name)
def test_what_is_named_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    known = {option.name for option in OPTIONS}
    files = {f"{option.name}_FILE" for option in OPTIONS if option.secret}
    named = set(re.findall(r"TGE_[A-Z_]+[A-Z]", text)) - {"TGE_QUEUE"}  # TGE_QUEUE_…
    assert named <= known | files
    for target, anchor in re.findall(r"\]\(([^)#]+)(#[^)]*)?\)", text):
        page = path.parent / target
        assert page.is_file(), target
        headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {f"#{heading.lower().replace(' ', '-')}" for heading in headings}
        assert not anchor or anchor in anchors, anchor


def test_the_addresses_are_read() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## The address of Redis")[2]
    addresses = re.findall(r"^\| `(\S+?)` \|", section, re.MULTILINE)
    assert len(addresses) == 5
    for address in addresses:
        url = address.replace("rediss://…", "rediss://host:6379/0")
        assert parse_redis_address(url).kind
        assert url.partition("://")[0] in SCHEMES


def test_the_unit_is_one_of_systemd(tmp_path: Path) -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    assert service["ExecStart"].endswith("/scrapy crawl rss -a watch=1")
    assert service["Restart"] == "always"
    assert (service["KillSignal"], service["KillMode"]) == ("SIGTERM", "mixed")
    if (analyze := shutil.which("systemd-analyze")) is not None:
        text = UNIT.read_text(encoding="utf-8")
        there = tmp_path / UNIT.name
        there.write_text(text.replace("/opt/tgecrawler/.venv/bin/scrapy", "/bin/true"))
        done = subprocess.run([analyze, "verify", there], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
