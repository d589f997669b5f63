"""What is answered to what phones send, and what is made of their answers."""

from dataclasses import replace

import pytest

from sip.sdp import Agreement, Codec, Local, SdpError, accept, answer, offer

LOCAL = Local(address="192.0.2.1", port=20000, session_id=77, version=3)
PCMU, PCMA = Codec("PCMU", 0, 8000), Codec("PCMA", 8, 8000)


def described(*lines: str, connection: str = "IN IP4 198.51.100.7", session: tuple[str, ...] = ()) -> bytes:
    head = ("v=0", "o=phone 1 1 IN IP4 198.51.100.7", "s=call", f"c={connection}", "t=0 0", *session)
    return "".join(f"{line}\r\n" for line in (*head, *lines)).encode()


def lines_of(sdp: bytes) -> list[str]:
    return sdp.decode().split("\r\n")


def media_of(sdp: bytes) -> list[str]:
    return [line for line in lines_of(sdp) if line.startswith("m=")]


def agreed(*lines: str, local: Local = LOCAL, connection: str = "IN IP4 198.51.100.7") -> Agreement:
    return answer(described(*lines, connection=connection), local)[1]


def refusal(sdp: bytes, local: Local = LOCAL) -> SdpError:
    with pytest.raises(SdpError) as caught:
        answer(sdp, local)
    return caught.value


def taken(answer: bytes, local: Local = LOCAL) -> Agreement:
    """What an answer to our first offer comes to."""
    return accept(answer, offer(local), local)


# The answer as a whole


def test_an_answer_names_one_codec_and_the_telephone_event() -> None:
    sdp, agreement = answer(
        described("m=audio 4000 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000"), LOCAL
    )
    assert sdp == (
        b"v=0\r\no=mixminus 77 3 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        b"m=audio 20000 RTP/AVP 0 101\r\n"
        b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
        b"a=ptime:20\r\na=sendrecv\r\n"
    )
    assert agreement == Agreement(
        remote=("198.51.100.7", 4000),
        codec=PCMU,
        dtmf=101,
        ptime=20,
        sends=True,
        receives=True,
        accepts=(PCMU, PCMA),
    )


def test_an_offer_names_both_laws_and_the_telephone_event() -> None:
    assert offer(LOCAL) == (
        b"v=0\r\no=mixminus 77 3 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        b"m=audio 20000 RTP/AVP 0 8 101\r\n"
        b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        b"a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )


def test_a_further_offer_tells_its_version() -> None:
    assert b"o=mixminus 77 4 IN IP4" in offer(replace(LOCAL, version=4))


def test_an_ipv6_side_says_so() -> None:
    assert b"c=IN IP6 2001:db8::1\r\n" in offer(replace(LOCAL, address="2001:db8::1"))


# Codecs


def test_the_offerer_chooses_the_law() -> None:
    agreement = agreed("m=audio 4000 RTP/AVP 8 0")
    assert agreement.codec == PCMA
    assert agreement.accepts == (PCMA, PCMU)


def test_only_configured_codecs_are_taken() -> None:
    agreement = agreed("m=audio 4000 RTP/AVP 0 8", local=replace(LOCAL, codecs=("PCMA",)))
    assert agreement.codec == PCMA
    assert agreement.accepts == (PCMA,)


def test_static_payload_types_need_no_rtpmap() -> None:
    assert agreed("m=audio 4000 RTP/AVP 18 9 8").codec == PCMA


def test_a_dynamic_payload_type_keeps_its_number() -> None:
    offered = described("m=audio 4000 RTP/AVP 111 97", "a=rtpmap:111 opus/48000/2", "a=rtpmap:97 pcma/8000/1")
    sdp, agreement = answer(offered, LOCAL)
    assert agreement.codec == Codec("PCMA", 97, 8000)
    assert media_of(sdp) == ["m=audio 20000 RTP/AVP 97"]
    assert "a=rtpmap:97 PCMA/8000" in lines_of(sdp)


def test_an_rtpmap_redefines_a_static_number() -> None:
    assert agreed("m=audio 4000 RTP/AVP 0 8", "a=rtpmap:0 G729/8000").codec == PCMA


@pytest.mark.parametrize("line", ["a=rtpmap:97 PCMU/16000", "a=rtpmap:97 PCMU/0", "a=rtpmap:97 PCMU/8000/2"])
def test_a_law_at_another_rate_or_in_stereo_is_another_codec(line: str) -> None:
    assert refusal(described("m=audio 4000 RTP/AVP 97", line)).status == 488


def test_formats_that_nothing_explains_are_passed_over() -> None:
    assert agreed("m=audio 4000 RTP/AVP 96 * 300 -1 x 8", "a=fmtp:96 mode=1").codec == PCMA


def test_no_codec_in_common_is_488() -> None:
    error = refusal(described("m=audio 4000 RTP/AVP 9 18", "a=rtpmap:9 G722/8000"))
    assert (error.status, error.reason) == (488, "no codec in common, expected one of PCMU, PCMA")


# Digits


@pytest.mark.parametrize("number", [96, 97, 100, 101, 127])
def test_telephone_event_is_taken_under_any_number(number: int) -> None:
    lines = (
        f"m=audio 4000 RTP/AVP 0 {number}",
        f"a=rtpmap:{number} telephone-event/8000",
        f"a=fmtp:{number} 0-16",
    )
    sdp, agreement = answer(described(*lines), LOCAL)
    assert agreement.dtmf == number
    assert media_of(sdp) == [f"m=audio 20000 RTP/AVP 0 {number}"]


def test_of_several_telephone_events_the_one_on_the_codecs_clock_is_taken() -> None:
    lines = ("a=rtpmap:110 telephone-event/48000", "a=rtpmap:126 TELEPHONE-EVENT/8000")
    assert agreed("m=audio 4000 RTP/AVP 0 110 126", *lines).dtmf == 126


def test_telephone_event_on_another_clock_is_not_agreed() -> None:
    assert agreed("m=audio 4000 RTP/AVP 0 110", "a=rtpmap:110 telephone-event/48000").dtmf is None


def test_telephone_event_that_no_format_lists_is_not_agreed() -> None:
    assert agreed("m=audio 4000 RTP/AVP 0", "a=rtpmap:101 telephone-event/8000").dtmf is None


def test_digits_can_be_switched_off() -> None:
    local = replace(LOCAL, dtmf=False)
    assert agreed("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", local=local).dtmf is None
    assert b"telephone-event" not in offer(local)


# Packet times


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        ((), 20),
        (("a=ptime:20",), 20),
        (("a=ptime:40",), 40),
        (("a=ptime:60",), 60),
        (("a=ptime:10",), 20),
        (("a=ptime:30",), 20),
        (("a=ptime:80",), 20),
        (("a=ptime:0",), 20),
        (("a=ptime:x",), 20),
        (("a=ptime:40.0",), 40),
        (("a=ptime:60", "a=maxptime:40"), 20),
        (("a=ptime:40", "a=maxptime:40"), 40),
        (("a=maxptime:150",), 20),
        (("a=maxptime:10",), 10),
        (("a=ptime:20", "a=maxptime:10"), 10),
        (("a=ptime:10", "a=maxptime:20"), 20),
        (("a=maxptime:0",), 20),
    ],
)
def test_packets_are_sent_as_asked_where_that_is_20_40_or_60(lines: tuple[str, ...], sent: int) -> None:
    sdp, agreement = answer(described("m=audio 4000 RTP/AVP 0", *lines), LOCAL)
    assert agreement.ptime == sent
    assert f"a=ptime:{sent}" in lines_of(sdp)


def test_a_packet_time_of_the_session_counts() -> None:
    assert answer(described("m=audio 4000 RTP/AVP 0", session=("a=ptime:40",)), LOCAL)[1].ptime == 40


# Hold


@pytest.mark.parametrize(
    ("offered", "answered", "sends", "receives"),
    [
        ("sendrecv", "sendrecv", True, True),
        ("sendonly", "recvonly", False, True),
        ("recvonly", "sendonly", True, False),
        ("inactive", "inactive", False, False),
    ],
)
@pytest.mark.parametrize("level", ["session", "media"])
def test_a_direction_is_answered_with_its_counterpart(
    level: str, offered: str, answered: str, sends: bool, receives: bool
) -> None:
    attribute = (f"a={offered}",)
    if level == "session":
        offer_text = described("m=audio 4000 RTP/AVP 0", session=attribute)
    else:
        offer_text = described("m=audio 4000 RTP/AVP 0", *attribute)
    sdp, agreement = answer(offer_text, LOCAL)
    assert (agreement.sends, agreement.receives) == (sends, receives)
    assert [line for line in lines_of(sdp) if line.endswith(("recv", "only", "inactive"))] == [
        f"a={answered}"
    ]
    assert agreement.remote == ("198.51.100.7", 4000)


def test_the_lines_own_direction_counts_before_the_sessions() -> None:
    sdp = described("m=audio 4000 RTP/AVP 0", "a=sendrecv", session=("a=inactive",))
    assert answer(sdp, LOCAL)[1].sends


@pytest.mark.parametrize("connection", ["IN IP4 0.0.0.0", "IN IP6 ::"])
def test_an_unspecified_address_is_hold(connection: str) -> None:
    sdp, agreement = answer(described("m=audio 4000 RTP/AVP 0", connection=connection), LOCAL)
    assert agreement.remote is None
    assert (agreement.sends, agreement.receives) == (False, True)
    assert "a=recvonly" in lines_of(sdp)
    assert media_of(sdp) == ["m=audio 20000 RTP/AVP 0"]


def test_port_zero_is_hold_and_answered_with_port_zero() -> None:
    sdp, agreement = answer(described("m=audio 0 RTP/AVP 8 0"), LOCAL)
    assert (agreement.remote, agreement.sends, agreement.receives) == (None, False, False)
    assert agreement.codec == PCMA
    assert media_of(sdp) == ["m=audio 0 RTP/AVP 8"]


def test_port_zero_needs_no_usable_address() -> None:
    assert agreed("m=audio 0 RTP/AVP 0", connection="IN IP4 phone.example").remote is None


# Addresses


def test_the_lines_own_address_counts_before_the_sessions() -> None:
    agreement = agreed("m=audio 4000 RTP/AVP 0", "c=IN IP4 203.0.113.9/127")
    assert agreement.remote == ("203.0.113.9", 4000)


def test_an_ipv6_phone_is_answered_on_ipv6() -> None:
    local = replace(LOCAL, address="2001:db8::1")
    agreement = agreed("m=audio 4000 RTP/AVP 0", connection="IN IP6 2001:DB8::7", local=local)
    assert agreement.remote == ("2001:db8::7", 4000)


def test_a_mapped_address_is_the_ipv4_address_inside() -> None:
    assert agreed("m=audio 4000 RTP/AVP 0", connection="IN IP6 ::ffff:198.51.100.7").remote == (
        "198.51.100.7",
        4000,
    )


def test_the_family_is_read_from_the_address_and_not_from_its_label() -> None:
    assert agreed("m=audio 4000 RTP/AVP 0", connection="IN IP6 198.51.100.7").remote is not None


@pytest.mark.parametrize(
    "address",
    [
        "224.2.1.1/127",
        "255.255.255.255",
        "0.1.2.3",
        "2001:db8::7",
        "ff02::1",
        "::ffff:224.0.0.1",
        "phone.example",
        "1.2.3",
        "999.1.1.1",
        "fe80::1%eth0",
        "",
    ],
)
def test_an_address_that_cannot_be_sent_to_is_488(address: str) -> None:
    error = refusal(described("m=audio 4000 RTP/AVP 0", connection=f"IN IP4 {address}"))
    assert error.status == 488
    assert "c= line" in error.reason


def test_an_ipv4_phone_is_refused_on_ipv6() -> None:
    local = replace(LOCAL, address="2001:db8::1")
    assert refusal(described("m=audio 4000 RTP/AVP 0"), local).status == 488


def test_loopback_is_an_address_like_another() -> None:
    assert agreed("m=audio 4000 RTP/AVP 0", connection="IN IP4 127.0.0.1").remote == ("127.0.0.1", 4000)


def test_audio_without_any_connection_line_is_400() -> None:
    assert refusal(b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n").status == 400


# Other media lines


def test_other_lines_are_refused_in_their_place() -> None:
    sdp, agreement = answer(
        described(
            "m=video 5000 RTP/AVP 96 97",
            "m=audio 4000/2 RTP/AVP 0",
            "m=image 6000 udptl t38",
            "m=application 7000 UDP/DTLS/SCTP webrtc-datachannel",
            "m=text 8000 RTP/AVP",
        ),
        LOCAL,
    )
    assert media_of(sdp) == [
        "m=video 0 RTP/AVP 96",
        "m=audio 20000 RTP/AVP 0",
        "m=image 0 udptl t38",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        "m=text 0 RTP/AVP 0",
    ]
    assert agreement.remote == ("198.51.100.7", 4000)


def test_of_several_audio_lines_the_first_that_can_be_used_is_taken() -> None:
    sdp, agreement = answer(
        described(
            "m=audio 4000 RTP/SAVP 0",
            "m=audio 4002 RTP/AVP 9",
            "m=audio 0 RTP/AVP 0",
            "m=audio 4006 RTP/AVP 8",
            "m=audio 4008 RTP/AVP 0",
        ),
        LOCAL,
    )
    assert [line.split()[1] for line in media_of(sdp)] == ["0", "0", "0", "20000", "0"]
    assert (agreement.remote, agreement.codec) == (("198.51.100.7", 4006), PCMA)


@pytest.mark.parametrize("protocol", ["RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF", "RTP/XXX"])
def test_an_srtp_only_line_is_488(protocol: str) -> None:
    error = refusal(
        described(f"m=audio 4000 {protocol} 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:secret")
    )
    assert error.status == 488
    assert protocol in error.reason
    assert "secret" not in error.reason


def test_optional_srtp_is_answered_in_the_clear() -> None:
    sdp, _ = answer(
        described("m=audio 4000 RTP/AVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:secret"), LOCAL
    )
    assert b"crypto" not in sdp


def test_feedback_profile_is_answered_as_offered() -> None:
    sdp, _ = answer(described("m=audio 4000 RTP/AVPF 0", "a=rtcp-fb:* ccm tmmbr"), LOCAL)
    assert media_of(sdp) == ["m=audio 20000 RTP/AVPF 0"]


def test_ice_and_bundle_attributes_are_left_out_of_the_answer() -> None:
    sdp, _ = answer(
        described(
            "m=audio 4000 RTP/AVP 0",
            "a=mid:0",
            "a=ice-ufrag:x",
            "a=ice-pwd:y",
            "a=candidate:1 1 UDP 2130706431 10.0.0.9 4000 typ host",
            "a=rtcp:4001 IN IP4 198.51.100.7",
            "a=ssrc:1 cname:x",
            session=("a=group:BUNDLE 0", "a=ice-lite"),
        ),
        LOCAL,
    )
    assert [line for line in lines_of(sdp) if line.startswith("a=")] == [
        "a=rtpmap:0 PCMU/8000",
        "a=ptime:20",
        "a=sendrecv",
    ]


def test_an_offer_without_audio_is_488() -> None:
    assert refusal(described("m=video 5000 RTP/AVP 31")).reason == "no audio line in the SDP"
    assert refusal(described()).status == 488


# Answers to our offer


def test_the_answer_chooses_what_we_send() -> None:
    agreement = taken(
        described("m=audio 4000 RTP/AVP 8 101", "a=rtpmap:101 telephone-event/8000", "a=ptime:40"), LOCAL
    )
    assert agreement.remote == ("198.51.100.7", 4000)
    assert (agreement.codec, agreement.dtmf, agreement.ptime) == (PCMA, 101, 40)
    assert (agreement.sends, agreement.receives) == (True, True)


def test_a_peer_may_send_whatever_we_offered() -> None:
    assert set(taken(described("m=audio 4000 RTP/AVP 8"), LOCAL).accepts) == {PCMU, PCMA}


def test_an_answer_under_other_numbers_is_sent_under_them_and_taken_under_both() -> None:
    agreement = taken(described("m=audio 4000 RTP/AVP 97", "a=rtpmap:97 PCMU/8000"), LOCAL)
    assert agreement.codec == Codec("PCMU", 97, 8000)
    assert set(agreement.accepts) == {Codec("PCMU", 97, 8000), PCMU, PCMA}


def test_an_answer_without_packet_time_gets_what_we_offered() -> None:
    assert taken(described("m=audio 4000 RTP/AVP 0"), replace(LOCAL, ptime=40)).ptime == 40


def test_an_answer_without_digits_agrees_to_none() -> None:
    assert taken(described("m=audio 4000 RTP/AVP 0"), LOCAL).dtmf is None


@pytest.mark.parametrize(
    ("said", "sends", "receives"),
    [
        ("sendrecv", True, True),
        ("sendonly", False, True),
        ("recvonly", True, False),
        ("inactive", False, False),
    ],
)
def test_the_direction_of_an_answer_is_the_peers(said: str, sends: bool, receives: bool) -> None:
    agreement = taken(described("m=audio 4000 RTP/AVP 0", f"a={said}"), LOCAL)
    assert (agreement.sends, agreement.receives) == (sends, receives)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((), 400),
        (("m=audio 0 RTP/AVP 0",), 488),
        (("m=video 4000 RTP/AVP 0",), 488),
        (("m=audio 4000 RTP/SAVP 0",), 488),
        (("m=audio 4000 RTP/AVP 9",), 488),
    ],
)
def test_an_answer_that_agrees_to_nothing_is_refused(lines: tuple[str, ...], status: int) -> None:
    with pytest.raises(SdpError) as caught:
        taken(described(*lines), LOCAL)
    assert caught.value.status == status


def test_an_answer_with_a_codec_we_did_not_offer_is_refused() -> None:
    with pytest.raises(SdpError, match="no codec in common"):
        taken(described("m=audio 4000 RTP/AVP 8"), replace(LOCAL, codecs=("PCMU",)))
