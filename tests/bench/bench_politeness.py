"""What politeness costs a crawl: a turn through the gate, a look at the rules, their memory."""

from __future__ import annotations

import asyncio

from run import Row, interleaved, memory_mb
from tgecrawler.scheduling.host_gate import HostGate
from tgecrawler.sources.robots import parse_robots

TURNS = 5_000
# As a shop's or a blog's is written: some groups, wildcards, a few dozen rules.
ROBOTS = (
    "User-agent: GPTBot\nDisallow: /\n\nUser-agent: *\n"
    + "".join(f"Disallow: /section{n}/private/\nDisallow: /*?page{n}=\n" for n in range(20))
    + "Allow: /section3/private/open\nCrawl-delay: 2\nSitemap: https://h.example/sitemap.xml\n"
).encode()
LARGEST = b"User-agent: *\n" + b"".join(b"Disallow: /a%d*b*c\n" % n for n in range(24_000))
HOSTS = """
import asyncio
from tgecrawler.scheduling.host_gate import HostGate
gate = HostGate(3600.0)
async def ask(hosts):
    for n in hosts:
        async with gate.turn(f"h{n}.example"):
            pass
asyncio.run(ask(range(10)))
# measured
asyncio.run(ask(range(10, 10_010)))
assert len(gate) == 10_010
"""


def bench_gate() -> list[Row]:
    """A turn on one host after another, no gap; and 10,000 hosts whose gap has not passed."""
    gate = HostGate(0.0)
    seconds = interleaved({"turns": lambda: asyncio.run(_take_turns(gate))})
    return [
        Row("gate: a turn", seconds["turns"] / TURNS * 1e6, "µs", 200),
        Row("gate: 10,000 hosts", memory_mb(HOSTS), "MB", 30),
    ]


def bench_robots() -> list[Row]:
    """Rules as they usually are, and the worst that 500 KiB can hold."""
    rules, worst = parse_robots(ROBOTS), parse_robots(LARGEST)
    url = "https://h.example/section3/story-of-some-length?page=2"
    seconds = interleaved(
        {
            "parse": lambda: parse_robots(ROBOTS),
            "allows": lambda: [rules.allows(url) for _ in range(1000)],
            "parse worst": lambda: parse_robots(LARGEST),
            "allows worst": lambda: worst.allows("https://h.example/" + "a" * 2000),
        }
    )
    return [
        Row("robots: parse a usual file", seconds["parse"] * 1e3, "ms", 10),
        Row("robots: may an address be fetched", seconds["allows"] * 1e3, "µs", 200),
        Row("robots: parse 500 KiB of rules", seconds["parse worst"] * 1e3, "ms", 3000),
        Row("robots: look into 500 KiB of rules", seconds["allows worst"] * 1e3, "ms", 200),
    ]


async def _take_turns(gate: HostGate) -> None:
    for n in range(TURNS):
        async with gate.turn(f"h{n % 200}.example"):
            pass
