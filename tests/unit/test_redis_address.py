"""Addresses of Redis: what they say, and that an error repeats nothing of them."""

from __future__ import annotations

import pytest

from tgecrawler.redis_address import Kind, parse_redis_address
from tgecrawler.redis_link import connect, connect_async


def said(url: str) -> dict[str, object]:
    address = parse_redis_address(url)
    names = ("kind", "hosts", "path", "service", "db", "with_tls", "username", "password")
    found = {name: getattr(address, name) for name in names}
    return {name: value for name, value in found.items() if value}


@pytest.mark.parametrize(
    ("url", "meaning"),
    [
        ("redis://", {"kind": Kind.SERVER, "hosts": (("localhost", 6379),)}),
        ("redis://h/0", {"kind": Kind.SERVER, "hosts": (("h", 6379),)}),
        ("redis://h:1?db=2", {"kind": Kind.SERVER, "hosts": (("h", 1),), "db": 2}),
        (
            "rediss://u:p%40s%2Fs%23@[2001:db8::1]:7/3",
            {"kind": Kind.SERVER, "hosts": (("2001:db8::1", 7),), "db": 3, "with_tls": True,
             "username": "u", "password": "p@s/s#"},
        ),
        ("redis://:p%3Aw@h", {"kind": Kind.SERVER, "hosts": (("h", 6379),), "password": "p:w"}),
        ("unix:///run/r.sock?db=1&password=p", {
            "kind": Kind.SOCKET, "path": "/run/r.sock", "db": 1, "password": "p"}),
        ("unix://u:p@/run/r.sock", {
            "kind": Kind.SOCKET, "path": "/run/r.sock", "username": "u", "password": "p"}),
        (
            "redis+sentinel://u:p@a,b:1,[::1]:2/main/4",
            {"kind": Kind.SENTINEL, "hosts": (("a", 26379), ("b", 1), ("::1", 2)),
             "service": "main", "db": 4, "username": "u", "password": "p"},
        ),
        ("rediss+sentinel://a/main", {
            "kind": Kind.SENTINEL, "hosts": (("a", 26379),), "service": "main", "with_tls": True}),
        ("redis+cluster://a:1,b", {"kind": Kind.CLUSTER, "hosts": (("a", 1), ("b", 6379))}),
        ("rediss+cluster://:p@a/0", {
            "kind": Kind.CLUSTER, "hosts": (("a", 6379),), "password": "p", "with_tls": True}),
    ],
)  # fmt: skip
def test_what_an_address_says(url: str, meaning: dict[str, object]) -> None:
    assert said(url) == meaning


def test_options_of_tls_and_of_the_sentinels() -> None:
    address = parse_redis_address(
        "rediss+sentinel://:p@a/main?ssl_ca_certs=/etc/ca.pem&ssl_check_hostname=no"
        "&ssl_cert_reqs=required&sentinel_username=watch&sentinel_password=s3cret"
    )
    assert address.tls == {
        "ssl_ca_certs": "/etc/ca.pem",
        "ssl_check_hostname": False,
        "ssl_cert_reqs": "required",
    }
    assert address.sentinel == {"username": "watch", "password": "s3cret"}
    assert "s3cret" not in repr(address)
    assert "'p'" not in repr(address)


WRONG = [
    "", "s3cret", "http://s3cret@h", "redis//s3cret", "redis://:s3cret@h:port",
    "redis://:s3cret@h:99999", "redis://:s3cret@h/db", "redis://:s3cret@h/0/1",
    "redis://:s3cret#2@h/0", "redis://:s3cret/2@h/0", "redis://:s3?cret=s3cret@h/0",
    "redis://:s3cret@h/0?timeout=s3cret", "redis://:s3cret@h,i/0", "redis://:s3cret@[h/0",
    "redis://:s3cret@h/0?ssl_ca_certs=x", "unix://s3cret", "unix://host/s3cret",
    "redis+sentinel://:s3cret@a,b", "redis+sentinel://:s3cret@a,,b/main",
    "redis+sentinel:///main", "redis+cluster://:s3cret@a/1", "redis+cluster://:s3cret@a?db=1",
    "rediss://:s3cret@h?ssl_check_hostname=s3cret", "rediss://:s3cret@h?ssl_cert_reqs=s3cret",
]  # fmt: skip


@pytest.mark.parametrize("url", WRONG)
def test_what_is_none_is_one_line_that_repeats_nothing(url: str) -> None:
    for made in (parse_redis_address, connect, connect_async):
        with pytest.raises(ValueError) as raised:
            made(url)
        line = str(raised.value)
        assert "s3" not in line
        assert "\n" not in line
        assert "; an address of Redis is redis://" in line


def test_a_client_shows_no_password_and_connects_to_nothing() -> None:
    urls = (
        "redis://:s3cret@127.0.0.1:1", "unix://:s3cret@/nowhere", "rediss://:s3cret@127.0.0.1:1",
        "redis+sentinel://:s3cret@127.0.0.1:1/main", "redis+cluster://:s3cret@127.0.0.1:1",
    )  # fmt: skip
    for url in urls:
        assert "s3cret" not in repr(connect(url))
        assert "s3cret" not in repr(connect_async(url))
