"""The download handler against a real server that does what servers should not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_world import BARE, HostileServer, run_script, start_server

pytestmark = pytest.mark.slow

SOON = {"download_timeout": 1}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "page": ("/page/1?a=%2f#fragment", {}),
    "next page": ("/page/2", {}),
    "gzip": ("/bomb/gzip", {}),
    "br": ("/bomb/br", {}),
    "zstd": ("/bomb/zstd", {}),
    "deflate": ("/bomb/deflate", {}),
    "nested": ("/bomb/gzip,gzip", {}),
    "nested thrice": ("/bomb/gzip,br,zstd", {}),
    "endless": ("/endless", {}),
    "large": ("/large", {}),
    "own bound": ("/page/3", {"download_maxsize": 100}),
    "long header": ("/header-line/12000", {}),
    "too long header": ("/header-line/20000", {}),
    "huge header": ("/header-line/10000000", {}),
    "endless header": ("/header-endless", {}),
    "many headers": ("/header-flood/50", {}),
    "heavy headers": ("/header-flood/100", {}),
    "flood of headers": ("/header-flood/100000", {}),
    "loop": ("/loop/1", {}),
    "self": ("/self", {}),
    "garbage": ("/garbage", {}),
    "truncated": ("/truncated", {}),
    "truncated, taken": ("/truncated", {"download_fail_on_dataloss": False}),
    "hangup": ("/hangup", {}),
    "slow headers": ("/slow-headers", SOON),
    "slow body": ("/slow-body", SOON),
    "continue": ("/continue", SOON),
    "silent": ("/silent", {"kind": "robots"}),
    "proxy": ("/page/proxy", {"proxy": "http://127.0.0.1:1"}),
    "last page": ("/page/last", {}),
}
ELSEWHERE = {"no name": "http://nowhere.invalid/", "refused": "http://127.0.0.3:{closed}/"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileServer]:
    started = start_server(tmp_path_factory.mktemp("server"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def run(server: HostileServer) -> dict[str, Any]:
    requests = [{"url": server.url(path), "meta": meta} for path, meta in REQUESTS.values()]
    requests += [{"url": url.format(closed=1024)} for url in ELSEWHERE.values()]
    # a proxy of the environment is one that nobody here chose
    found = run_script("fetch.py", BARE, requests, http_proxy="http://127.0.0.1:1")
    names = [*REQUESTS, *ELSEWHERE]
    return {**found, "seen": dict(zip(names, found["seen"], strict=True))}


def test_a_response_bears_what_scrapys_do(run: dict[str, Any], server: HostileServer) -> None:
    page = run["seen"]["page"]
    assert page["url"] == server.url("/page/1?a=%2f")
    assert (page["status"], page["ip"], page["protocol"]) == (200, "127.0.0.1", "HTTP/1.1")
    assert page["length"] > 100
    assert 0 < page["latency_s"] < page["took_s"]


def test_an_address_is_sent_as_it_was_written(run: dict[str, Any], server: HostileServer) -> None:
    assert "/page/1?a=%2f" in [line["path"] for line in server.log]


@pytest.mark.parametrize("kind", ["gzip", "br", "zstd", "deflate", "nested", "nested thrice"])
def test_a_bomb_is_not_unpacked(run: dict[str, Any], kind: str) -> None:
    assert run["seen"][kind]["error"] == "IgnoreRequest"
    assert "exceeded DOWNLOAD_MAXSIZE" in run["seen"][kind]["message"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("endless", "DownloadCancelledError", "a body of more than 10,485,760 bytes"),
        ("large", "DownloadCancelledError", "a body of 10,000,000,000 bytes; 10,485,760 are read"),
        ("own bound", "DownloadCancelledError", "100 are read"),
        ("too long header", "DownloadCancelledError", "headers beyond every measure"),
        ("huge header", "DownloadCancelledError", "headers beyond every measure"),
        ("endless header", "DownloadCancelledError", "headers beyond every measure"),
        ("heavy headers", "DownloadCancelledError", "65,536 are read"),
        ("flood of headers", "DownloadCancelledError", "headers beyond every measure"),
        ("loop", "IgnoreRequest", "max redirections reached"),
        ("self", "IgnoreRequest", "max redirections reached"),
        ("garbage", "DownloadFailedError", "no readable answer: "),
        ("truncated", "ResponseDataLossError", "the body ends before its end"),
        ("hangup", "DownloadFailedError", "Server disconnected"),
        ("slow headers", "DownloadTimeoutError", "within 1 s (total deadline)"),
        ("slow body", "DownloadTimeoutError", "within 1 s (total deadline)"),
        ("continue", "DownloadTimeoutError", "within 1 s (total deadline)"),
        ("silent", "DownloadTimeoutError", "silent for 5 s (idle deadline)"),
        ("proxy", "NotSupported", "through a proxy"),
        ("no name", "CannotResolveHostError", "nowhere.invalid"),
        ("refused", "DownloadConnectionRefusedError", "127.0.0.3"),
    ],
)
def test_a_fault_ends_in_an_error_that_scrapy_knows(
    run: dict[str, Any], name: str, error: str, message: str
) -> None:
    seen = run["seen"][name]
    assert seen["error"] == error
    assert message in seen["message"]
    assert "\n" not in seen["message"]


def test_headers_as_real_sites_send_them_are_read(run: dict[str, Any]) -> None:
    assert run["seen"]["long header"]["status"] == 200
    assert run["seen"]["many headers"]["status"] == 200


def test_a_truncated_body_is_taken_where_it_is_wanted(run: dict[str, Any]) -> None:
    taken = run["seen"]["truncated, taken"]
    assert (taken["length"], taken["flags"]) == (9, ["dataloss"])


def test_the_client_goes_on_after_every_fault(run: dict[str, Any]) -> None:
    assert run["seen"]["last page"]["status"] == 200
    assert "Traceback" not in run["stderr"]
    assert "Unclosed" not in run["stderr"]


def test_a_host_that_hangs_up_is_asked_once(run: dict[str, Any], server: HostileServer) -> None:
    paths = [line["path"] for line in server.log if line["event"] == "asked"]
    assert paths.count("/hangup") == 1


def test_connections_are_counted_as_the_server_counts_them(
    run: dict[str, Any], server: HostileServer
) -> None:
    opened = run["stats"]["tge/connections/opened"]
    reused = run["stats"]["tge/connections/reused"]
    print(f"opened {opened}, reused {reused}; the server: {dict(server.counts)}")
    assert opened == server.counts["connected"]
    assert opened + reused == server.counts["asked"]
    assert reused > opened


def test_names_are_remembered(server: HostileServer) -> None:
    paths = ("/close/1", "/close/2", "/close/3")
    requests = [{"url": server.url(path, host="localhost")} for path in paths]
    found = run_script("fetch.py", BARE, requests)
    assert [seen["status"] for seen in found["seen"]] == [200, 200, 200]
    assert found["stats"]["tge/connections/opened"] == 3
    assert found["stats"]["tge/connections/dns_misses"] == 1
    assert found["stats"]["tge/connections/dns_hits"] == 2


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[HostileServer]:
    pem = tmp_path / "server.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=news.example", "-keyout", str(pem), "-out", str(tmp_path / "crt")),
        ],
        check=True,
        capture_output=True,
    )
    pem.write_text(pem.read_text() + (tmp_path / "crt").read_text())
    started = start_server(tmp_path, pem)
    yield started
    started.stop()


def test_a_certificate_is_verified(tls_server: HostileServer) -> None:
    requests = [{"url": tls_server.url("/page/1")}]
    refused = run_script("fetch.py", BARE, requests)["seen"][0]
    assert refused["error"] == "DownloadFailedError"
    assert refused["message"].startswith("TLS: ")
    assert tls_server.counts["asked"] == 0
    unverified = {**BARE, "DOWNLOAD_VERIFY_CERTIFICATES": False}
    taken = run_script("fetch.py", unverified, requests)["seen"][0]
    assert taken["status"] == 200
    assert taken["certified"]
