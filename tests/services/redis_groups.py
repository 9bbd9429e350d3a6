"""Several Redis servers that belong together, and a server that speaks TLS."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis_server import START_TIMEOUT_S, RedisServer, free_port

SERVICE = "crawl"
SLOTS = 16_384


class TlsServer(RedisServer):
    """Takes connections with TLS alone; its authority is the file `authority`."""

    def __init__(self, folder: Path) -> None:
        self.authority, key, certificate = make_certificates(folder)
        super().__init__(
            folder,
            *("--tls-auth-clients", "no", "--tls-ca-cert-file", str(self.authority)),
            *("--tls-key-file", str(key), "--tls-cert-file", str(certificate)),
        )
        self.options += ("--tls-port", str(self.port), "--port", "0")

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={self.authority}"


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Return an authority's certificate, and key and certificate of 127.0.0.1 by it."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("ca.key", "ca.crt", "server.key", "server.csr", "server.crt", "server.ext")
    ca_key, ca, key, request, certificate, extensions = (folder / name for name in names)
    extensions.write_text("subjectAltName=IP:127.0.0.1\n")
    fresh = ("req", "-newkey", "rsa:2048", "-nodes", "-batch")
    basic = ("-addext", "keyUsage=critical,keyCertSign")
    openssl(*fresh, "-x509", *basic, "-subj", "/CN=tests", "-keyout", ca_key, "-out", ca)
    openssl(*fresh, "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", request)
    openssl(
        *("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial"),
        *("-extfile", extensions, "-out", certificate),
    )
    return ca, key, certificate


def openssl(*words: object) -> None:
    subprocess.run(
        [str(shutil.which("openssl")), *map(str, words)], check=True, capture_output=True
    )


class Watched:
    """A master, its replica, and one Sentinel that puts the one in the other's place."""

    def __init__(self, folder: Path, *, password: str = "") -> None:
        self.password = password
        self.master = RedisServer(folder / "master", password=password)
        following = ["--replicaof", "127.0.0.1", str(self.master.port)]
        following += ["--masterauth", password] if password else []
        # at once, and not after five seconds in which more replicas could ask as well
        following += ["--repl-diskless-sync-delay", "0"]
        self.replica = RedisServer(folder / "replica", *following, password=password)
        config = folder / "sentinel.conf"
        config.write_text(
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.master.port} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 500\n"
            f"sentinel failover-timeout {SERVICE} 2000\n"
            + (f"sentinel auth-pass {SERVICE} {password}\n" if password else "")
        )
        self.sentinel = RedisServer(folder / "sentinel", "--sentinel", config=config)

    @property
    def url(self) -> str:
        login = f":{self.password}@" if self.password else ""
        places = f"127.0.0.1:1,127.0.0.1:{self.sentinel.port}"  # the first one is not there
        return f"redis+sentinel://{login}{places}/{SERVICE}/0"

    def start(self) -> None:
        self.master.options += ("--repl-diskless-sync-delay", "0")
        for server in (self.master, self.replica, self.sentinel):
            server.start()
        wait_until(lambda: b"master_link_status:up" in self._replication(), self.replica)
        wait_until(lambda: self._replicas_known() == 1, self.sentinel)

    def stop(self) -> None:
        for server in (self.sentinel, self.replica, self.master):
            server.stop()

    def _replication(self) -> bytes:
        with self.replica.client() as client:
            client.response_callbacks.clear()
            return bytes(client.execute_command("INFO", "replication"))

    def _replicas_known(self) -> int:
        with self.sentinel.client() as client:
            return len(client.sentinel_slaves(SERVICE))


class Cluster:
    """Nodes that share all slots, without replicas."""

    def __init__(self, folder: Path, nodes: int = 3) -> None:
        self.nodes: list[RedisServer] = []
        self.bus: list[int] = []
        for number in range(nodes):
            bus = free_port()  # the usual one, 10,000 above the port, may be none
            clustered = ("--cluster-enabled", "yes", "--cluster-port", str(bus))
            self.nodes.append(RedisServer(folder / f"node{number}", *clustered))
            self.bus.append(bus)

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:1,127.0.0.1:{self.nodes[0].port}"

    def start(self) -> None:
        step = -(-SLOTS // len(self.nodes))
        for number, node in enumerate(self.nodes):
            node.start()
            last = min((number + 1) * step, SLOTS) - 1
            node.command("CLUSTER", "ADDSLOTSRANGE", number * step, last)
        for node, bus in zip(self.nodes[1:], self.bus[1:], strict=True):
            self.nodes[0].command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        for node in self.nodes:
            self.wait(node)

    def wait(self, node: RedisServer) -> None:
        """Return once a node finds all slots served."""
        wait_until(lambda: self._state_of(node) == "ok", node)

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    @staticmethod
    def _state_of(node: RedisServer) -> str:
        with node.client() as client:
            told = client.execute_command("CLUSTER INFO")
        return str(told["cluster_state"])


def wait_until(holds, server: RedisServer) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(server.log)
        time.sleep(0.05)


@contextmanager
def running(group) -> Iterator:
    """Start a server or a group of them, and stop it at the end."""
    try:
        group.start()
        yield group
    finally:
        group.stop()
