"""Whose turn it is at a host, as the transport asks it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager


class Gate(Protocol):
    """Lets a request through when its host may be asked."""

    def turn(self, host: str) -> AbstractAsyncContextManager[object]:
        """Return a context that is entered when `host` may be asked, and left after the body."""


class OpenGate:
    """Lets everything through at once."""

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        yield
