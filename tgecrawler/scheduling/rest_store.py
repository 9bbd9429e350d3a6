"""Rests that outlive the process, and that reach its neighbours."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from tgecrawler.domain.politeness import FORGIVING_QUIET

if TYPE_CHECKING:
    from tgecrawler.domain.politeness import HostState

RECALL_EVERY_S = 10.0  # how soon a rest that a neighbour met is heard of


class RestStore(Protocol):
    """Where rests are kept. Neither method raises: what is lost is found out anew."""

    def load(self, host: str) -> bytes | None:
        """Return what was saved for a host; None where there is nothing."""

    def save(self, host: str, content: bytes, ttl_s: float) -> None:
        """Keep a host's record for at least `ttl_s` seconds."""


class RestMemory:
    """Reads and writes the rests of hosts; without a store it does nothing."""

    def __init__(self, store: RestStore | None) -> None:
        self.store = store
        self._recalled_tick_s: dict[str, float] = {}

    def recall(self, host: str, state: HostState, tick_s: float) -> None:
        """Take over what the store knows of a host, at most every `RECALL_EVERY_S`."""
        if self.store is None:
            return
        recalled_s = self._recalled_tick_s.get(host)
        if recalled_s is not None and tick_s - recalled_s < RECALL_EVERY_S:
            return
        self._recalled_tick_s[host] = tick_s
        if content := self.store.load(host):
            _take_over(content, state)

    def keep(self, host: str, state: HostState, at: datetime) -> None:
        """Write a host's rest and strikes; they live until both would be forgiven."""
        if self.store is None:
            return
        record = {
            "until": _seconds_of(state.rests_until),
            "struck": _seconds_of(state.struck_at),
            "strikes": state.strikes,
        }
        quiet_s = FORGIVING_QUIET.total_seconds() * state.strikes.bit_length()
        ttl_s = state.rest_left_s(at) + quiet_s
        self.store.save(host, json.dumps(record).encode(), max(ttl_s, 1.0))

    def forget(self, host: str) -> None:
        """Read the host's record anew when it is met again."""
        self._recalled_tick_s.pop(host, None)


def _take_over(content: bytes, state: HostState) -> None:
    """Let the later rest hold, and the strikes of whoever was refused last."""
    try:
        record: dict[str, Any] = json.loads(content)
        until, struck_at = (_moment_of(record[name]) for name in ("until", "struck"))
        strikes = int(record["strikes"])
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return  # of another version, or broken
    if until is not None:
        state.rest(until)
    if struck_at is not None and (state.struck_at is None or struck_at > state.struck_at):
        state.strikes, state.struck_at = max(0, strikes), struck_at


def _seconds_of(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _moment_of(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
