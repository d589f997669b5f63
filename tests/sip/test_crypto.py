"""Keys in descriptions: which lines are taken, what is answered, and where no key may be said."""

from base64 import b64decode, b64encode
from dataclasses import replace
from itertools import product

import pytest

from sip.crypto import SUITES, Keys
from sip.sdp import Agreement, Local, SdpError, Srtp, accept, answer, offer
from sip.trace import readable

LOCAL = Local("192.0.2.1", 20000, 77, 3, srtp="optional", private=True)
PEER = Local("198.51.100.7", 4000, 9, 1, srtp="optional", private=True)
HEAD = ("v=0", "o=- 1 1 IN IP4 198.51.100.7", "s=-", "c=IN IP4 198.51.100.7", "t=0 0")
KEYS = {suite: bytes(range(1, size + 1)) for suite, size in SUITES.items()}
CM, GCM = "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"


def line(suite: str = CM, tag: int | str = 1, key: bytes | None = None, rest: str = "") -> str:
    return f"a=crypto:{tag} {suite} inline:{b64encode(key or KEYS[suite]).decode()}{rest}"


def described(*lines: str, protocol: str = "RTP/SAVP") -> bytes:
    return "\r\n".join((*HEAD, f"m=audio 4000 {protocol} 0", *lines)).encode()


def said(sdp: bytes) -> list[list[str]]:
    """The words of each crypto line."""
    return [row[9:].split() for row in sdp.decode().split("\r\n") if row.startswith("a=crypto:")]


def agreed(*lines: str, protocol: str = "RTP/SAVP", local: Local = LOCAL) -> Agreement:
    return answer(described(*lines, protocol=protocol), local)[1]


def keys_of(agreement: Agreement) -> Keys:
    assert agreement.keys is not None
    return agreement.keys


# Answers


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("protocol", ["RTP/SAVP", "RTP/SAVPF", "RTP/AVP", "RTP/AVPF"])
def test_a_line_is_answered_with_its_tag_its_suite_and_a_key_of_ours(suite: str, protocol: str) -> None:
    sdp, agreement = answer(described(line(suite, 7), protocol=protocol), LOCAL)
    ((tag, chosen, inline),) = said(sdp)
    assert (tag, chosen) == ("7", suite)
    assert f" {protocol} ".encode() in sdp
    keys = keys_of(agreement)
    assert b64decode(inline.removeprefix("inline:")) == keys.send
    assert (len(keys.send), keys.receive) == (SUITES[suite], KEYS[suite])
    assert keys.send != keys.receive


def test_the_first_line_that_can_be_used_is_taken() -> None:
    lines = (line("AES_256_CM_HMAC_SHA1_80", 1, KEYS[CM]), line(GCM, 2), line(CM, 3))
    assert (keys_of(agreed(*lines)).suite, keys_of(agreed(*lines)).tag) == (GCM, "2")


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "|2^20",
        "|2^48",
        "|1048576",
        " WSH=128",
        " KDR=0",
        " -vendor=thing",
        "|2^31 WSH=64 -x",
    ],
)
def test_lifetimes_and_parameters_without_consequence_are_read_over(rest: str) -> None:
    assert keys_of(agreed(line(rest=rest))).receive == KEYS[CM]


@pytest.mark.parametrize(
    "bad",
    [
        line(rest="|2^20|1:4"),
        line(rest="|1:4"),
        line(rest="|2^49"),
        line(rest="|0"),
        line(rest="|soon"),
        line(rest=";inline:" + b64encode(KEYS[CM]).decode()),
        line(rest=" KDR=1"),
        line(rest=" UNENCRYPTED_SRTP"),
        line(rest=" UNENCRYPTED_SRTCP"),
        line(rest=" UNAUTHENTICATED_SRTP"),
        line(rest=" FEC_ORDER=FEC_SRTP"),
        line(rest=" NEWER=1"),
        line(key=KEYS[CM][:-1]),
        line(key=KEYS[GCM]),
        line(tag="x"),
        line(tag="1234567890"),
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 uri:http://keys.example",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:!!!!",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80",
        "a=crypto:",
    ],
)
def test_a_line_that_asks_for_what_is_not_done_is_passed_over(bad: str) -> None:
    good = line(GCM, 9)
    assert keys_of(agreed(bad, good)).tag == "9"
    with pytest.raises(
        SdpError, match="expected an a=crypto line without MKI of one of AES_CM_128"
    ) as caught:
        answer(described(bad), LOCAL)
    assert caught.value.status == 488
    assert agreed(bad, protocol="RTP/AVP").keys is None


def test_padding_may_be_left_out() -> None:
    key = b64encode(KEYS[GCM]).decode()
    assert key.endswith("=")
    assert keys_of(agreed(f"a=crypto:1 {GCM} inline:{key.rstrip('=')}")).receive == KEYS[GCM]


def test_each_answer_has_a_fresh_key() -> None:
    assert keys_of(agreed(line())).send != keys_of(agreed(line())).send


def test_a_peer_that_keeps_its_key_is_answered_with_ours() -> None:
    before = agreed(line(CM, 1), line(GCM, 2))
    sdp, after = answer(described(line(GCM, 1, bytes(44)), line(CM, 2)), LOCAL, before)
    assert keys_of(after) == replace(keys_of(before), tag="2")
    assert [row[:2] for row in said(sdp)] == [["2", CM]]


def test_a_peer_with_another_key_gets_another() -> None:
    before = agreed(line())
    _, after = answer(described(line(key=bytes(30))), LOCAL, before)
    assert keys_of(after).send != keys_of(before).send


def test_of_two_lines_the_encrypted_one_is_taken() -> None:
    both = "\r\n".join((*HEAD, "m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/SAVP 0", line())).encode()
    sdp, agreement = answer(both, LOCAL)
    assert agreement.remote == ("198.51.100.7", 4002)
    assert [row.split()[1] for row in sdp.decode().split("\r\n") if row.startswith("m=")] == ["0", "20000"]


# Whether at all

OFFERS = {"plain": (), "open": (line(),), "secure": (line(),)}


@pytest.mark.parametrize(
    ("srtp", "private", "kind"), list(product(("off", "optional", "required"), (True, False), OFFERS))
)
def test_an_offer_is_answered_as_encrypted_as_is_set(srtp: Srtp, private: bool, kind: str) -> None:
    local = replace(LOCAL, srtp=srtp, private=private)
    data = described(*OFFERS[kind], protocol="RTP/SAVP" if kind == "secure" else "RTP/AVP")
    refused = (
        (srtp == "off" and kind == "secure")
        or (srtp == "required" and kind == "plain")
        or (srtp == "required" and not private)
    )
    if refused:
        with pytest.raises(SdpError, match="SRTP") as caught:
            answer(data, local)
        assert caught.value.status == 488
        return
    sdp, agreement = answer(data, local)
    encrypted = srtp != "off" and kind != "plain"
    assert (agreement.keys is not None) == encrypted == bool(said(sdp))


@pytest.mark.parametrize(
    ("srtp", "private", "protocol", "lines"),
    [
        ("off", True, "RTP/AVP", 0),
        ("optional", True, "RTP/AVP", len(SUITES)),
        ("optional", False, "RTP/AVP", 0),
        ("required", True, "RTP/SAVP", len(SUITES)),
    ],
)
def test_an_offer_has_keys_where_nobody_on_the_way_reads_them(
    srtp: Srtp, private: bool, protocol: str, lines: int
) -> None:
    sdp = offer(replace(LOCAL, srtp=srtp, private=private))
    assert f" {protocol} ".encode() in sdp
    assert len(said(sdp)) == lines


def test_nothing_is_offered_where_keys_are_required_and_may_not_be_said() -> None:
    with pytest.raises(SdpError, match="SRTP is required, and its keys are taken over TLS only"):
        offer(replace(LOCAL, srtp="required", private=False))


def test_each_offer_has_fresh_keys_one_for_each_suite() -> None:
    keys = [row[2] for row in said(offer(LOCAL)) + said(offer(LOCAL))]
    assert len(set(keys)) == 2 * len(SUITES)


# Answers to our offer


@pytest.mark.parametrize(
    ("ours", "theirs"), list(product(("off", "optional", "required"), ("off", "optional", "required")))
)
def test_both_sides_have_the_same_keys_the_other_way_round(ours: Srtp, theirs: Srtp) -> None:
    caller, callee = replace(LOCAL, srtp=ours), replace(PEER, srtp=theirs)
    offered = offer(caller)
    if {ours, theirs} == {"off", "required"}:
        with pytest.raises(SdpError, match="SRTP"):
            answer(offered, callee)
        return
    sdp, there = answer(offered, callee)
    here = accept(sdp, offered, caller)
    if "off" in (ours, theirs):
        assert here.keys is there.keys is None
        return
    mine, other = keys_of(here), keys_of(there)
    assert (mine.suite, mine.send, mine.receive) == (other.suite, other.receive, other.send)


@pytest.mark.parametrize("reply", [(), (line(GCM, 1),), (line(CM, 9),), (line(rest="|2^20|1:4"),)])
def test_an_answer_that_chose_none_of_ours_is_refused_or_in_the_clear(reply: tuple[str, ...]) -> None:
    offered = offer(LOCAL)
    assert accept(described(*reply, protocol="RTP/AVP"), offered, LOCAL).keys is None
    required = replace(LOCAL, srtp="required")
    with pytest.raises(SdpError, match="SRTP without keys"):
        accept(described(*reply), offer(required), required)


@pytest.mark.parametrize("srtp", ["optional", "required"])
def test_a_further_offer_keeps_keys_and_profile(srtp: Srtp) -> None:
    local = replace(LOCAL, srtp=srtp)
    before = agreed(line(GCM, 4), local=local)
    further = offer(local, before)
    ((tag, suite, inline),) = said(further)
    assert (tag, suite, b" RTP/SAVP " in further) == ("4", GCM, True)
    assert b64decode(inline.removeprefix("inline:")) == keys_of(before).send
    after = accept(described(line(GCM, 4)), further, local)
    assert keys_of(after) == keys_of(before)


# Secrecy


def test_no_repr_and_no_error_shows_a_key() -> None:
    agreement = agreed(line())
    hidden = [b64encode(KEYS[CM]).decode()[:12], "x01", "x02"]
    assert not any(part in repr(agreement) for part in hidden)
    with pytest.raises(SdpError) as caught:
        answer(described(line(rest=" NEWER=1")), LOCAL)
    assert not any(part in str(caught.value) for part in hidden)


@pytest.mark.parametrize("data", [offer(LOCAL), answer(described(line()), LOCAL)[0], described(line())])
def test_no_trace_shows_a_key(data: bytes) -> None:
    message = b"INVITE sip:x SIP/2.0\r\nContent-Type: application/sdp\r\n\r\n" + data
    shown = readable(message)
    assert "m=audio" in shown and "a=crypto:(removed)" in shown
    assert "inline" not in shown
