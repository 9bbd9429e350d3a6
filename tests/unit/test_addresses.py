"""What may be fetched: every spelling by which others were talked into asking themselves."""

from __future__ import annotations

import json
import random
import socket
from ipaddress import IPv4Address
from pathlib import Path

import can_ada
import pytest

from tgecrawler.domain.addresses import is_public, refuse_host, refuse_url

FIXTURE = Path(__file__).parents[1] / "fixtures" / "guard" / "refused_urls.jsonl"
REFUSED = [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]
PORT = "8080"


@pytest.mark.parametrize("row", REFUSED, ids=[ascii(row["url"]) for row in REFUSED])
def test_refuses(row: dict[str, str]) -> None:
    reason = refuse_url(row["url"].replace("{port}", PORT))
    assert reason.partition(":")[0] == row["why"]
    assert "\n" not in reason
    assert reason.isascii()
    assert len(reason) < 200


def test_knows_more_spellings_than_were_ever_reported() -> None:
    forms = {row["url"] for row in REFUSED}
    assert len(forms) == len(REFUSED)
    bypasses = [url for url in forms if not refuse_url(url.replace("{port}", PORT))]
    print(f"{len(forms)} forms, {len(bypasses)} bypasses")
    assert len(forms) >= 120
    assert bypasses == []


@pytest.mark.parametrize(
    "url",
    [
        "https://www.theblock.co/rss.xml",
        "http://news.example:8080/feed?a=1&b=2#c",
        "https://münchen.example/",
        "https://xn--mnchen-3ya.example./",
        "http://under_score.example/",
        "http://1.1.1.1/",
        "http://16843009/",
        "http://01.01.01.01/",
        "http://[2606:4700:4700::1111]/",
        "http://[::ffff:8.8.8.8]/",
        "http://[64:ff9b::8.8.8.8]/",
        "http://11.0.0.1/",
        "http://172.32.0.1/",
        "http://100.128.0.1/",
        "https://local.example/",
        "https://mylocalhost.example/",
        "https://example.com/a@b",
        "https://example.com/a\\b",
        "https://web.archive.org/web/2026/http://127.0.0.1/",
        "HTTPS://EXAMPLE.COM:443/",
        "https://3com.com/",
        "https://0x.org/",
    ],
)
def test_lets_the_public_web_pass(url: str) -> None:
    assert refuse_url(url) == ""


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "http://[::1]/", "http://redis/"])
def test_private_networks_pass_where_they_are_allowed(url: str) -> None:
    assert refuse_url(url)
    assert refuse_url(url, allow_private=True) == ""


@pytest.mark.parametrize("why", ["scheme", "credentials", "port", "characters", "host"])
def test_nothing_else_passes_where_private_networks_are_allowed(why: str) -> None:
    rows = [row["url"] for row in REFUSED if row["why"] == why]
    assert rows
    assert [
        url for url in rows if not refuse_url(url.replace("{port}", PORT), allow_private=True)
    ] == []


def test_a_reason_does_not_repeat_a_password() -> None:
    assert "secret" not in refuse_url("http://user:secret@news.example/")


@pytest.mark.parametrize("ip", ["", "no address", "fe80::1%eth0", "127.1", "0x7f.0.0.1"])
def test_what_is_no_address_is_not_public(ip: str) -> None:
    assert not is_public(ip)


def test_a_host_is_judged_as_a_client_reads_it() -> None:
    assert refuse_host("::1").startswith("address")
    assert refuse_host("fe80::1%eth0").startswith("host")
    assert refuse_host("news.example") == ""
    assert refuse_host("").startswith("host")


def numeric_host(rng: random.Random) -> str:
    """Return an IPv4 address in one of its many spellings."""
    number = rng.choice((0x7F000001, 0x0A000001, 0xA9FEA9FE, 0xC0A80101, rng.getrandbits(32)))
    count = rng.randint(1, 4)
    parts = [(number >> (24 - 8 * place)) & 0xFF for place in range(count - 1)]
    parts.append(number & ((1 << (8 * (5 - count))) - 1))
    spelt = (rng.choice((str, oct, hex, "{:#X}".format, "0{:o}".format))(part) for part in parts)
    return ".".join(part.replace("0o", "0") for part in spelt) + rng.choice(("", "", "."))


def test_agrees_with_the_parsers_of_a_system_and_of_a_browser() -> None:
    rng, judged = random.Random(20261125), 0
    for _ in range(20_000):
        host = numeric_host(rng)
        readings = {str(can_ada.parse(f"http://{host}/").hostname)}
        readings.add(socket.inet_ntoa(socket.inet_aton(host.rstrip("."))))
        judged += len(readings)
        private = [ip for ip in readings if not IPv4Address(ip).is_global]
        assert not private or refuse_url(f"http://{host}/"), (host, readings)
    assert judged >= 20_000
