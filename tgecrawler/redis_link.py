"""Connections to Redis, and scripts that survive its restarts."""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT_S = 5.0


def connect(url: str, *, timeout_s: float = TIMEOUT_S) -> Redis:
    """Return a client for threads; nothing connects before its first use.

    Raises:
        ValueError: the address is none of a Redis server; it is not repeated.
    """
    return Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)


def connect_async(url: str, *, timeout_s: float = TIMEOUT_S) -> AsyncRedis:
    """Return a client for the event loop; nothing connects before its first use.

    Raises:
        ValueError: the address is none of a Redis server; it is not repeated.
    """
    return AsyncRedis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)


class Script:
    """A Lua script, sent as its digest; a server that does not know it yet is told once."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: AsyncRedis, keys: Sequence[str], args: Sequence[Any] = ()) -> Any:
        """Return the script's answer.

        Raises:
            redis.RedisError: as of any command.
        """
        try:
            return await client.evalsha(self.sha, len(keys), *keys, *args)
        except NoScriptError:  # a server that was restarted, or a replica that took over
            return await client.eval(self.source, len(keys), *keys, *args)
