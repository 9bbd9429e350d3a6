"""One request's way over a connection, which is gone once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from aiohttp.client_middlewares import ClientHandlerType

    from tgecrawler.transport.gate import Turn


class HungUpError(aiohttp.ClientError):
    """The host closed the connection without an answer."""


class Attempt:
    """A client middleware of one request, and the context of its trace.

    The client sends a request again by itself when a kept connection breaks,
    at once and unseen; the host would be asked twice without a gap. Whether it is
    worth asking again is for the retry middleware to say.
    """

    def __init__(self, turn: Turn) -> None:
        self.turn = turn

    async def __call__(
        self, request: aiohttp.ClientRequest, send: ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Return the response.

        Raises:
            HungUpError: the connection broke.
        """
        try:
            return await send(request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise HungUpError(str(error) or "the host hung up") from error
