"""What befalls the writers of ``chaos.py``; each runs as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Protocol, Self

from chaos import Damage

from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.readiness import ensure_schema

CHAOS = Path(__file__).with_name("chaos.py")
PACE = 0.05  # of the pauses between attempts: a short outage is to outlast them
PATIENCE_S = 300


class Server(Protocol):
    """A database server that can be ended and started; see tests/services."""

    def start(self) -> None: ...
    def stop(self, how: signal.Signals = ...) -> None: ...


def kill(url: str, folder: Path, *, times: int, seed: int) -> Damage:
    """Kill writers so many times; return what came of it."""
    command = [sys.executable, str(CHAOS), "kill", url, str(folder)]
    command += ["--times", str(times), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S + 5 * times)
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    return Damage(**json.loads(done.stdout))


class Child:
    """A writer in a process of its own, which ends with the block at the latest.

    Attributes:
        confirmed: how many batches it has stored or kept.
        said: what it logged, once it has ended.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        first: int = 0,
        preexec_fn: Any = None,
        **options: float | Path,
    ) -> None:
        command = [sys.executable, "-B", str(CHAOS), "write", url, str(folder)]
        options = {"first": first, "pace": PACE, **options}
        command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=preexec_fn,
        )
        self.confirmed = first
        self.said = ""
        self.last = ""
        self._reader = threading.Thread(target=self._read_errors)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def read_until(self, number: int) -> None:
        """Wait until a batch is confirmed, or until it ends."""
        while self.confirmed <= number and self._read():
            pass
        if self.confirmed <= number:
            self.process.wait()
            self._reader.join()
            raise RuntimeError(f"it ended at batch {self.confirmed}: {self.said[-2_000:]}")

    def wait_until_stopped(self) -> None:
        """Wait until it stands still; it is not at its end."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        while (state := stat.read_text().rpartition(")")[2].split()[0]) != "T":
            if state == "Z":
                raise RuntimeError(f"it ended: {self.said[-2_000:]}")
            time.sleep(0.01)

    def wait(self) -> None:
        """Wait until it ends."""
        while self._read():
            pass
        self.process.wait()
        self._reader.join()

    def finish(self) -> None:
        """Wait until everything is stored."""
        self.wait()
        if self.last != "done 0":
            raise RuntimeError(f"it ended with {self.last!r}: {self.said[-2_000:]}")

    def _read(self) -> bool:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line.strip():
            self.last = line.strip()
        if line.strip().isdecimal():
            self.confirmed = int(line) + 1
        return bool(line)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line


def outages(
    server: Server, url: str, folder: Path, *, times: int, away_s: float
) -> tuple[int, str]:
    """Stop and start a server so many times, and kill the writer in every third outage.

    Returns how many batches are to be there, and what the writers said.
    """
    first, said = 0, ""
    given: dict[str, Any] = {"pause": 0.05, "enough": folder / "enough"}
    for turn in range(times):
        with Child(url, folder, first=first, **given) as child:
            child.read_until(first + 2)
            server.stop(signal.SIGQUIT if turn % 2 else signal.SIGINT)  # a crash, and in order
            try:
                child.read_until(child.confirmed + 3)  # which can only be kept
                time.sleep(away_s)
                if turn % 3 == 2:
                    child.process.kill()
            finally:
                server.start()
            if turn % 3 != 2:
                child.read_until(child.confirmed + 3)
                (folder / "enough").touch()
            child.wait()
            (folder / "enough").unlink(missing_ok=True)
        first, said = child.confirmed, said + child.said
    with Child(url, folder, first=first, batches=first + 1) as child:
        child.finish()
    return child.confirmed, said


def pauses(url: str, folder: Path, *, still_s: float, server: int | None) -> int:
    """Let two writers write the same, stop one within a transaction, then the server as well.

    Args:
        server: the server's process, where there is one.

    Returns how many batches are to be there.
    """
    batches = 25
    engine = create_engine(url)
    ensure_schema(engine)  # or the second could be kept from starting by the first, which is still
    engine.dispose()
    with (
        Child(url, folder / "one", batches=batches, pause=0.01, halt=5) as one,
        Child(url, folder / "two", batches=batches, pause=0.01) as two,
    ):
        one.wait_until_stopped()
        time.sleep(still_s)
        one.process.send_signal(signal.SIGCONT)
        if server is not None:
            stopped = [server, *_children(server)]
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(still_s / 3)
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        one.finish()
        two.finish()
    return batches


def _children(parent: int) -> list[int]:
    """Return the processes that a process has started."""
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in text.split()]
