"""Which addresses a crawler may fetch: public ones, by http or https, and nothing else.

A link that somebody else wrote must not make this process talk to its own
host, to the network behind it, or to a cloud's metadata service. What a name
resolves to is not known here: the transport asks `is_public` again of every
address that it connects to.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import product
from urllib.parse import urlsplit

SCHEMES = ("http", "https")

# IANA's special-purpose registries, without the few blocks on which a public service may answer.
_CLOSED_V4 = tuple(
    IPv4Network(block)
    for block in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # public by its number, but Azure's metadata service from inside
    )
)
# All that is handed out for the Internet lies in 2000::/3; the rest (loopback, unique local, link
# and site local, multicast, v4-compatible, local NAT64, segment routing, …) is closed.
_OPEN_V6 = IPv6Network("2000::/3")
_CLOSED_V6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments, Teredo and ORCHID among them
        "2001:db8::/32",
        "3fff::/20",
        "2002::/16",  # 6to4: ends at whatever IPv4 address it bears
    )
)
# An IPv4 address in its last 32 bits is where a packet ends
_MAPPED, _NAT64 = IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)

# Names that mean this host or this network wherever they are asked
_LOCAL_ENDINGS = (
    *("localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "home"),
    *("lan", "home.arpa"),
)
# Ports of services that take an HTTP request for commands of their own: the "bad ports" of the
# WHATWG fetch standard, and the databases and control ports that are common since.
_CLOSED_PORTS = frozenset(
    (
        *(0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95),
        *(101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161),
        *(179, 389, 427, 445, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556),
        *(563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060),
        *(5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080),
        *(1433, 1521, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 5432, 5672, 5900, 6379, 9042),
        *(9092, 9200, 9300, 10250, 11211, 27017),
    )
)
_DOTS = str.maketrans("。｡．", "...")
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_BLANK = re.compile(r"[\x00-\x20\x7f]|\s")
_V4_BITS, _V4_PARTS = 32, 4


def is_public(ip: str | IPv4Address | IPv6Address) -> bool:
    """Return whether an address belongs to the public Internet.

    An IPv6 address that leads to an IPv4 one (mapped, NAT64) is what that one
    is. Tunnels (6to4, Teredo), v4-compatible addresses, those with a zone and
    what is no address at all are not public.
    """
    try:
        address = ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _CLOSED_V4)
    if address.scope_id is not None:
        return False
    if address in _MAPPED or address in _NAT64:
        return is_public(_last_32_bits(address))
    if address not in _OPEN_V6 or any(address in block for block in _CLOSED_V6):
        return False
    isatap = (int(address) >> _V4_BITS) & 0xFFFFFFFF in _ISATAP
    return not isatap or is_public(_last_32_bits(address))


def _last_32_bits(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)


def refuse_url(url: str, *, allow_private: bool = False) -> str:
    """Return why an address must not be fetched, or "" where it may be.

    A reason is ``why: what``, one line, in which ``why`` is one of characters,
    scheme, credentials, host, port, address. Where parsers of URLs disagree on
    a spelling, it is refused rather than guessed.

    Args:
        allow_private: let hosts of this machine and its networks pass. Nothing
            else changes.
    """
    if _BLANK.search(url):
        return "characters: white space or control characters in the address"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "host: an address that cannot be read"
    if parts.scheme not in SCHEMES:
        return f"scheme: only http and https are fetched, not {parts.scheme[:20] or 'none'}"
    if "@" in parts.netloc:
        return "credentials: a user or a password in the address"
    if "\\" in parts.netloc:
        return "characters: a backslash in the host"
    if port in _CLOSED_PORTS:
        return f"port: {port} is no web server's"
    host = parts.hostname or ""
    if "[" in parts.netloc and ":" not in host:
        return f"host: {host[:60]!a} in brackets is no IPv6 address"
    return refuse_host(host, allow_private=allow_private)


@lru_cache(maxsize=4096)  # asked several times for each request, of the same hosts
def refuse_host(host: str, *, allow_private: bool = False) -> str:
    """Return why a URL's host must not be reached, or ""; see `refuse_url`.

    Args:
        host: as a parser of URLs gives it: without port, and an IPv6 address
            without its brackets.
    """
    if ":" in host:
        return _refuse_addresses(host, [host], allow_private=allow_private)
    name = _plain_name(host)
    if not all(name.split(".")) or not _NAME_CHARACTERS.issuperset(name):
        return f"host: {host[:60]!a} is no host name"
    if _is_number(name.rpartition(".")[2]):
        return _refuse_addresses(host, _read_numbers(name), allow_private=allow_private)
    if allow_private:
        return ""
    if "." not in name or name.endswith(tuple(f".{ending}" for ending in _LOCAL_ENDINGS)):
        return f"address: {name[:60]} is a name of this host or network"
    return ""


def _refuse_addresses(host: str, readings: list[str], *, allow_private: bool) -> str:
    if not readings or not all(_is_address(reading) for reading in readings):
        return f"host: {host[:60]!a} is no address"
    if allow_private or all(is_public(reading) for reading in readings):
        return ""
    return f"address: {host[:60]!a} is not public"


def _is_address(reading: str) -> bool:
    try:
        ip_address(reading)
    except ValueError:
        return False
    return "%" not in reading  # a zone is of this machine's interfaces


def _plain_name(host: str) -> str:
    """Return a host as a resolver is asked for it, or "" where it cannot be one.

    Full-width letters, digits and dots become plain ones and invisible
    characters vanish, as they do in every client that speaks IDNA.
    """
    plain = unicodedata.normalize("NFKC", host.translate(_DOTS)).translate(_DOTS).lower()
    plain = plain.rstrip(".")
    if plain.isascii():
        return plain
    try:
        return plain.encode("idna").decode("ascii").lower().rstrip(".")
    except UnicodeError:
        return ""


def _is_number(label: str) -> bool:
    """Return whether a last label makes a host an IPv4 address, as the WHATWG says."""
    digits = label.removeprefix("0x")
    return label.isdecimal() or (digits != label and set(digits) <= set("0123456789abcdef"))


def _read_numbers(name: str) -> list[str]:
    """Return every IPv4 address as which a numeric host can be read; none where it is no address.

    The rules are those of ``inet_aton``: one to four numbers, decimal, octal
    after a leading zero, or hexadecimal, the last of which fills what is left.
    Some clients read a leading zero as decimal, so that both count.
    """
    parts = name.split(".")
    if len(parts) > _V4_PARTS:
        return []
    readings = (_join_numbers(numbers) for numbers in product(*(_values(part) for part in parts)))
    return [reading for reading in readings if reading]


def _values(part: str) -> list[int]:
    if len(part) > _V4_BITS or not _is_number(part):
        return []
    if part.startswith("0x"):
        return [int(part[2:] or "0", 16)]
    octal = [int(part, 8)] if part.startswith("0") and set(part) <= set("01234567") else []
    return [*octal, int(part)] if not octal or octal[0] != int(part) else octal


def _join_numbers(numbers: tuple[int, ...]) -> str:
    *firsts, last = numbers
    bits = 8 * (_V4_PARTS - len(firsts))
    if any(number > 255 for number in firsts) or last >= 1 << bits:
        return ""
    packed = sum(number << (24 - 8 * place) for place, number in enumerate(firsts)) + last
    return str(IPv4Address(packed))
