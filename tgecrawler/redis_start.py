"""What a starting process asks of Redis: that it answers, and is fit for a crawl."""

from __future__ import annotations

import logging
import re
import ssl
import time
from typing import TYPE_CHECKING, Any

from redis import AuthenticationError, ResponseError
from redis.exceptions import (
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    ClusterDownError,
    NoPermissionError,
)

from tgecrawler.errors import OptionError, RedisUnavailableError
from tgecrawler.redis_link import REDIS_FAILURES, connect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

logger = logging.getLogger(__name__)

OLDEST_VERSION = (6, 2)
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
_REFUSALS = (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    NoPermissionError,
)


def await_redis(url: str, longest_s: float, *, option: str = "TGE_REDIS_URL") -> None:
    """Return once the Redis of an address answers; loud where it may lose what we keep there.

    Raises:
        OptionError: the address is none.
        RedisUnavailableError: see `wait_until_up`.
    """
    try:
        client = connect(url)
    except ValueError as error:
        raise OptionError(f"{option}: {error}") from None
    try:
        wait_until_up(client, longest_s, option=option)
    finally:
        client.close()


def wait_until_up(client: Redis, longest_s: float, *, option: str = "TGE_REDIS_URL") -> None:
    """Return once a Redis answers and was looked at; blocks.

    While it does not answer it is asked again after pauses of `FIRST_PAUSE_S`,
    doubling to `LONGEST_PAUSE_S`. What only an operator can mend (a wrong password, an
    unknown certificate, an old version) is not waited for.

    Raises:
        RedisUnavailableError: it does not answer within `longest_s`, or refuses us.
    """
    began_s, pause_s, said = time.monotonic(), FIRST_PAUSE_S, False
    while True:
        try:
            client.ping()
            _look_at(client, option)
            return
        except REDIS_FAILURES as error:
            if hopeless := _hopeless(error):
                raise RedisUnavailableError(f"{option}: {hopeless} ({_line(error)})") from error
            left_s = began_s + longest_s - time.monotonic()
            if left_s <= 0:
                raise RedisUnavailableError(
                    f"{option}: Redis has not answered for {longest_s:g} s ({_line(error)}); "
                    f"start it or correct the address, or leave {option} empty to crawl with "
                    "one process"
                ) from error
            if not said:
                said = True
                logger.warning(
                    "%s: Redis does not answer (%s); waiting up to %g s for it",
                    *(option, _line(error), longest_s),
                )
        time.sleep(min(pause_s, left_s))
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def weaknesses(info: Mapping[str, Any], save: str | None) -> list[str]:
    """Return what of a server's configuration may lose keys of ours, a line for each.

    Args:
        info: what INFO says.
        save: the configuration of that name; None where it is not told.
    """
    found = []
    if not int(info.get("aof_enabled", 0)) and save == "":
        found.append(
            'Redis keeps nothing on disk (appendonly no, save ""): a restart of it forgets the '
            "queue and what was seen; set appendonly yes"
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if int(info.get("maxmemory", 0)) and policy != "noeviction":
        found.append(
            f"Redis throws keys away when its memory is full (maxmemory-policy {policy}), and "
            "with them requests; set maxmemory-policy noeviction"
        )
    return found


def _look_at(client: Redis, option: str) -> None:
    """Warn of what may lose keys.

    Raises:
        RedisUnavailableError: the version is too old.
    """
    info: Any = client.info()
    version = str(info.get("redis_version", ""))
    found = re.match(r"(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < OLDEST_VERSION:
        needed = ".".join(map(str, OLDEST_VERSION))
        raise RedisUnavailableError(
            f"{option}: this is Redis {version}, and {needed} or newer is needed"
        )
    for weakness in weaknesses(info, _saving(client)):
        logger.warning("%s: %s", option, weakness)


def _saving(client: Redis) -> str | None:
    try:
        told: Any = client.config_get("save")
    except ResponseError:  # hosted servers keep their configuration to themselves
        return None
    save = told.get("save")
    return None if save is None else str(save)


def _hopeless(error: Exception) -> str:
    """Return what an operator has to mend first; "" where waiting may help."""
    if isinstance(error, _REFUSALS):
        return "Redis refuses the user or the password of the address"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "the certificate of Redis is not trusted; name its authority in ssl_ca_certs"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, ResponseError) and not isinstance(error, ClusterDownError):
        return "Redis does not take our commands"
    return ""


def _line(error: Exception) -> str:
    """Return an error in one line; redis-py names hosts in it, and no password."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"
