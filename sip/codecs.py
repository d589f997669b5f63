"""What the payload types of an audio line mean: codecs, telephone events, comfort noise, their parameters.

Sources: RFC 3551 (static types, G.722's clock), RFC 7587 (Opus), RFC 4733 (events), RFC 3389 (comfort noise).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sip.description import Attribute, Media

OPUS_RATES = (8000, 16000, 48000)
"""Hz of the sound that Opus is spoken with here; a peer's maxplaybackrate picks the next that suffices."""


@dataclass(frozen=True)
class Codec:
    """A codec under the number that its packets carry."""

    name: str
    payload_type: int
    clock_rate: int
    """Ticks of the RTP clock in a second."""
    channels: int = 1
    """As the rtpmap says; Opus says 2 whatever is sent (RFC 7587 section 7)."""
    parameters: str = ""
    """The value of the peer's fmtp line: how he wants to be sent to."""

    @property
    def rate(self) -> int:
        """Hz of its sound."""
        if self.name == "G722":
            return 16000  # and a clock of 8000, by an error that stayed (RFC 3551 section 4.5.2)
        if self.name == "OPUS":
            heard = self.number("maxplaybackrate") or OPUS_RATES[-1]
            return next((rate for rate in OPUS_RATES if rate >= heard), OPUS_RATES[-1])
        return self.clock_rate

    @property
    def longest(self) -> int:
        """Milliseconds of the longest packet that is sent: it must fit a datagram on Ethernet, and Opus is
        encoded 20 at a time."""
        return 20 if self.name == "OPUS" or (self.name == "L16" and self.clock_rate > 8000) else 60

    @property
    def shortest(self) -> int:
        """Milliseconds of the shortest packet that is sent."""
        return 20 if self.name == "OPUS" else 10

    def number(self, parameter: str) -> int:
        """A parameter's whole number (RFC 7587 section 6.1), 0 where it has none."""
        found = re.search(rf"(?:^|;)\s*{parameter}\s*=\s*([0-9]{{1,9}})\s*(?:;|$)", self.parameters, re.I)
        return int(found[1]) if found else 0

    def same(self, other: "Codec") -> bool:
        """Whether both name one codec, under whatever number. Of Opus the channels are not looked at: some
        leave out the 2 that is always there."""
        alike = (self.name, self.clock_rate) == (other.name, other.clock_rate)
        return alike and (self.name == "OPUS" or self.channels == other.channels)

    @property
    def rtpmap(self) -> Attribute:
        """Its rtpmap line."""
        name = self.name.lower() if self.name in ("OPUS", EVENT) else self.name
        channels = f"/{self.channels}" if self.channels > 1 else ""
        return Attribute("rtpmap", f"{self.payload_type} {name}/{self.clock_rate}{channels}")

    @property
    def fmtp(self) -> Attribute | None:
        """What we say of how we want to be sent to, if anything: Opus with in-band FEC in packets of 10 ms or
        more (shorter ones are not heard), all sixteen keys."""
        said = {"OPUS": "minptime=10;useinbandfec=1", EVENT: "0-15"}.get(self.name)
        return Attribute("fmtp", f"{self.payload_type} {said}") if said else None


EVENT = "TELEPHONE-EVENT"
COMFORT = "CN"

CODECS: Mapping[str, Codec] = {
    "PCMU": Codec("PCMU", 0, 8000),
    "PCMA": Codec("PCMA", 8, 8000),
    "G722": Codec("G722", 9, 8000),
    "OPUS": Codec("OPUS", 111, 48000, 2),
    "L16/8000": Codec("L16", 97, 8000),
    "L16/16000": Codec("L16", 98, 16000),
}
"""The codecs that can be agreed, by the name of a preference, under the numbers of our offers."""

LAWS = ("PCMU", "PCMA")

EVENTS = (Codec(EVENT, 101, 8000), Codec(EVENT, 102, 48000), Codec(EVENT, 103, 16000))
"""Telephone events by clock, under the numbers of our offers; the first is the one that everybody knows."""

STATIC: Mapping[int, Codec] = {
    codec.payload_type: codec
    for codec in (CODECS["PCMU"], CODECS["PCMA"], CODECS["G722"], Codec(COMFORT, 13, 8000))
}
"""What a payload type means without an rtpmap (RFC 3551 section 6)."""

_RTPMAP = re.compile("([0-9]{1,3})[ \t]+([^/ \t]+)[ \t]*/[ \t]*([0-9]{1,6})(?:/([0-9]{1,2}))?")
_FMTP = re.compile("([0-9]{1,3})[ \t]+(.*)")


def payloads(media: Media, known: Iterable[Codec] = ()) -> list[Codec]:
    """What the formats of an RTP line mean, in the peer's order; names are upper case. `known`: what numbers
    mean besides, as in the offer that is answered. Formats that nothing explains are left out, and so are
    second meanings of a number."""
    meanings: dict[int, Codec] = {}
    parameters: dict[int, str] = {}
    for attribute in media.attributes:
        if attribute.name == "rtpmap" and (found := _RTPMAP.fullmatch(attribute.value)):
            number = int(found[1])
            codec = Codec(found[2].upper(), number, int(found[3]), int(found[4] or 1))
            meanings.setdefault(number, codec)
        elif attribute.name == "fmtp" and (found := _FMTP.fullmatch(attribute.value)):
            parameters.setdefault(int(found[1]), found[2])
    meanings = {**STATIC, **{codec.payload_type: codec for codec in known}, **meanings}
    numbers = dict.fromkeys(int(f) for f in media.formats if re.fullmatch("[0-9]{1,3}", f) and int(f) < 128)
    return [
        replace(meanings[number], parameters=parameters.get(number, ""))
        for number in numbers
        if number in meanings
    ]


def beside(codec: Codec, found: Iterable[Codec], name: str) -> Codec | None:
    """The telephone events or comfort noise that go with a codec: those on its clock; events, for want of
    these, on the clock that everybody has (RFC 4733 section 2.1)."""
    named = [other for other in found if other.name == name]
    clocks = (codec.clock_rate, 8000) if name == EVENT else (codec.clock_rate,)
    for clock in clocks:
        for other in named:
            if other.clock_rate == clock:
                return other
    return None
