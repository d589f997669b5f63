"""SIP and SDP as a phone needs them, written apart from the server's: a shared misreading would hide."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field

COMPACT = {
    "v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
    "c": "content-type", "s": "subject", "k": "supported",
}  # fmt: skip


@dataclass
class Message:
    start: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def is_request(self) -> bool:
        return not self.start.startswith("SIP/2.0 ")

    @property
    def method(self) -> str:
        """Of a response: the method it answers."""
        return self.start.split(" ", 1)[0] if self.is_request else self.cseq[1]

    @property
    def uri(self) -> str:
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        return 0 if self.is_request else int(self.start.split(" ")[1])

    @property
    def reason(self) -> str:
        return self.start.split(" ", 2)[2] if not self.is_request else ""

    @property
    def cseq(self) -> tuple[int, str]:
        number, method = self["cseq"].split()
        return int(number), method

    @property
    def branch(self) -> str:
        found = re.search(r";\s*branch=([^;,\s]+)", self["via"], re.IGNORECASE)
        return found.group(1) if found else ""

    def all(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header.lower() == name]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        return values[0] if values else None

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        assert value is not None, f"no {name} in:\n{self}"
        return value

    def encode(self) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body

    def __str__(self) -> str:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        return "\n".join(lines) + "\n\n" + self.body.decode(errors="replace")


def parse(data: bytes) -> Message:
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode(errors="surrogateescape").split("\r\n")
    headers: list[tuple[str, str]] = []
    for line in lines[1:]:
        if line[:1] in " \t" and headers:
            headers[-1] = (headers[-1][0], headers[-1][1] + " " + line.strip())
            continue
        name, _, value = line.partition(":")
        name = COMPACT.get(name.strip().lower(), name.strip())
        if name.lower() != "content-length":
            headers.append((name, value.strip()))
    message = Message(lines[0], headers, body)
    for name in ("via", "from", "to", "call-id", "cseq"):  # what no message may lack
        assert message.get(name) is not None, f"{name} missing in:\n{message}"
    return message


def split_stream(buffer: bytearray) -> list[bytes]:
    """Takes the whole messages off the front of a TCP buffer."""
    messages: list[bytes] = []
    while True:
        while buffer[:2] == b"\r\n":
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return messages
        length = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", bytes(buffer[:end]))
        assert length, f"a stream message without Content-Length:\n{bytes(buffer[:end])!r}"
        whole = end + 4 + int(length.group(1))
        if len(buffer) < whole:
            return messages
        messages.append(bytes(buffer[:whole]))
        del buffer[:whole]


def tag(value: str) -> str:
    found = re.search(r";\s*tag=([^;,\s]+)", value.rpartition(">")[2] or value)
    return found.group(1) if found else ""


def address(value: str) -> str:
    """The URI in a From, To, Contact or Record-Route value."""
    found = re.search(r"<([^>]+)>", value)
    return found.group(1) if found else value.split(";")[0].strip()


def host_port(uri: str) -> tuple[str, int]:
    rest = re.sub(r"^sips?:", "", uri).split(";")[0].split("?")[0].rpartition("@")[2]
    found = re.fullmatch(r"(\[[^\]]+\]|[^:]+)(?::(\d+))?", rest)
    assert found, f"no host in {uri}"
    return found.group(1).strip("[]"), int(found.group(2) or 5060)


def parameters(value: str) -> dict[str, str]:
    """The comma separated `key=value` or `key="value"` of a digest header, without its scheme."""
    found = re.findall(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))', value.partition(" ")[2])
    return {key.lower(): quoted or bare for key, quoted, bare in found}


def _digest(algorithm: str, text: str) -> str:
    return (hashlib.sha256 if algorithm == "SHA-256" else hashlib.md5)(text.encode()).hexdigest()


def digest_response(challenge: str, method: str, uri: str, user: str, password: str, count: int = 1) -> str:
    """The Authorization value that answers a WWW- or Proxy-Authenticate value (RFC 2617 3.2.2, RFC 8760)."""
    asked = parameters(challenge)
    algorithm = asked.get("algorithm", "MD5").upper()
    first = _digest(algorithm, f"{user}:{asked['realm']}:{password}")
    second = _digest(algorithm, f"{method}:{uri}")
    fields = [f'username="{user}"', f'realm="{asked["realm"]}"', f'nonce="{asked["nonce"]}"', f'uri="{uri}"']
    if "qop" in asked:
        cnonce = secrets.token_hex(8)
        proof = _digest(algorithm, f"{first}:{asked['nonce']}:{count:08x}:{cnonce}:auth:{second}")
        fields += [f'cnonce="{cnonce}"', f"nc={count:08x}", "qop=auth"]
    else:
        proof = _digest(algorithm, f"{first}:{asked['nonce']}:{second}")
    fields.append(f'response="{proof}"')
    if "algorithm" in asked:
        fields.append(f"algorithm={asked['algorithm']}")
    if "opaque" in asked:
        fields.append(f'opaque="{asked["opaque"]}"')
    return "Digest " + ", ".join(fields)


def digest_holds(value: str, method: str, user: str, password: str, nonce: str, realm: str) -> bool:
    """Does this (Proxy-)Authorization value prove the password, for the nonce and realm we gave?"""
    said = parameters(value)
    if (said.get("username"), said.get("nonce"), said.get("realm")) != (user, nonce, realm):
        return False
    algorithm = said.get("algorithm", "MD5").upper()
    first = _digest(algorithm, f"{user}:{realm}:{password}")
    second = _digest(algorithm, f"{method}:{said.get('uri', '')}")
    if said.get("qop"):
        middle = f"{nonce}:{said.get('nc')}:{said.get('cnonce')}:{said['qop']}"
    else:
        middle = nonce
    return said.get("response") == _digest(algorithm, f"{first}:{middle}:{second}")


@dataclass(frozen=True)
class Description:
    """What a phone takes from an audio SDP."""

    address: str
    port: int
    types: tuple[int, ...]
    names: dict[int, str]
    ptime: int | None
    maxptime: int | None
    direction: str
    text: str

    @property
    def laws(self) -> list[tuple[str, int]]:
        return [(self.names[t], t) for t in self.types if self.names.get(t) in ("PCMU", "PCMA")]

    @property
    def dtmf(self) -> int | None:
        return next((t for t in self.types if self.names.get(t) == "telephone-event"), None)


def describe(body: bytes) -> Description:
    text = body.decode()
    address = ""
    port, direction = 0, "sendrecv"
    types: tuple[int, ...] = ()
    names = {0: "PCMU", 8: "PCMA"}
    ptime: int | None = None
    maxptime: int | None = None
    kind = "session"
    for line in text.replace("\r\n", "\n").split("\n"):
        key, _, value = line.partition("=")
        if key == "m":
            kind, number, _, *formats = value.split()
            if kind == "audio":
                port, types = int(number.split("/")[0]), tuple(int(f) for f in formats if f.isdigit())
        elif kind not in ("session", "audio"):
            continue
        elif key == "c":
            address = value.split()[2].split("/")[0]
        elif key == "a" and value.startswith("rtpmap:"):
            number, name = value[7:].split(" ", 1)
            names[int(number)] = name.split("/")[0].upper().replace("TELEPHONE-EVENT", "telephone-event")
        elif key == "a" and value.startswith("ptime:"):
            ptime = int(value[6:])
        elif key == "a" and value.startswith("maxptime:"):
            maxptime = int(value[9:])
        elif key == "a" and value in ("sendrecv", "sendonly", "recvonly", "inactive"):
            direction = value
    return Description(address, port, types, names, ptime, maxptime, direction, text)
