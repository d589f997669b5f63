"""Every combination of what an offer can vary in, each answered as a small table says."""

from base64 import b64encode
from dataclasses import replace
from itertools import permutations, product

import pytest

from sip.description import Description
from sip.sdp import Agreement, Local, SdpError, accept, answer, offer

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


# Codecs, in both roles

CODECS = ("OPUS", "G722", "PCMA", "L16/16000")
ORDERS = [order for count in (1, 2, 3) for order in permutations(CODECS, count)]


def named(order: tuple[str, ...]) -> list[str]:
    """The names of codecs as agreements have them."""
    return [name.partition("/")[0] for name in order]


@pytest.mark.parametrize("ours_first", [False, True])
@pytest.mark.parametrize("ours", [("OPUS", "G722", "PCMA"), ("PCMA", "L16/16000"), ("G722",)])
@pytest.mark.parametrize("theirs", ORDERS, ids="-".join)
def test_both_sides_come_to_one_codec(
    theirs: tuple[str, ...], ours: tuple[str, ...], ours_first: bool
) -> None:
    caller = Local("198.51.100.7", 4000, 9, 1, theirs)
    callee = Local("192.0.2.1", 20000, 1, 1, ours, ours_first=ours_first)
    offered = offer(caller)
    common = [name for name in (ours if ours_first else theirs) if name in ours and name in theirs]
    if not common:
        with pytest.raises(SdpError, match="no codec in common"):
            answer(offered, callee)
        return
    sdp, there = answer(offered, callee)
    here = accept(sdp, offered, caller)
    assert there.codec.same(here.codec) and there.codec.payload_type == here.codec.payload_type
    assert there.codec.name == named((common[0],))[0]
    assert (there.dtmf, there.dtmf_clock) == (here.dtmf, here.dtmf_clock)
    assert there.dtmf_clock == there.codec.clock_rate
    for agreement in (here, there):
        assert agreement.codec in agreement.accepts
        assert {codec.name for codec in agreement.accepts} <= {agreement.codec.name, "PCMA"}


# One after another: what an offer comes to does not depend on what was before, but for the keys

SECOND_KEY = b64encode(bytes(range(30))).decode()
TURNS = {
    "talk": ("m=audio 4000 RTP/SAVP 9 0", "a=sendrecv"),
    "hold": ("m=audio 4000 RTP/SAVP 9 0", "a=sendonly"),
    "hold in silence": ("m=audio 4000 RTP/SAVP 9 0", "a=inactive"),
    "hold by address": ("m=audio 4000 RTP/SAVP 9 0", "c=IN IP4 0.0.0.0"),
    "hold by port": ("m=audio 0 RTP/SAVP 9 0",),
    "listen": ("m=audio 4000 RTP/SAVP 9 0", "a=recvonly"),
    "other codec": ("m=audio 4000 RTP/SAVP 0",),
    "other address": ("m=audio 4000 RTP/SAVP 9", "c=IN IP4 203.0.113.9"),
    "other port": ("m=audio 4002 RTP/SAVP 9",),
    "other packet time": ("m=audio 4000 RTP/SAVP 9", "a=ptime:40"),
    "other key": ("m=audio 4000 RTP/SAVP 9",),
    "in the clear": ("m=audio 4000 RTP/AVP 9",),
    "with video": ("m=audio 4000 RTP/SAVP 9", "m=video 4004 RTP/SAVP 96"),
}
HELD = ("hold", "hold in silence", "hold by address", "hold by port", "listen")


def turn(name: str) -> bytes:
    """A phone's offer."""
    audio, *attributes = TURNS[name]
    lines = ["v=0", "o=p 1 1 IN IP4 198.51.100.7", "s=-", "c=IN IP4 198.51.100.7", "t=0 0", audio]
    key = SECOND_KEY if name == "other key" else b64encode(bytes(30)).decode()
    if name != "in the clear":
        lines.append(f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}")
    return "\r\n".join([*lines, *attributes]).encode()


LOCALS = Local("192.0.2.1", 20000, 1, 1, ("G722", "PCMU"), srtp="optional", private=True)


@pytest.mark.parametrize(("first", "second"), list(product(TURNS, TURNS)))
def test_a_further_offer_comes_to_what_it_says(first: str, second: str) -> None:
    _, before = answer(turn(first), LOCALS)
    sdp, after = answer(turn(second), replace(LOCALS, version=2), before)
    _, alone = answer(turn(second), LOCALS)
    assert replace(after, keys=None) == replace(alone, keys=None)
    held = {"in the clear": None, "other key": SECOND_KEY}
    default = b64encode(bytes(30)).decode()
    theirs = [held.get(name, default) for name in (first, second)]
    if after.keys is None:
        assert second == "in the clear" and b"crypto" not in sdp
    else:
        assert b64encode(after.keys.receive).decode() == theirs[1]
        kept = before.keys is not None and before.keys.send == after.keys.send
        assert kept == (theirs[0] == theirs[1])
    # Late: the phone asks us to offer, and answers that it goes on as it was.
    asked = offer(replace(LOCALS, version=3), after)
    line = next(m for m in Description.parse(asked).media if m.kind == "audio")
    assert line.port == 20000 and line.protocol == after.protocol
    assert line.formats[0] == str(after.codec.payload_type)
    assert len(Description.parse(asked).media) == (2 if second == "with video" else 1)
    if second not in HELD:
        late = accept(turn(second), asked, LOCALS)
        assert (late.remote, late.codec, late.keys) == (after.remote, after.codec, after.keys)


@pytest.mark.parametrize("name", TURNS)
def test_the_same_said_twice_is_answered_twice_the_same(name: str) -> None:
    first, before = answer(turn(name), LOCALS)
    second, after = answer(turn(name), LOCALS, before)
    assert (first, before) == (second, after)


def test_a_pair_goes_through_every_turn_in_both_roles() -> None:
    """Two of ours, who offer by turns: both have the same stream after each."""
    sides = [
        Local("192.0.2.1", 20000, 1, 1, ("G722", "PCMU"), srtp="optional", private=True),
        Local("198.51.100.7", 4000, 2, 1, ("PCMU", "G722"), srtp="optional", private=True),
    ]
    have: list[Agreement | None] = [None, None]
    for number in range(6):
        here, there = number % 2, 1 - number % 2
        sides = [replace(side, version=side.version + 1, port=side.port + 2) for side in sides]
        offered = offer(sides[here], have[here])
        sdp, have[there] = answer(offered, sides[there], have[there])
        have[here] = accept(sdp, offered, sides[here])
        mine, theirs = have[here], have[there]
        assert mine is not None and theirs is not None and mine.keys and theirs.keys
        assert mine.codec.name == theirs.codec.name == "G722", "the first codec stays"
        assert mine.remote == (sides[there].address, sides[there].port)
        assert theirs.remote == (sides[here].address, sides[here].port)
        assert (mine.keys.send, mine.keys.receive) == (theirs.keys.receive, theirs.keys.send)
