"""Offer and answer of one audio stream (RFC 3264): what is said about it, and what was agreed.

One audio line is taken, all others are refused in place. An answer names one codec, and beside it the
telephone-event and comfort noise that were offered on its clock, so that the stream has one codec at a time.
ICE, bundle and feedback attributes are left out of the answer, which tells the peer that they are not in use.
Keys of SRTP come in a=crypto lines (`sip.crypto`), under RTP/SAVP or, where a peer leaves it open, RTP/AVP.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

from sip import crypto
from sip.codecs import CODECS, COMFORT, EVENT, EVENTS, LAWS, Codec, beside, payloads
from sip.crypto import Crypto, Keys
from sip.description import Attribute, Description, Media, SdpError, family, shown

__all__ = ["CODECS", "Agreement", "Codec", "Keys", "Local", "SdpError", "Srtp", "accept", "answer", "offer"]

Srtp = Literal["off", "optional", "required"]
"""Whether streams are encrypted: never, where the peer can, always."""

PTIMES = (20, 40, 60)
"""Milliseconds of a packet that are sent where the peer asks for them; the first where he asks for others."""

SHORT_PTIME = 10
"""Milliseconds of a packet where the peer's maxptime rules out all of `PTIMES`."""

PLAIN = ("RTP/AVP", "RTP/AVPF")
SECURE = ("RTP/SAVP", "RTP/SAVPF")
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
    """Names out of `CODECS`, in our order of preference."""
    dtmf: bool = True
    """Whether telephone-event may be agreed."""
    ptime: int = 20
    """Milliseconds of a packet for a peer that asks for none."""
    ours_first: bool = False
    """An answer follows our order of preference, not the offerer's."""
    srtp: Srtp = "off"
    origin: str = ""
    """The address that names the session, which no later description may change (RFC 3264 section 8); empty:
    `address`."""
    private: bool = False
    """Nobody on the way can read what is said here, so that keys may be."""


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
    """What the peer's packets may carry, each payload type once: the codec, and both laws where both sides
    named them, since some gateways change laws without asking."""
    dtmf_clock: int = 8000
    """Ticks in a second of the durations of telephone events."""
    comfort: int | None = None
    """The payload type of comfort noise, None when it was not agreed."""
    keys: Keys | None = None
    """Of SRTP; None for a stream in the clear."""
    protocol: str = "RTP/AVP"
    """The profile, as the line says it."""
    rtcp: tuple[str, int] | None = None
    """Where the peer takes RTCP, None where the line does not say (RFC 3605)."""
    rtcp_mux: bool = False
    """RTCP shares the ports of RTP (RFC 5761)."""
    refused: tuple[tuple[Media, ...], tuple[Media, ...]] = ((), ())
    """The lines that say no, before and after that of the stream: they keep their places in every description
    of the session (RFC 3264 section 8)."""


def addresses(description: bytes) -> tuple[str, ...]:
    """Where the peer could receive: an IP address for each audio line that has a port. `SdpError` 400 for
    a broken description."""
    parsed = Description.parse(description)
    lines = [media for media in parsed.media if media.kind == "audio" and media.port]
    found = (_address(parsed.connection if media.connection is None else media.connection) for media in lines)
    return tuple(str(address) for address in found if address is not None and not address.is_unspecified)


def offer(local: Local, agreed: Agreement | None = None) -> bytes:
    """An offer of one audio stream: the first, or a further one that keeps what is `agreed` as it is.

    `SdpError` 488 where SRTP is required and keys may not be said.
    """
    _check_private(local)
    codecs = [CODECS[name] for name in local.codecs]
    events = [event for event in EVENTS if local.dtmf and _goes_with(event, codecs)]
    formats = [*codecs, *events] if agreed is None else _as_before(codecs, events, agreed)
    keys: tuple[Crypto, ...] = ()
    if local.srtp == "required" or (local.srtp == "optional" and local.private):
        keys = crypto.fresh()
    if agreed is not None and agreed.keys is not None:
        keys = (agreed.keys.ours,)
    protocol = "RTP/SAVP" if local.srtp == "required" else "RTP/AVP"
    rtcp_mux = agreed is not None and agreed.rtcp_mux
    audio = _audio(local, formats, local.ptime, keys=keys, rtcp_mux=rtcp_mux)
    if agreed is None:
        return _describe(local, [replace(audio, protocol=protocol)])
    before, after = agreed.refused
    return _describe(local, [*before, replace(audio, protocol=agreed.protocol), *after])


def answer(offer: bytes, local: Local, agreed: Agreement | None = None) -> tuple[bytes, Agreement]:
    """The answer to an offer, and what it comes to. `agreed`: what held before; its keys stay where the peer
    keeps his.

    The first audio line that can be used is taken, an encrypted one before one in the clear, one with port 0
    only for want of another. `SdpError`: 400 for a broken offer, 488 for one without an audio line for us.
    """
    description = Description.parse(offer)
    chosen, agreement = _choose(description, local, agreed)
    lines = [_refused(media) for media in description.media]
    line = description.media[chosen]
    agreement = replace(agreement, refused=(tuple(lines[:chosen]), tuple(lines[chosen + 1 :])))
    if line.port:
        found = payloads(line)
        events, comfort = beside(agreement.codec, found, EVENT), beside(agreement.codec, found, COMFORT)
        formats = [agreement.codec]
        formats += [events] if events is not None and local.dtmf else []
        formats += [comfort] if comfort is not None else []
        keys = () if agreement.keys is None else (agreement.keys.ours,)
        audio = _audio(
            local,
            formats,
            agreement.ptime,
            agreement.sends,
            agreement.receives,
            keys=keys,
            rtcp_mux=agreement.rtcp_mux,
        )
        lines[chosen] = replace(audio, protocol=line.protocol)
    return _describe(local, lines), agreement


def accept(answer: bytes, offered: bytes, local: Local) -> Agreement:
    """What the answer to our offer comes to. `SdpError`: 400 for a broken answer, 488 for a refusal."""
    ours = Description.parse(offered)
    place = next((index for index, media in enumerate(ours.media) if media.port), 0)
    description = Description.parse(answer)
    if len(description.media) <= place:
        raise SdpError(400, "SDP answer without a media line")
    media = description.media[place]
    if media.port == 0:
        raise SdpError(488, "the audio line was refused")
    named = payloads(ours.media[place])
    keys = crypto.accepted(media.attributes, ours.media[place].attributes)
    agreement = _agree(description, media, local, named, keys)
    # The peer sends under the numbers of our offer (RFC 3264 section 6.1); some send under their own.
    numbers = {codec.payload_type: codec for codec in named if codec.name in LAWS}
    numbers |= {codec.payload_type: codec for codec in agreement.accepts}
    ours_too = (codec.payload_type for codec in named if codec.same(agreement.codec))
    numbers |= {number: replace(agreement.codec, payload_type=number) for number in ours_too}
    return replace(
        agreement,
        accepts=tuple(numbers.values()),
        protocol=ours.media[place].protocol,
        rtcp_mux=agreement.rtcp_mux and _has(ours.media[place], "rtcp-mux"),
        refused=(ours.media[:place], ours.media[place + 1 :]),
    )


def _choose(description: Description, local: Local, agreed: Agreement | None) -> tuple[int, Agreement]:
    """The media line to take, by index, and its agreement."""
    refusal: SdpError | None = None
    usable: list[tuple[int, Agreement]] = []
    for index, media in enumerate(description.media):
        if media.kind != "audio":
            continue
        keys = None
        if local.srtp != "off":
            keys = crypto.answered(media.attributes, None if agreed is None else agreed.keys)
        try:
            usable.append((index, _agree(description, media, local, (), keys)))
        except SdpError as error:
            refusal = refusal or error
    if not usable:
        raise refusal or SdpError(488, "no audio line in the SDP")
    return min(usable, key=lambda one: (not description.media[one[0]].port, one[1].keys is None, one[0]))


def _agree(
    description: Description, media: Media, local: Local, known: Sequence[Codec], keys: Keys | None
) -> Agreement:
    """What one media line of the peer comes to; `known`: what numbers mean, from our offer. Raises
    `SdpError`."""
    _check_profile(media, local, keys)
    found = payloads(media, known)
    wanted = [CODECS[name] for name in local.codecs]
    common = [codec for codec in found if any(codec.same(ours) for ours in wanted)]
    if not common:
        raise SdpError(488, f"no codec in common, expected one of {', '.join(local.codecs)}")
    codec = common[0]
    if local.ours_first and not known:
        codec = next(codec for ours in wanted for codec in common if codec.same(ours))
    events, comfort = beside(codec, found, EVENT), beside(codec, found, COMFORT)
    remote = _remote(description, media, local)
    sends, hears = _direction(description, media)
    return Agreement(
        remote=remote,
        codec=codec,
        dtmf=events.payload_type if events is not None and local.dtmf else None,
        dtmf_clock=8000 if events is None else events.clock_rate,
        comfort=None if comfort is None else comfort.payload_type,
        ptime=_ptime(description, media, local, codec),
        sends=hears and remote is not None,
        receives=sends and media.port > 0,
        accepts=tuple(other for other in common if _taken(other, codec)),
        keys=keys,
        protocol=media.protocol,
        rtcp=_rtcp(media, remote),
        rtcp_mux=_has(media, "rtcp-mux"),
    )


def _taken(codec: Codec, chosen: Codec) -> bool:
    """Whether packets with this codec are taken on a stream of the chosen one."""
    return codec.same(chosen) or codec.name in LAWS


def _check_private(local: Local) -> None:
    if local.srtp == "required" and not local.private:
        raise SdpError(488, "SRTP is required, and its keys are taken over TLS only")


def _check_profile(media: Media, local: Local, keys: Keys | None) -> None:
    """Raises `SdpError` where a line is no audio over RTP, or SRTP and what is wanted here do not go
    together."""
    protocol = media.protocol.upper()
    if media.kind != "audio" or protocol not in PLAIN + SECURE:
        raise SdpError(
            488, f"expected audio over RTP/AVP, got {shown(f'{media.kind} over {media.protocol}')}"
        )
    if protocol in SECURE and local.srtp == "off":
        raise SdpError(488, f"expected audio over RTP/AVP since SRTP is off, got {shown(media.protocol)}")
    _check_private(local)
    if keys is None and (protocol in SECURE or local.srtp == "required"):
        raise SdpError(
            488,
            f"SRTP without keys, expected an a=crypto line without MKI of one of {', '.join(crypto.SUITES)}",
        )


def _goes_with(event: Codec, codecs: Iterable[Codec]) -> bool:
    """Whether events on this clock are worth a line beside these codecs."""
    return any(codec.clock_rate == event.clock_rate for codec in codecs) or event is EVENTS[0]


def _as_before(codecs: Sequence[Codec], events: Sequence[Codec], agreed: Agreement) -> list[Codec]:
    """The formats of a further offer: first the codec that is in use, so that it stays; each under a number
    that has meant nothing else before (RFC 3264 section 8.3.2)."""
    named = {(codec.name, codec.clock_rate): codec for codec in reversed(agreed.accepts)}
    if agreed.dtmf is not None:
        named[EVENT, agreed.dtmf_clock] = Codec(EVENT, agreed.dtmf, agreed.dtmf_clock)
    taken = {codec.payload_type for codec in named.values()}
    formats = [agreed.codec]
    for codec in [*(codec for codec in codecs if not codec.same(agreed.codec)), *events]:
        before = named.get((codec.name, codec.clock_rate))
        free = (number for number in (codec.payload_type, *range(96, 128)) if number not in taken)
        formats.append(before or replace(codec, payload_type=next(free)))
        taken.add(formats[-1].payload_type)
    return formats


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
    address = _address(text)
    if address is None:
        raise SdpError(488, f"expected an IP address in the c= line, got {shown(text)}")
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise SdpError(488, f"expected an address without a zone in the c= line, got {shown(text)}")
    if address.is_unspecified:
        return None
    if address.is_multicast or _is_nobodys(address):
        raise SdpError(488, f"expected a unicast address in the c= line, got {address}")
    if family(str(address)) != family(local.address):
        raise SdpError(
            488, f"expected an address of the family of {local.address} in the c= line, got {address}"
        )
    return str(address), media.port


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    """The address in a c= line, None where there is none; IPv4 written as IPv6 is IPv4."""
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _is_nobodys(address: IPv4Address | IPv6Address) -> bool:
    """0.0.0.0/8 and 240.0.0.0/4, with the broadcast address in it (RFC 1122 section 3.2.1.3, RFC 1112)."""
    return address.version == 4 and (int(address) >> 24 == 0 or int(address) >> 28 == 0xF)


def _direction(description: Description, media: Media) -> tuple[bool, bool]:
    """What the peer does: (sends, receives). The line's own attribute counts before the session's."""
    for attributes in (media.attributes, description.attributes):
        named = [a.name for a in attributes if a.name in DIRECTIONS]
        if named:
            return DIRECTIONS[named[-1]]
    return DIRECTIONS["sendrecv"]


def _has(media: Media, name: str) -> bool:
    return any(attribute.name == name for attribute in media.attributes)


def _rtcp(media: Media, remote: tuple[str, int] | None) -> tuple[str, int] | None:
    """Where the line's a=rtcp says that RTCP goes (RFC 3605): another port, at the address of the stream. An
    address of its own is not believed: nothing would show that anybody there wants it."""
    for attribute in media.attributes:
        found = re.match("[0-9]{1,5}(?= |$)", attribute.value) if attribute.name == "rtcp" else None
        if found and remote is not None and 0 < int(found[0]) <= 65535:
            return remote[0], int(found[0])
    return None


def _ptime(description: Description, media: Media, local: Local, codec: Codec) -> int:
    """Milliseconds of the packets that we send, out of what the peer asks for."""
    asked = _milliseconds(media, "ptime") or _milliseconds(description, "ptime") or local.ptime
    longest = _milliseconds(media, "maxptime") or _milliseconds(description, "maxptime") or max(PTIMES)
    longest = min(longest, codec.longest)
    if asked in PTIMES and asked <= longest:
        return asked
    return PTIMES[0] if longest >= PTIMES[0] else max(SHORT_PTIME, codec.shortest)


def _milliseconds(place: Media | Description, name: str) -> int:
    """The whole milliseconds of an attribute, 0 when it is absent or no number."""
    for attribute in place.attributes:
        found = re.match("[0-9]{1,4}", attribute.value) if attribute.name == name else None
        if found:
            return int(found[0])
    return 0


def _describe(local: Local, media: Iterable[Media]) -> bytes:
    named = local.origin or local.address
    # Of a user name letters, though RFC 8866 has - for none: sipp's own scenarios look for them.
    origin = f"mixminus {local.session_id} {local.version} IN {family(named)} {named}"
    return bytes(Description(origin, local.address, (), tuple(media)))


def _refused(media: Media) -> Media:
    """The line that refuses `media` in its place (RFC 3264 section 6)."""
    return Media(media.kind, 0, media.protocol, media.formats[:1])


def _audio(
    local: Local,
    formats: Sequence[Codec],
    ptime: int,
    sends: bool = True,
    receives: bool = True,
    *,
    keys: Iterable[Crypto] = (),
    rtcp_mux: bool = False,
) -> Media:
    """Our audio line. Every format gets its rtpmap, static or not: some phones take no other."""
    attributes: list[Attribute] = [line.attribute for line in keys]
    for codec in formats:
        attributes += [attribute for attribute in (codec.rtpmap, codec.fmtp) if attribute is not None]
    attributes.append(Attribute("ptime", str(ptime)))
    attributes += [Attribute("rtcp-mux")] if rtcp_mux else []
    direction = next(name for name, both in DIRECTIONS.items() if both == (sends, receives))
    attributes.append(Attribute(direction))
    numbers = tuple(str(codec.payload_type) for codec in formats)
    return Media("audio", local.port, "RTP/AVP", numbers, attributes=tuple(attributes))
