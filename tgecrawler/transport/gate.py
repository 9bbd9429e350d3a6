"""Whose turn it is at a host, as the transport asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager


class Turn(Protocol):
    """A turn that has come."""

    def sent(self) -> None:
        """Note that the request goes out now: a connection may have taken a while."""


class Gate(Protocol):
    """Lets a request through when its host may be asked."""

    def turn(self, host: str) -> AbstractAsyncContextManager[Turn]:
        """Return a context that is entered when `host` may be asked, and left after the body."""
