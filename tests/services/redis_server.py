"""A Redis server of the tests' own, on a free port of 127.0.0.1."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from redis import Redis, RedisError

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RedisServer:
    """Keeps nothing on disk; ``stop`` ends it, ``start`` begins with an empty one.

    Args:
        options: more of a redis-server's command line, as ``"--appendonly", "yes"``,
            with which it keeps its keys over a stop or a kill.
        password: what ``default``, the user of whoever names none, has to say.
        config: a file to start from, as a Sentinel needs one, which is named by "--sentinel".
    """

    def __init__(
        self, folder: Path, *options: str, password: str = "", config: Path | None = None
    ) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.options = (*options, *(("--requirepass", password) if password else ()))
        self.password = password
        self.config = config
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def binary() -> str | None:
        return shutil.which("redis-server")

    @property
    def url(self) -> str:
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    @property
    def log(self) -> str:
        return (self.folder / "redis.log").read_text(errors="replace")

    def start(self, *, wait: bool = True) -> None:
        command = [str(self.binary()), *([str(self.config)] if self.config else [])]
        command += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        if self.config is None:
            command += ["--save", "", "--appendonly", "no"]
        command += self.options
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Return once it answers."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError(self.log)
            if time.monotonic() > deadline:
                raise RuntimeError(self.log)
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self) -> None:
        """End it without a word, as a loss of power would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Let it hang: connections stay, and nothing is answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def command(self, *words: object) -> object:
        """Return what the server answers to a command."""
        with self.client() as client:
            return client.execute_command(*words)

    def client(self) -> Redis:
        return Redis.from_url(self.url)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisError:
            return False
