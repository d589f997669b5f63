"""Every combination of what an offer can vary in, each answered as a small table says."""

from itertools import product

import pytest

from sip.description import Description
from sip.sdp import Local, SdpError, accept, answer, offer

LOCAL = Local(address="192.0.2.1", port=20000, session_id=1, version=1)

FORMATS = {
    "both": ("0 8 101", "PCMU"),
    "turned": ("8 0 101", "PCMA"),
    "only-a": ("8", "PCMA"),
    "many": ("9 111 18 3 8 0 13 101", "PCMA"),
    "none": ("9 18 3", None),
}
# direction said by the peer -> (we send, we receive, direction answered)
DIRECTIONS = {
    "": (True, True, "sendrecv"),
    "a=sendrecv": (True, True, "sendrecv"),
    "a=sendonly": (False, True, "recvonly"),
    "a=recvonly": (True, False, "sendonly"),
    "a=inactive": (False, False, "inactive"),
}
ON_HOLD = {"sendrecv": "recvonly", "recvonly": "recvonly", "sendonly": "inactive", "inactive": "inactive"}
PLACES = ("198.51.100.7", "0.0.0.0", "port 0")
PROTOCOLS = {"RTP/AVP": True, "RTP/AVPF": True, "RTP/SAVP": False}
LEVELS = ("session", "media")
COMPANIONS = {"alone": ([], []), "video after": ([], ["video"]), "image before": (["image"], [])}


def offered(formats: str, direction: str, place: str, protocol: str, level: str, companion: str) -> bytes:
    before, after = COMPANIONS[companion]
    address, port = ("198.51.100.7", 0) if place == "port 0" else (place, 4000)
    lines = ["v=0", "o=p 1 1 IN IP4 198.51.100.7", "s=-", f"c=IN IP4 {address}", "t=0 0"]
    lines += [direction] if level == "session" else []
    lines += [f"m={kind} 9 RTP/AVP 99" for kind in before]
    lines += [f"m=audio {port} {protocol} {FORMATS[formats][0]}", "a=rtpmap:101 telephone-event/8000"]
    lines += ["a=rtpmap:111 opus/48000/2", "a=fmtp:18 annexb=no"]
    lines += [direction] if level == "media" else []
    lines += [f"m={kind} 9 RTP/AVP 99" for kind in after]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("formats", "direction", "place", "protocol", "level", "companion"),
    list(product(FORMATS, DIRECTIONS, PLACES, PROTOCOLS, LEVELS, COMPANIONS)),
)
def test_each_offer_has_its_answer(
    formats: str, direction: str, place: str, protocol: str, level: str, companion: str
) -> None:
    data = offered(formats, direction, place, protocol, level, companion)
    codec = FORMATS[formats][1]
    if codec is None or not PROTOCOLS[protocol]:
        with pytest.raises(SdpError) as caught:
            answer(data, LOCAL)
        assert caught.value.status == 488
        return

    sdp, agreement = answer(data, LOCAL)
    description = Description.parse(sdp)
    before, after = COMPANIONS[companion]
    assert [media.kind for media in description.media] == [*before, "audio", *after]
    audio = description.media[len(before)]
    assert all(media.port == 0 for media in description.media if media.kind != "audio")
    assert audio.protocol == protocol
    assert agreement.codec.name == codec
    assert agreement.dtmf == (101 if "101" in FORMATS[formats][0] else None)

    sends, receives, said = DIRECTIONS[direction]
    if place == "port 0":
        assert (audio.port, agreement.remote) == (0, None)
        assert (agreement.sends, agreement.receives) == (False, False)
        return
    if place == "0.0.0.0":
        sends, said = False, ON_HOLD[said]
        assert agreement.remote is None
    else:
        assert agreement.remote == ("198.51.100.7", 4000)
    assert (agreement.sends, agreement.receives) == (sends, receives)
    assert audio.port == 20000
    assert said in [attribute.name for attribute in audio.attributes]
    assert agreement.comfort == (13 if formats == "many" else None)
    assert len(audio.formats) == 1 + bool(agreement.dtmf) + bool(agreement.comfort)


LAWS = [("PCMU", "PCMA"), ("PCMA",), ("PCMU",)]


@pytest.mark.parametrize(
    ("ours", "theirs", "dtmf", "ptime"), list(product(LAWS, LAWS[:2], [True, False], [20, 40, 60]))
)
def test_both_sides_of_an_exchange_agree(
    ours: tuple[str, ...], theirs: tuple[str, ...], dtmf: bool, ptime: int
) -> None:
    caller = Local("192.0.2.1", 20000, 1, 1, ours, True, ptime)
    callee = Local("198.51.100.7", 4000, 9, 1, theirs, dtmf, 20)
    if not set(ours) & set(theirs):
        with pytest.raises(SdpError, match="no codec in common"):
            answer(offer(caller), callee)
        return
    sdp, callee_has = answer(offer(caller), callee)
    caller_has = accept(sdp, offer(caller), caller)
    assert caller_has.codec == callee_has.codec
    assert caller_has.dtmf == callee_has.dtmf == (101 if dtmf else None)
    assert caller_has.ptime == callee_has.ptime == ptime
    assert caller_has.remote == ("198.51.100.7", 4000)
    assert callee_has.remote == ("192.0.2.1", 20000)
