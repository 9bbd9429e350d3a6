"""Allowances that all workers share: so many requests at once, and so many a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tgecrawler.redis_link import Script

if TYPE_CHECKING:
    from redis.asyncio import Redis

PREFIX = "{tge:1:bucket}:"  # braces: in a cluster all keys lie on one node

# KEYS[1] is the prefix; ARGV: name, capacity, tokens a second, how many are wanted. The hash
# PREFIX..name holds `tokens` as of the moment `at`, by Redis' clock in seconds.
_TAKE = Script("""
local key = KEYS[1] .. ARGV[1]
local capacity, per_s, count = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local held = redis.call('HMGET', key, 'tokens', 'at')
local tokens, at = tonumber(held[1]) or capacity, tonumber(held[2]) or now
tokens = math.min(capacity, tokens + math.max(0, now - at) * per_s)
local wait = 0
if tokens >= count then tokens = tokens - count else wait = (count - tokens) / per_s end
redis.call('HSET', key, 'tokens', tostring(tokens), 'at', now)
redis.call('PEXPIRE', key, math.ceil(capacity / per_s * 1000) + 1000)
return tostring(wait)
""")


class TokenBucket:
    """Buckets by name, which fill by themselves up to their capacity and are full at first."""

    def __init__(self, client: Redis, *, prefix: str = PREFIX) -> None:
        self.client = client
        self.prefix = prefix

    async def take(self, name: str, *, capacity: float, per_s: float, count: float = 1) -> float:
        """Take tokens where there are enough; return 0, or how long until there are, in seconds.

        What is not there is not taken: whoever waits asks again, and may have to wait
        once more, as others took them.

        Raises:
            ValueError: a bucket never holds `count`, or never fills.
            redis.RedisError: Redis does not answer; then tokens may have been taken.
        """
        if not 0 < count <= capacity or per_s <= 0:
            raise ValueError(f"{count:g} of {capacity:g} tokens at {per_s:g} a second")
        wait_s = await _TAKE.run(self.client, [self.prefix], [name, capacity, per_s, count])
        return float(wait_s)
