"""The kinds of value that a setting can have. A kind takes a TOML value and returns the setting's, or raises
`ValueError` with what was expected."""

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from sip.uri import host_port

Kind = Callable[[object], object]
Network = IPv4Network | IPv6Network

LISTEN_TRANSPORTS = ("udp", "tcp", "tls", "ws", "wss")
TRUNK_TRANSPORTS = ("udp", "tcp", "tls")
GATED = ("PCMU", "PCMA", "L16", "G722", "OPUS")


class Endpoint(NamedTuple):
    """A transport, an address and a port, as `sip.listen` has them."""

    transport: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.transport}:{host_port(self.address, self.port)}"


def split_port(text: str) -> tuple[str, int | None]:
    """Host and port, None where the text has no port. ValueError for a port that is none."""
    found = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?", text)
    if found is None or (found[2] and int(found[2]) > 65535):
        raise ValueError("expected a host and a port")
    return found[1].strip("[]"), int(found[2]) if found[2] else None


def text(value: object) -> str:
    """A text that may be empty."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("expected a text in quotes, without control characters")
    return value


def word(value: object) -> str:
    """A text that is not empty and has no space at its ends."""
    if not isinstance(value, str) or not value.isprintable() or not value or value != value.strip():
        raise ValueError(
            "expected a text in quotes that is not empty, without control characters and spaces at its ends"
        )
    return value


def identifier(value: object) -> str:
    """What can stand in the path of a URL."""
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z0-9_.~-]+", value):
        raise ValueError("expected a text of letters, digits and - _ . ~")
    return value


def username(value: object) -> str:
    """A user of HTTP Basic, which ends the name at the first colon."""
    if ":" in word(value):
        raise ValueError("expected a text without a colon")
    return word(value)


def user_name(value: object) -> str:
    """What stands before the @ of a SIP address without being escaped there."""
    if re.search(r'[\s@:;<>"\\%]', word(value)):
        raise ValueError('expected a name without spaces and without any of @ : ; < > " \\ %')
    return word(value)


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def whole(least: int, most: int) -> Kind:
    """A whole number within bounds."""

    def kind(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"expected a whole number from {least} to {most}")
        return value

    return kind


def number(least: float, most: float) -> Kind:
    """A number within bounds."""

    def kind(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ValueError(f"expected a number from {least:g} to {most:g}")
        return float(value)

    return kind


def choice(*names: str) -> Kind:
    """One of several texts."""

    def kind(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError("expected " + " or ".join(f'"{name}"' for name in names))
        return value

    return kind


class WrongEntries(ValueError):
    """What was expected of single entries of a list, by their index from 0."""

    def __init__(self, expected: Mapping[int, str]) -> None:
        super().__init__("; ".join(expected.values()))
        self.expected = expected


def each(kind: Kind, example: str, *, some: bool = False, once: bool = False) -> Kind:
    """A list whose entries are of one kind. `example`: of such a list; `some`: there is an entry at least;
    `once`: no two are the same. Raises `WrongEntries` where the fault is in entries."""

    def read(value: object) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise ValueError(f"expected a list such as {example}")
        if some and not value:
            raise ValueError(f"expected at least one entry, such as {example}")
        found: list[object] = []
        expected: dict[int, str] = {}
        for index, item in enumerate(value):
            try:
                entry = kind(item)
            except ValueError as error:
                expected[index] = str(error)
                continue
            if once and entry in found:
                expected[index] = "expected each entry once"
            found.append(entry)
        if expected:
            raise WrongEntries(expected)
        return tuple(found)

    return read


def network(value: object) -> Network:
    """A network; an address is a network of one, host bits are dropped."""
    try:
        return ip_network(word(value), strict=False)
    except ValueError:
        raise ValueError(
            'expected a network such as "192.168.1.0/24" or an address (names are not looked up)'
        ) from None


def address(value: object) -> str:
    """An IP address."""
    try:
        host = str(ip_address(word(value)))
    except ValueError:
        raise ValueError('expected an IP address such as "192.168.1.10"') from None
    _of_one_host(host)
    return host


def optional_host(value: object) -> str:
    """The IP address of one host or the empty text."""
    if value == "":
        return ""
    host = ip_address(address(value))
    if host.is_unspecified or host.is_multicast:
        raise ValueError("expected an address that others can send to")
    return str(host)


def address_port(value: object) -> tuple[str, int]:
    """An address and a port to listen on; port 0 takes a free one."""
    example = 'expected an IP address and a port such as "127.0.0.1:8080" or "[::1]:8080"'
    try:
        host, port = split_port(word(value))
        host = str(ip_address(host))
    except ValueError:
        raise ValueError(example) from None
    if port is None:
        raise ValueError(example)
    return host, port


def endpoint(value: object) -> Endpoint:
    """An entry such as `udp:127.0.0.1:5060`."""
    try:
        transport, _, rest = word(value).partition(":")
        found = Endpoint(str(choice(*LISTEN_TRANSPORTS)(transport)), *address_port(rest))
    except ValueError:
        raise ValueError(
            "expected a transport (udp, tcp, tls, ws, wss), an IP address and a port, such as "
            '"udp:127.0.0.1:5060" or "tcp:[::1]:5060"'
        ) from None
    _of_one_host(found.address)
    return found


def _of_one_host(host: str) -> None:
    """Raises ValueError for an address that many have, which the kernel would let us listen on."""
    if ip_address(host).is_multicast or host == "255.255.255.255":
        raise ValueError("expected the address of one host, not of many")


def listening(value: object) -> str:
    """The same as it is written."""
    return str(endpoint(value))


def port_range(value: object) -> str:
    """`first-last`: from an even port, since RTCP is on the odd one beside, at least a pair."""
    found = re.fullmatch("([0-9]{1,5})-([0-9]{1,5})", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('expected two ports such as "20000-20127"')
    first, last = int(found[1]), int(found[2])
    if not 1024 <= first < last <= 65535:
        raise ValueError("expected a lower and a higher port, both from 1024 to 65535")
    if first % 2:
        raise ValueError(f"expected an even first port, such as {first + 1}")
    return f"{first}-{last}"


def url(value: object) -> str:
    """An http or https URL without credentials and fragment."""
    if not isinstance(value, str) or not re.fullmatch("[!-~]+", value):
        raise ValueError("expected a URL such as http://127.0.0.1:9000/initiate")
    try:
        parts = urlsplit(value)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ValueError("expected a URL that begins with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise ValueError("expected a URL without a user and password in it")
    return value


def optional_base(value: object) -> str:
    """A URL that paths are put behind, or the empty text."""
    if value and ({"?", "#"} & set(url(value))):
        raise ValueError("expected a URL without a query and a fragment")
    return optional_url(value)


def optional_url(value: object) -> str:
    """A URL or the empty text."""
    return "" if value == "" else url(value)


def trunk_host(value: object) -> str:
    """A host name or an address, with or without a port."""
    expected = (
        "expected a host with or without a port, such as "
        '"sip.carrier.example", "192.0.2.1:5070" or "[2001:db8::1]:5070"'
    )
    try:
        host, port = split_port(word(value))
    except ValueError:
        raise ValueError(expected) from None
    if port == 0 or not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", host):
        raise ValueError(expected)
    return word(value)


def optional_collector(value: object) -> tuple[str, int] | None:
    """`udp:HOST:PORT`, a name or an address; None for the empty text."""
    if value == "":
        return None
    transport, _, rest = word(value).partition(":")
    try:
        host, port = split_port(str(trunk_host(rest)))
    except ValueError:
        host, port = "", None
    if transport != "udp" or port is None:
        raise ValueError('expected a collector such as "udp:192.0.2.20:9060"')
    return host, port


def transport(value: object) -> str:
    """How a trunk is reached."""
    return str(choice(*TRUNK_TRANSPORTS)(value))


def origin(value: object) -> str:
    """The origin of web pages as browsers name it, or `*`."""
    written = word(value)
    if written != "*" and not re.fullmatch(
        r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", written
    ):
        raise ValueError('expected an origin such as "https://phone.example.com", without a path, or "*"')
    return written


def path(value: object) -> Path:
    """A path, `~` is somebody's home; relative ones are still to be joined to the folder they start at."""
    try:
        return Path(word(value)).expanduser()
    except RuntimeError:
        raise ValueError("expected a path whose ~ is the home of a user there is") from None


def optional_path(value: object) -> Path | None:
    """A path, None for the empty text."""
    return None if value == "" else path(value)
