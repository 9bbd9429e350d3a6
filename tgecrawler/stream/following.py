"""Alerts as they are committed, for ``scrapy alerts --follow``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import orjson

from tgecrawler.errors import ArgumentError, RedisUnavailableError
from tgecrawler.redis_link import REDIS_FAILURES, connect
from tgecrawler.stream.reader import StreamReader, Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tgecrawler.stream.messages import Message

PAUSE_S = 1.0


def follow_alerts(
    url: str, group: str, *, json: bool, is_wanted: Callable[[dict[str, Any]], bool]
) -> None:
    """Print alerts that are new or changed until the user has seen enough.

    Args:
        group: reads on where it stopped, from the beginning at its first time; "" for all
            that comes from now on.

    Raises:
        ArgumentError, RedisUnavailableError: there is no Redis, or it does not answer now.
    """
    if not url:
        raise ArgumentError("--follow listens to the Redis of TGE_REDIS_URL, which is not set")
    try:
        client = connect(url)
    except ValueError as error:
        raise ArgumentError(f"TGE_REDIS_URL: {error}") from None
    reader = StreamReader(client, group) if group else Tail(client)
    try:
        client.ping()
    except REDIS_FAILURES as error:
        raise RedisUnavailableError(f"TGE_REDIS_URL: Redis does not answer ({error})") from None
    try:
        for messages in _batches(reader):
            for message in messages:
                if message.kind == "alert" and message.body:
                    _show(message, is_wanted, json=json)
            sys.stdout.flush()  # what nobody has seen yet must not count as handled
            if isinstance(reader, StreamReader):
                reader.acknowledge(messages)
    except KeyboardInterrupt:
        pass
    finally:
        client.close()


def _batches(reader: StreamReader | Tail) -> Iterator[list[Message]]:
    """Yield messages for ever, also where Redis is away for a while."""
    is_away = False
    while True:
        try:
            messages = reader.read()
        except REDIS_FAILURES as error:
            if not is_away:
                print(f"waiting for Redis: {error}", file=sys.stderr)
            is_away = True
            time.sleep(PAUSE_S)
        else:
            is_away = False
            yield messages


def _show(message: Message, is_wanted: Callable[[dict[str, Any]], bool], *, json: bool) -> None:
    alert = message.body or {}
    try:
        if is_wanted(alert):
            print(orjson.dumps(alert).decode() if json else _line(message, alert))
    except (LookupError, TypeError, AttributeError):  # it would come back to the group for ever
        print(f"passing over {message.id}, which is no alert of ours", file=sys.stderr)


def _line(message: Message, alert: dict[str, Any]) -> str:
    when = str(alert["published_at"] or alert["seen_at"])[:16].replace("T", " ")
    who = ", ".join(alert["companies"]) or alert["project"]
    what = f"{alert['kind']}, {alert['status']}"
    mark = "" if message.change == "new" else " (changed)"
    return f"{when}  {what}{mark}  {who}: {alert['title']}  {alert['url']}"
