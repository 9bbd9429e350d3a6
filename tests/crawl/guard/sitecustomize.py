"""Put before a tested process: it reaches loopback only, and every other attempt is noted."""

import ipaddress
import os
import socket

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex
_getaddrinfo = socket.getaddrinfo


def _note(variable: str, address: object) -> None:
    with open(os.environ[variable], "a", encoding="utf-8") as log:
        log.write(f"{address}\n")


def _refuse_far(sock: socket.socket, address: object) -> None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    if not ipaddress.ip_address(address[0]).is_loopback:  # type: ignore[index]
        _note("NETWORK_ATTEMPTS", address)
        raise ConnectionRefusedError("tests reach loopback only")


def connect(sock, address):
    _refuse_far(sock, address)
    return _connect(sock, address)


def connect_ex(sock, address):
    _refuse_far(sock, address)
    return _connect_ex(sock, address)


def getaddrinfo(host, *args, **kwargs):
    # names are resolved by the machine's resolver, which would ask the network
    try:
        numeric = host is None or ipaddress.ip_address(host)
    except ValueError:
        numeric = host == "localhost"
    if not numeric:
        _note("NETWORK_LOOKUPS", host)
        raise socket.gaierror(socket.EAI_NONAME, "tests resolve no names")
    return _getaddrinfo(host, *args, **kwargs)


socket.socket.connect = connect  # type: ignore[method-assign]
socket.socket.connect_ex = connect_ex  # type: ignore[method-assign]
socket.getaddrinfo = getaddrinfo  # type: ignore[assignment]
