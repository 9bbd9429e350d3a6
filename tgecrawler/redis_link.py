"""Connections to Redis, and scripts that survive its restarts.

For addresses see `parse_redis_address`; how a starting process waits is in
`tgecrawler.redis_start`.
"""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import sha1
from typing import TYPE_CHECKING, Any, cast

from redis import Redis, RedisError
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelConnectionPool
from redis.backoff import ExponentialWithJitterBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from tgecrawler.redis_address import Kind, RedisAddress, parse_redis_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TIMEOUT_S = 5.0
HEALTH_CHECK_S = 15
"""A connection that was idle for longer is tried before it is used."""

REDIS_FAILURES = (RedisError, RedisClusterException, OSError)
"""What a pipeline may raise: that of a cluster is no RedisError. Commands and scripts raise one."""


def connect(url: str, *, timeout_s: float = TIMEOUT_S, retries: int = 0) -> Redis:
    """Return a client for threads; nothing connects before its first use.

    That of a cluster has the same commands, and is typed as the others: what stands
    together in a script or MULTI has a hash tag in common.

    Args:
        retries: how often a command is sent again after its connection broke. It may
            have run before, so this is for what bears to be done twice.

    Raises:
        ValueError: the address is none of a Redis server; it is not repeated.
    """
    address = parse_redis_address(url)
    retry = Retry(ExponentialWithJitterBackoff(cap=0.5, base=0.02), retries)
    common = _arguments_of(address, timeout_s)
    if address.kind is Kind.CLUSTER:
        return cast("Redis", _LazyCluster(lambda: _make_cluster(address, retry, common)))
    common |= {"db": address.db, "retry": retry}
    if address.kind is Kind.SENTINEL:
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            address.hosts, sentinel_kwargs=_sentinel_arguments_of(address, common), **common
        )
        pool = _SentinelPool(address.service, sentinel, **common)  # type: ignore[no-untyped-call]
        return Redis.from_pool(pool)
    return Redis(**_place_of(address), **common)


def connect_async(url: str, *, timeout_s: float = TIMEOUT_S, retries: int = 0) -> AsyncRedis:
    """Return a client for one event loop; see `connect`.

    Raises:
        ValueError: the address is none of a Redis server; it is not repeated.
    """
    address = parse_redis_address(url)
    retry = AsyncRetry(ExponentialWithJitterBackoff(cap=0.5, base=0.02), retries)
    common = _arguments_of(address, timeout_s)
    if address.kind is Kind.CLUSTER:
        nodes = [AsyncClusterNode(host, port) for host, port in address.hosts]
        return cast("AsyncRedis", _AsyncCluster(startup_nodes=nodes, retry=retry, **common))
    common |= {"db": address.db, "retry": retry}
    if address.kind is Kind.SENTINEL:
        sentinel = AsyncSentinel(  # type: ignore[no-untyped-call]
            address.hosts, sentinel_kwargs=_sentinel_arguments_of(address, common), **common
        )
        pool = _AsyncSentinelPool(address.service, sentinel, **common)  # type: ignore[no-untyped-call]
        return AsyncRedis.from_pool(pool)
    return AsyncRedis(**_place_of(address), **common)


class Script:
    """A Lua script, sent as its digest; a server that does not know it yet is told once.

    A cluster goes by the first of its keys.
    """

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

    def run_blocking(self, client: Redis, keys: Sequence[str], args: Sequence[Any] = ()) -> Any:
        """Return the script's answer; for threads.

        Raises:
            redis.RedisError: as of any command.
        """
        try:
            return client.evalsha(self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return client.eval(self.source, len(keys), *keys, *args)


def _arguments_of(address: RedisAddress, timeout_s: float) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "username": address.username,
        "password": address.password,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "health_check_interval": HEALTH_CHECK_S,
    }
    if address.kind is not Kind.SOCKET:
        arguments["socket_keepalive"] = True
    if address.with_tls:
        arguments |= {"ssl": True, **address.tls}
    return arguments


def _sentinel_arguments_of(address: RedisAddress, common: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments for the Sentinels, which have users and passwords of their own."""
    return {**common, "db": 0, "username": None, "password": None, **address.sentinel}


def _make_cluster(address: RedisAddress, retry: Retry, common: dict[str, Any]) -> RedisCluster:
    nodes = [ClusterNode(host, port) for host, port in address.hosts]  # type: ignore[no-untyped-call]
    with _as_redis_error():
        return _Cluster(startup_nodes=nodes, retry=retry, **common)


def _place_of(address: RedisAddress) -> dict[str, Any]:
    if address.kind is Kind.SOCKET:
        return {"unix_socket_path": address.path}
    ((host, port),) = address.hosts
    return {"host": host, "port": port}


class _LazyCluster:
    """A cluster's client that connects at its first use; redis-py's does when it is made."""

    def __init__(self, make: Callable[[], RedisCluster]) -> None:
        self._make = make
        self._made: RedisCluster | None = None

    def __getattr__(self, name: str) -> Any:
        if self._made is None:
            self._made = self._make()
        return getattr(self._made, name)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()


class _Cluster(RedisCluster):
    """A cluster's client whose commands fail as those of a single server."""

    def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        with _as_redis_error():
            return super().execute_command(*args, **kwargs)  # type: ignore[no-untyped-call]


class _AsyncCluster(AsyncRedisCluster):
    """A cluster's client whose commands fail as those of a single server."""

    async def initialize(self, *args: Any, **kwargs: Any) -> AsyncRedisCluster:
        with _as_redis_error():
            return await super().initialize(*args, **kwargs)

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        with _as_redis_error():
            return await super().execute_command(*args, **kwargs)


@contextmanager
def _as_redis_error() -> Iterator[None]:
    """Raise what redis-py raises of a cluster that is not there as the RedisError it is not."""
    try:
        yield
    except RedisClusterException as error:
        raise RedisConnectionError(str(error)) from error


class _SentinelPool(SentinelConnectionPool):
    """Closes the connections to the Sentinels with those to the master."""

    def close(self) -> None:
        super().close()
        for client in self.sentinel_manager.sentinels:
            client.close()


class _AsyncSentinelPool(AsyncSentinelConnectionPool):
    """Closes the connections to the Sentinels with those to the master."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()
