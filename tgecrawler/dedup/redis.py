"""The index of near copies in Redis, for several processes over one database."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from tgecrawler.dedup.index import MOST_CANDIDATES, NearCopy
from tgecrawler.domain.near_duplicate import are_copies, band_keys, similarity
from tgecrawler.errors import NearIndexError
from tgecrawler.redis_link import REDIS_FAILURES, Script, connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime, timedelta

    from redis import Redis
    from redis.client import Pipeline

_MOMENT = struct.Struct("<d")
DAY_S = 86_400
PREFIX = "{tge:near}"  # braces: in a cluster all keys lie on one node, as one step needs it
RETRIES = 3  # all that is written here bears to be written twice
COMMANDS_AT_ONCE = 10_000  # sent together when an empty server is filled

# ARGV: id, moment, earliest and latest moment of a copy, seconds until it expires, most
# candidates, value, keys of bands. Returns the ids of those that share a band, sorted, each with
# its value. A hundred commands in a MULTI took 1.3 ms of the processor here, this takes 0.16.
_MATCH = """
local prefix, id, moment, earliest, latest = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local expire_s, most, is_found, ids = ARGV[5], tonumber(ARGV[6]), {[id] = true}, {}
for at = 8, #ARGV do
  local band = prefix .. ':band:' .. ARGV[at]
  -- the newest of too many; one more, as the mention itself may be there
  local members = redis.call('ZREVRANGEBYSCORE', band, latest, earliest, 'LIMIT', 0, most + 1)
  for _, member in ipairs(members) do
    if not is_found[member] then
      is_found[member] = true
      ids[#ids + 1] = member
    end
  end
  redis.call('ZADD', band, moment, id)
  redis.call('EXPIRE', band, expire_s)
end
redis.call('SET', prefix .. ':print:' .. id, ARGV[7], 'EX', expire_s)
table.sort(ids)
local found = {}
for at = 1, math.min(#ids, most) do
  local value = redis.call('GET', prefix .. ':print:' .. ids[at])
  if value then
    found[#found + 1] = ids[at]
    found[#found + 1] = value
  end
end
return found
"""


class RedisIndex:
    """Near copies among all that any process has added; see `NearIndex`.

    A mention's bands and its fingerprint are written and the others' read in one
    step: of two processes that meet the same story at once, the second one sees
    the first one's. Keys (``prefix:band:…``, ``prefix:print:…``) expire a day
    after the window, so Redis needs no cleaning; what expired too early only
    costs a copy that passes for an original.

    Args:
        client: with ``decode_responses`` off.
        window: how far apart in time two copies may have been told.
    """

    _match = Script(_MATCH)

    def __init__(self, client: Redis, window: timedelta, *, prefix: str = PREFIX) -> None:
        self.client = client
        self.window_s = window.total_seconds()
        self.expire_s = int(self.window_s) + DAY_S
        self.prefix = prefix

    @classmethod
    def at(cls, url: str, window: timedelta) -> Self:
        """Return the index of a server; nothing connects before its first use.

        Raises:
            ValueError: the address is none of a Redis server.
        """
        return cls(connect(url, retries=RETRIES), window)

    def match_and_add(self, id: str, fingerprint: bytes, told_at: datetime) -> list[NearCopy]:
        """Return the near copies of a mention by id, and keep it; see `NearIndex`.

        Raises:
            NearIndexError: the server cannot be used; nothing is lost by trying again.
        """
        keys = band_keys(fingerprint)
        if not keys:
            return []
        moment = told_at.timestamp()
        with _named_failure():
            found: list[bytes] = self._match.run_blocking(
                self.client,
                [self.prefix],
                [
                    *(id, repr(moment), repr(moment - self.window_s), repr(moment + self.window_s)),
                    *(self.expire_s, MOST_CANDIDATES, _packed(moment, fingerprint)),
                    *(f"{key:016x}" for key in keys),
                ],
            )
        copies = []
        for other, value in zip(found[::2], found[1::2], strict=True):
            if len(value) <= _MOMENT.size:
                continue  # none of ours
            (told,) = _MOMENT.unpack_from(value)
            other_print = value[_MOMENT.size :]
            if abs(told - moment) <= self.window_s and are_copies(fingerprint, other_print):
                copies.append(NearCopy(other.decode(), similarity(fingerprint, other_print)))
        return copies

    def load_once(self, rows: Iterable[tuple[str, bytes, datetime]]) -> int:
        """Add mentions where the server is empty, as it is after a loss; return how many.

        Of several processes that start together one does it, and none waits.

        Raises:
            NearIndexError: the server cannot be used.
        """
        with _named_failure():
            return self._load_once(rows)

    def _load_once(self, rows: Iterable[tuple[str, bytes, datetime]]) -> int:
        marker = f"{self.prefix}:loaded"
        if not self.client.set(marker, b"1", nx=True, ex=self.expire_s):
            return 0
        count = 0
        with self.client.pipeline(transaction=False) as batch:
            for id_, fingerprint, told_at in rows:
                if keys := band_keys(fingerprint):
                    self._queue(batch, id_, told_at.timestamp(), fingerprint, keys)
                    count += 1
                if len(batch) >= COMMANDS_AT_ONCE:
                    batch.execute()
            batch.execute()
        return count

    def _queue(
        self, batch: Pipeline, id_: str, moment: float, fingerprint: bytes, keys: tuple[int, ...]
    ) -> None:
        batch.set(f"{self.prefix}:print:{id_}", _packed(moment, fingerprint), ex=self.expire_s)
        for key in keys:
            batch.zadd(self._band(key), {id_: moment})
            batch.expire(self._band(key), self.expire_s)

    def _band(self, key: int) -> str:
        return f"{self.prefix}:band:{key:016x}"


def _packed(moment: float, fingerprint: bytes) -> bytes:
    return _MOMENT.pack(moment) + fingerprint


@contextmanager
def _named_failure() -> Iterator[None]:
    """Raise what Redis raises under a name that its callers can have without loading Redis."""
    try:
        yield
    except REDIS_FAILURES as error:
        raise NearIndexError(str(error)) from error
