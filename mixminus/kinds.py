"""The kinds of value that a setting can have. A kind takes a TOML value and returns the setting's, or raises
`ValueError` with what was expected."""

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from sip.codecs import CODECS

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
        return f"{self.transport}:{join_port(self.address, self.port)}"


def join_port(address: str, port: int) -> str:
    """`192.0.2.1:5060`, `[2001:db8::1]:5060`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


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
        raise ValueError("expected a text in quotes that is not empty")
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


def _texts(value: object, example: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"expected a list of texts such as {example}")
    return value


def patterns(value: object) -> tuple[str, ...]:
    """Shell patterns."""
    found = _texts(value, '["+1919*", "*"]')
    if not found or not all(found):
        raise ValueError('expected at least one pattern, such as "*", and none empty')
    return tuple(found)


def networks(value: object) -> tuple[Network, ...]:
    """Networks; an address is a network of one, host bits are dropped."""
    found = []
    for item in _texts(value, '["192.168.1.0/24", "::1"]'):
        try:
            found.append(ip_network(item, strict=False))
        except ValueError:
            raise ValueError(
                f'expected networks such as "192.168.1.0/24" (names are not looked up), and "{item}" is none'
            ) from None
    return tuple(found)


def address(value: object) -> str:
    """An IP address."""
    try:
        return str(ip_address(word(value)))
    except ValueError:
        raise ValueError('expected an IP address such as "192.168.1.10"') from None


def optional_address(value: object) -> str:
    """An IP address or the empty text."""
    return "" if value == "" else address(value)


def host_port(value: object) -> tuple[str, int]:
    """An address and a port to listen on; port 0 takes a free one."""
    example = 'expected an address and a port such as "127.0.0.1:8080"'
    try:
        host, port = split_port(word(value))
        host = str(ip_address(host))
    except ValueError:
        raise ValueError(example) from None
    if port is None:
        raise ValueError(example)
    return host, port


def listen(value: object) -> tuple[str, ...]:
    """Entries such as `udp:127.0.0.1:5060`, as `endpoint` reads them."""
    entries = tuple(str(endpoint(item)) for item in _texts(value, '["udp:127.0.0.1:5060"]'))
    if not entries:
        raise ValueError('expected at least one entry such as "udp:127.0.0.1:5060"')
    if len(set(entries)) < len(entries):
        raise ValueError("expected each entry once")
    return entries


def endpoint(entry: str) -> Endpoint:
    """Reads one entry of `sip.listen`."""
    transport, _, rest = entry.partition(":")
    try:
        return Endpoint(str(choice(*LISTEN_TRANSPORTS)(transport)), *host_port(rest))
    except ValueError:
        raise ValueError(f'expected entries such as "udp:127.0.0.1:5060", and "{entry}" is none') from None


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
        raise ValueError("expected a URL without a user and password in it: they have keys of their own")
    return value


def digests(value: object) -> tuple[str, ...]:
    """Algorithms of digest authentication, each once."""
    names = _texts(value, '["MD5", "SHA-256"]')
    if not names or len(set(names)) < len(names) or not set(names) <= {"MD5", "SHA-256"}:
        raise ValueError('expected "MD5", "SHA-256" or both, each once')
    return tuple(names)


def gated(value: object) -> tuple[str, ...]:
    """Names of codecs, each once; none at all is allowed."""
    names = _texts(value, '["G722", "OPUS"]')
    if len(set(names)) < len(names) or not set(names) <= set(GATED):
        raise ValueError("expected each at most once of " + ", ".join(f'"{name}"' for name in GATED))
    return tuple(names)


def codecs(value: object) -> tuple[str, ...]:
    """Codecs in order of preference, each once; maybe none."""
    names = _texts(value, '["PCMU", "PCMA"]')
    if len(set(names)) < len(names) or not set(names) <= set(CODECS):
        raise ValueError(f"expected some of {', '.join(CODECS)}, each once")
    return tuple(names)


def some_codecs(value: object) -> tuple[str, ...]:
    """Codecs in order of preference, each once, at least one."""
    if not (found := codecs(value)):
        raise ValueError(f"expected at least one of {', '.join(CODECS)}")
    return found


def optional_url(value: object) -> str:
    """A URL or the empty text."""
    return "" if value == "" else url(value)


def trunk_host(value: object) -> str:
    """A host name or an address, with or without a port."""
    expected = 'expected a host with or without a port, such as "sip.carrier.example" or "192.0.2.1:5070"'
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


def origins(value: object) -> tuple[str, ...]:
    """Origins of web pages as browsers name them, or `*`."""
    found = _texts(value, '["https://phone.example.com"]')
    for item in found:
        if item != "*" and not re.fullmatch(
            r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", item
        ):
            raise ValueError(
                f'expected origins such as "https://phone.example.com" or "*", and "{item}" is none'
            )
    return tuple(found)


def path(value: object) -> Path:
    """A path, relative ones still to be joined to the folder they start at."""
    return Path(word(value))


def optional_path(value: object) -> Path | None:
    """A path, None for the empty text."""
    return None if value == "" else path(value)
