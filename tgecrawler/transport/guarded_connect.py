"""Names to public addresses, and sockets to nothing else.

The socket is where the check cannot be got round: it sees the address of every
attempt, whether a URL bore it or a name resolved to it a moment ago.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from aiohttp.abc import AbstractResolver, ResolveResult

from tgecrawler.domain.addresses import is_public

if TYPE_CHECKING:
    from collections.abc import Callable

    # family, type, protocol, canonical name, socket address: as getaddrinfo gives it
    AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]

# A look-up blocks its thread for as long as a dead name server lets it wait. Threads of its own
# keep that from whatever else the process does in threads.
LOOKUP_THREADS = 16


class AddressNotPublicError(OSError):
    """A connection that would have left the public Internet."""


def open_public_socket(info: AddressInfo) -> socket.socket:
    """Return a socket for an address that is about to be connected to.

    Raises:
        AddressNotPublicError: the address is not public.
    """
    address = str(info[4][0])
    if not is_public(address):
        raise AddressNotPublicError(f"{address} is not public")
    return open_socket(info)


def open_socket(info: AddressInfo) -> socket.socket:
    """Return a socket for any address."""
    family, kind, protocol, _, _ = info
    return socket.socket(family, kind, protocol)


class ThreadResolver(AbstractResolver):
    """Asks the system's resolver, in threads of its own.

    Args:
        allow_private: False leaves out what is not public, so that a name with
            one public address among others is reached there.
        timeout_s: after that long a name counts as unknown.
        look_up: ``socket.getaddrinfo`` or what behaves like it.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        timeout_s: float,
        look_up: Callable[..., list[AddressInfo]] | None = None,
    ) -> None:
        self.allow_private = allow_private
        self.timeout_s = timeout_s
        self.look_up = look_up or socket.getaddrinfo
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of `host` that may be connected to.

        Raises:
            AddressNotPublicError: it has addresses, and none of them is public.
            OSError: it has none, or none was told in time.
        """
        loop = asyncio.get_running_loop()
        asked = loop.run_in_executor(self._threads, self._ask, host, port, family)
        try:
            found = await asyncio.wait_for(asked, self.timeout_s)
        except TimeoutError:
            raise OSError(None, f"{host} was not resolved within {self.timeout_s:g} s") from None
        kept = [info for info in found if self.allow_private or is_public(str(info[4][0]))]
        if found and not kept:
            raise AddressNotPublicError(f"{host} resolves to {found[0][4][0]}, which is not public")
        return [_result(host, port, info) for info in kept]

    def _ask(self, host: str, port: int, family: socket.AddressFamily) -> list[AddressInfo]:
        return self.look_up(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)

    async def close(self) -> None:
        """Let the threads go, without waiting for look-ups that still hang."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _result(host: str, port: int, info: AddressInfo) -> ResolveResult:
    family, _, protocol, _, address = info
    return ResolveResult(
        hostname=host,
        host=str(address[0]),
        port=port,
        family=family,
        proto=protocol,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
