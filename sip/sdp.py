"""Offer and answer of one audio stream (RFC 3264): what is said about it, and what was agreed.

One audio line is taken, all others are refused in place. An answer names one codec and the telephone-event,
so that the stream has one codec at a time. SRTP-only lines are refused; ICE, bundle, crypto and feedback
attributes are left out of the answer, which tells the peer that they are not in use.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address

from sip.description import Attribute, Description, Media, SdpError, family, shown

__all__ = ["CODECS", "Agreement", "Codec", "Local", "SdpError", "accept", "answer", "offer"]


@dataclass(frozen=True)
class Codec:
    """A codec under the number that its packets carry."""

    name: str
    payload_type: int
    clock_rate: int
    """Ticks of the RTP clock in a second."""


CODECS: Mapping[str, Codec] = {c.name: c for c in (Codec("PCMU", 0, 8000), Codec("PCMA", 8, 8000))}
"""The codecs that can be agreed, by name, under their static payload types (RFC 3551 section 6)."""

STATIC = {c.payload_type: c for c in CODECS.values()}
"""What a payload type means without an rtpmap."""

DTMF = Codec("TELEPHONE-EVENT", 101, 8000)
"""RFC 4733 events on the clock of the codecs beside them; the number is that of our offers."""

PTIMES = (20, 40, 60)
"""Milliseconds of a packet that are sent where the peer asks for them; the first where he asks for others."""

SHORT_PTIME = 10
"""Milliseconds of a packet where the peer's maxptime rules out all of `PTIMES`."""

PROTOCOLS = ("RTP/AVP", "RTP/AVPF")
"""The profiles that are taken. AVPF without feedback messages is AVP on the wire (RFC 4585), and a phone that
offers nothing else would not reach us at all."""

DIRECTIONS = {
    "sendrecv": (True, True),
    "sendonly": (True, False),
    "recvonly": (False, True),
    "inactive": (False, False),
}
"""Whether the one who says it (sends, receives)."""


@dataclass(frozen=True)
class Local:
    """Our side of a session."""

    address: str
    """Where we receive, an IPv4 or IPv6 address."""
    port: int
    session_id: int
    version: int
    """To be increased for each description of the session that differs from the last."""
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    """Names out of `CODECS`, in our order of preference; an answer follows the offerer's order."""
    dtmf: bool = True
    """Whether telephone-event may be agreed."""
    ptime: int = 20
    """Milliseconds of a packet for a peer that asks for none."""


@dataclass(frozen=True)
class Agreement:
    """The stream as both sides now have it, seen from our side."""

    remote: tuple[str, int] | None
    """Where to send; None while the peer is nowhere (on hold by port 0 or an unspecified address)."""
    codec: Codec
    """What we send."""
    dtmf: int | None
    """The payload type of telephone-event both ways, None when it was not agreed."""
    ptime: int
    """Milliseconds of each packet that we send."""
    sends: bool
    """We send."""
    receives: bool
    """The peer sends."""
    accepts: tuple[Codec, ...]
    """What the peer's packets may carry, each payload type once: every codec that both sides named, since
    some gateways change laws without asking."""


def offer(local: Local) -> bytes:
    """An offer of one audio stream, first or further."""
    codecs = [CODECS[name] for name in local.codecs]
    return _describe(local, [_audio(local, codecs, DTMF.payload_type if local.dtmf else None, local.ptime)])


def answer(offer: bytes, local: Local) -> tuple[bytes, Agreement]:
    """The answer to an offer, and what it comes to.

    The first audio line that can be used is taken, one with port 0 only for want of another. `SdpError`: 400
    for a broken offer, 488 for one without an audio line for us.
    """
    description = Description.parse(offer)
    chosen, agreement = _choose(description, local)
    lines = [_refused(media) for media in description.media]
    if description.media[chosen].port:
        lines[chosen] = replace(
            _audio(
                local, [agreement.codec], agreement.dtmf, agreement.ptime, agreement.sends, agreement.receives
            ),
            protocol=description.media[chosen].protocol,
        )
    return _describe(local, lines), agreement


def accept(answer: bytes, local: Local) -> Agreement:
    """What the answer to `offer(local)` comes to. `SdpError`: 400 for a broken answer, 488 for a refusal."""
    description = Description.parse(answer)
    if not description.media:
        raise SdpError(400, "SDP answer without a media line")
    media = description.media[0]
    if media.port == 0:
        raise SdpError(488, "the audio line was refused")
    agreement = _agree(description, media, local)
    # The peer sends under the numbers of our offer (RFC 3264 section 6.1); some send under their own.
    numbers = {codec.payload_type: codec for codec in agreement.accepts}
    numbers |= {CODECS[name].payload_type: CODECS[name] for name in local.codecs}
    return replace(agreement, accepts=tuple(numbers.values()))


def _choose(description: Description, local: Local) -> tuple[int, Agreement]:
    """The media line to take, by index, and its agreement."""
    refusal: SdpError | None = None
    held: tuple[int, Agreement] | None = None
    for index, media in enumerate(description.media):
        if media.kind != "audio":
            continue
        try:
            agreement = _agree(description, media, local)
        except SdpError as error:
            refusal = refusal or error
            continue
        if media.port:
            return index, agreement
        held = held or (index, agreement)
    if held is None:
        raise refusal or SdpError(488, "no audio line in the SDP")
    return held


def _agree(description: Description, media: Media, local: Local) -> Agreement:
    """What one media line of the peer comes to. Raises `SdpError`."""
    if media.kind != "audio" or media.protocol.upper() not in PROTOCOLS:
        raise SdpError(
            488, f"expected audio over RTP/AVP, got {shown(f'{media.kind} over {media.protocol}')}"
        )
    payloads = _payloads(media)
    codecs = tuple(
        replace(CODECS[c.name], payload_type=c.payload_type)
        for c in payloads
        if c.name in local.codecs and c.clock_rate == CODECS[c.name].clock_rate
    )
    if not codecs:
        raise SdpError(488, f"no codec in common, expected one of {', '.join(local.codecs)}")
    events = [c.payload_type for c in payloads if (c.name, c.clock_rate) == (DTMF.name, DTMF.clock_rate)]
    remote = _remote(description, media, local)
    sends, hears = _direction(description, media)
    return Agreement(
        remote=remote,
        codec=codecs[0],
        dtmf=events[0] if events and local.dtmf else None,
        ptime=_ptime(description, media, local),
        sends=hears and remote is not None,
        receives=sends and media.port > 0,
        accepts=codecs,
    )


_RTPMAP = re.compile("([0-9]{1,3})[ \t]+([^/ \t]+)[ \t]*/[ \t]*([0-9]{1,6})(?:/1)?")


def _payloads(media: Media) -> list[Codec]:
    """What the formats of an RTP line mean, in the peer's order; names are upper case. Formats that nothing
    explains are left out, and so are second meanings of a number."""
    meanings: dict[int, Codec] = {}
    for attribute in media.attributes:
        found = _RTPMAP.fullmatch(attribute.value) if attribute.name == "rtpmap" else None
        if found:
            number = int(found[1])
            meanings.setdefault(number, Codec(found[2].upper(), number, int(found[3])))
    numbers = dict.fromkeys(int(f) for f in media.formats if re.fullmatch("[0-9]{1,3}", f) and int(f) < 128)
    meanings = STATIC | meanings
    return [meanings[number] for number in numbers if number in meanings]


def _remote(description: Description, media: Media, local: Local) -> tuple[str, int] | None:
    """Where the peer receives; None for port 0 or an unspecified address. Raises `SdpError`.

    A host name is refused rather than resolved: phones do not send one, and a call that waits for DNS before
    it can be heard is worse than a clear answer.
    """
    text = description.connection if media.connection is None else media.connection
    if media.port == 0:
        return None
    if text is None:
        raise SdpError(400, "SDP without a c= line for the audio")
    try:
        address = ip_address(text)
    except ValueError:
        raise SdpError(488, f"expected an IP address in the c= line, got {shown(text)}") from None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise SdpError(488, f"expected an address without a zone in the c= line, got {shown(text)}")
        address = address.ipv4_mapped or address
    if address.is_unspecified:
        return None
    if address.is_multicast or str(address) == "255.255.255.255" or str(address).startswith("0."):
        raise SdpError(488, f"expected a unicast address in the c= line, got {address}")
    if family(str(address)) != family(local.address):
        raise SdpError(
            488, f"expected an address of the family of {local.address} in the c= line, got {address}"
        )
    return str(address), media.port


def _direction(description: Description, media: Media) -> tuple[bool, bool]:
    """What the peer does: (sends, receives). The line's own attribute counts before the session's."""
    for attributes in (media.attributes, description.attributes):
        named = [a.name for a in attributes if a.name in DIRECTIONS]
        if named:
            return DIRECTIONS[named[-1]]
    return DIRECTIONS["sendrecv"]


def _ptime(description: Description, media: Media, local: Local) -> int:
    """Milliseconds of the packets that we send, out of what the peer asks for."""
    asked = _milliseconds(media, "ptime") or _milliseconds(description, "ptime") or local.ptime
    longest = _milliseconds(media, "maxptime") or _milliseconds(description, "maxptime") or max(PTIMES)
    if asked in PTIMES and asked <= longest:
        return asked
    return PTIMES[0] if longest >= PTIMES[0] else SHORT_PTIME


def _milliseconds(place: Media | Description, name: str) -> int:
    """The whole milliseconds of an attribute, 0 when it is absent or no number."""
    for attribute in place.attributes:
        found = re.match("[0-9]{1,4}", attribute.value) if attribute.name == name else None
        if found:
            return int(found[0])
    return 0


def _describe(local: Local, media: Iterable[Media]) -> bytes:
    origin = f"- {local.session_id} {local.version} IN {family(local.address)} {local.address}"
    return bytes(Description(origin, local.address, (), tuple(media)))


def _refused(media: Media) -> Media:
    """The line that refuses `media` in its place (RFC 3264 section 6)."""
    return Media(media.kind, 0, media.protocol, media.formats[:1])


def _audio(
    local: Local,
    codecs: Sequence[Codec],
    dtmf: int | None,
    ptime: int,
    sends: bool = True,
    receives: bool = True,
) -> Media:
    """Our audio line. Every format gets its rtpmap, static or not: some phones take no other."""
    formats = [codec.payload_type for codec in codecs]
    attributes = [Attribute("rtpmap", f"{c.payload_type} {c.name}/{c.clock_rate}") for c in codecs]
    if dtmf is not None:
        formats.append(dtmf)
        attributes.append(Attribute("rtpmap", f"{dtmf} {DTMF.name.lower()}/{DTMF.clock_rate}"))
        attributes.append(Attribute("fmtp", f"{dtmf} 0-15"))
    attributes.append(Attribute("ptime", str(ptime)))
    direction = next(name for name, both in DIRECTIONS.items() if both == (sends, receives))
    attributes.append(Attribute(direction))
    return Media("audio", local.port, "RTP/AVP", tuple(map(str, formats)), attributes=tuple(attributes))
