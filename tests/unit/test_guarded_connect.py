"""Names lead to public addresses, and sockets to nothing else."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from tgecrawler.transport.guarded_connect import (
    AddressNotPublicError,
    ThreadResolver,
    open_public_socket,
    open_socket,
)

PUBLIC, SECOND = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"


def info(address: str) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    rest = (0, 0) if ":" in address else ()
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80, *rest))


def resolve(*addresses: str, allow_private: bool = False) -> list[str]:
    async def ask() -> list[str]:
        resolver = ThreadResolver(
            allow_private=allow_private,
            timeout_s=5,
            look_up=lambda *asked: [info(address) for address in addresses],
        )
        found = await resolver.resolve("news.example", 80)
        await resolver.close()
        return [result["host"] for result in found]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1%lo"]
)
def test_no_socket_for_what_is_not_public(address: str) -> None:
    with pytest.raises(AddressNotPublicError, match="is not public"):
        open_public_socket(info(address))


def test_a_socket_for_what_is() -> None:
    with open_public_socket(info(PUBLIC)) as opened:
        assert opened.family == socket.AF_INET
    with open_socket(info("127.0.0.1")) as opened:
        assert opened.type == socket.SOCK_STREAM


def test_public_addresses_are_kept_and_others_left_out() -> None:
    assert resolve(PUBLIC, "127.0.0.1", SECOND) == [PUBLIC, SECOND]
    assert resolve(PUBLIC, "127.0.0.1", allow_private=True) == [PUBLIC, "127.0.0.1"]


def test_a_name_with_private_addresses_only_is_refused() -> None:
    with pytest.raises(AddressNotPublicError, match=r"news\.example resolves to 10\.0\.0\.1"):
        resolve("10.0.0.1", "::1")


def test_a_name_that_is_not_resolved_in_time_is_unknown() -> None:
    answer = threading.Event()

    def wait(*asked: object) -> list[Any]:
        answer.wait(10)
        return []

    async def ask() -> None:
        resolver = ThreadResolver(allow_private=False, timeout_s=0.05, look_up=wait)
        try:
            await resolver.resolve("news.example", 80)
        finally:
            answer.set()
            await resolver.close()

    with pytest.raises(OSError, match=r"not resolved within 0\.05 s"):
        asyncio.run(ask())
