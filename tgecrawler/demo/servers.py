"""A Redis and a PostgreSQL of one's own, from the system's programs, gone when they are left."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis import Redis, RedisError

from tgecrawler.errors import DatabaseError, UserError
from tgecrawler.storage.engine import create_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_S = 60.0
STOP_S = 15.0
FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/*postgres*/bin")
SERVER_USERS = ("postgres", "nobody")  # PostgreSQL refuses to run as root
NEEDED = {
    "redis-server": "install Redis 6.2 or newer (Debian: apt-get install redis-server)",
    "postgres": "install PostgreSQL 15 or newer (Debian: apt-get install postgresql)",
}


class MissingProgramError(UserError):
    """A server that is not on this machine; says what to install."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no {name} on this machine; {NEEDED[name]}")


def find_redis() -> Path:
    """Return the server's program.

    Raises:
        MissingProgramError: there is none.
    """
    found = shutil.which("redis-server")
    if found is None:
        raise MissingProgramError("redis-server")
    return Path(found)


def find_postgresql() -> Path:
    """Return the folder of the newest server's programs.

    Raises:
        MissingProgramError: there is none.
    """
    folders = [path for pattern in FOLDERS for path in Path("/").glob(pattern)]
    folders.sort(key=_version, reverse=True)
    folders += [Path(name) for name in os.environ.get("PATH", "").split(os.pathsep) if name]
    for folder in folders:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise MissingProgramError("postgres")


@contextmanager
def private_redis(program: Path, folder: Path) -> Iterator[str]:
    """Yield the URL of a Redis that keeps its append-only file in a folder.

    Raises:
        UserError: it does not start; says where its log is.
    """
    folder.mkdir(parents=True)
    port, password = _free_port(), secrets.token_urlsafe(24)
    configuration = folder / "redis.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {_quoted(folder.resolve())}\n"
        'save ""\nappendonly yes\nappendfsync everysec\nmaxmemory 256mb\n'
        "maxmemory-policy noeviction\n",
        encoding="utf-8",
    )
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    with _running([str(program), str(configuration)], folder / "redis.log", _answers_redis(url)):
        yield url


@contextmanager
def private_postgresql(programs: Path, log: Path) -> Iterator[str]:
    """Yield the URL of an empty database; its server listens on a socket, and on no port.

    Raises:
        UserError: it does not start; says where its log is.
    """
    # In the system's folder: root's own ones could not be entered by the server's user,
    # and the path of a socket is at most 107 characters long.
    folder = Path(tempfile.mkdtemp(prefix="tge-pg-"))
    try:
        given: dict[str, Any] = {"cwd": folder, "env": _environment(folder), **_identity(folder)}
        command = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "tge"]
        command += ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        with log.open("ab") as output:
            made = subprocess.run(command, stdout=output, stderr=output, check=False, **given)
        if made.returncode:
            raise UserError(f"initdb failed; see {log}")
        url = f"postgresql://tge@/postgres?host={folder}"
        # nothing outlives the demo, so nothing need reach the disk
        settings = ("listen_addresses=", "fsync=off", f"unix_socket_directories={folder}")
        server = [str(programs / "postgres"), "-D", str(folder / "data")]
        server += [part for setting in settings for part in ("-c", setting)]
        with _running(server, log, _answers_postgresql(url), end=signal.SIGINT, **given):
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(
    command: list[str],
    log: Path,
    answers: Callable[[], bool],
    *,
    end: signal.Signals = signal.SIGTERM,
    **given: Any,
) -> Iterator[None]:
    """Run a server in a session of its own, where no Ctrl-C reaches it before its users."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, start_new_session=True, **given
        )
    try:
        give_up_s = time.monotonic() + START_S
        while not answers():
            if process.poll() is not None or time.monotonic() > give_up_s:
                raise UserError(f"{Path(command[0]).name} does not start; see {log}")
            time.sleep(0.05)
        yield
    finally:
        stop(process, end)


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    """End a process of ours: in order, if it does so in time."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _answers_redis(url: str) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            with Redis.from_url(url) as client:
                return bool(client.ping())
        except RedisError:
            return False

    return answers


def _answers_postgresql(url: str) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            create_engine(url).dispose()
        except DatabaseError:
            return False
        return True

    return answers


def _identity(folder: Path) -> dict[str, Any]:
    """Return the arguments that let root start a server which refuses to be root's.

    Raises:
        UserError: there is nobody whose it could be.
    """
    if os.geteuid() != 0:
        return {}
    for name in SERVER_USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, user.pw_uid, user.pw_gid)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise UserError("PostgreSQL does not run as root; run this as another user")


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": str(folder)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(
        int(part)
        for part in "".join(letter if letter.isdigit() else " " for letter in str(folder)).split()
    )
