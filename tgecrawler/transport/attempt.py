"""One request's way over a connection, and whether it may be sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from aiohttp.client_middlewares import ClientHandlerType

    from tgecrawler.transport.gate import Turn


class HungUpError(aiohttp.ClientError):
    """The host closed a new connection without an answer."""


class Attempt:
    """A client middleware of one request, and the context of its trace.

    The client sends a request again by itself when its connection breaks. That
    is right for a kept one, which the host may close at any moment; a host
    that hangs up on a new connection would be asked twice without a gap.
    """

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.reused = False  # set by the trace, once the connection is known

    async def __call__(
        self, request: aiohttp.ClientRequest, send: ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Return the response.

        Raises:
            HungUpError: the connection broke, and it was a new one.
        """
        self.reused = False
        try:
            return await send(request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            if self.reused:
                raise
            raise HungUpError(str(error) or "the host hung up") from error
