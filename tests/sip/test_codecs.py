"""What payload types mean, and which of them are agreed."""

from dataclasses import replace

import pytest

from sip.codecs import CODECS, Codec
from sip.sdp import Agreement, Local, accept, answer, offer

EVERY = ("OPUS", "G722", "PCMU", "PCMA", "L16/16000", "L16/8000")
LOCAL = Local("192.0.2.1", 20000, 77, 3, EVERY)
HEAD = ("v=0", "o=- 1 1 IN IP4 198.51.100.7", "s=-", "c=IN IP4 198.51.100.7", "t=0 0")
# The order and the parameters of some phones' offers.
SOFTPHONE = (
    "m=audio 4000 RTP/AVP 111 9 8 0 101 102",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 useinbandfec=1; stereo=0; sprop-stereo=0",
    "a=rtpmap:101 telephone-event/48000",
    "a=rtpmap:102 telephone-event/8000",
)
DESK_PHONE = (
    "m=audio 4000 RTP/AVP 0 8 18 9 13 101",
    "a=rtpmap:101 telephone-event/8000",
    "a=fmtp:18 annexb=no",
)


def described(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (*HEAD, *lines)).encode()


def agreed(*lines: str, local: Local = LOCAL) -> Agreement:
    return answer(described(*lines), local)[1]


def audio(sdp: bytes) -> list[str]:
    """The lines that say what the formats are."""
    return [line for line in sdp.decode().split("\r\n") if line.startswith(("m=", "a=rtpmap", "a=fmtp"))]


def test_an_offer_names_every_codec_and_the_events_on_their_clocks() -> None:
    assert audio(offer(LOCAL)) == [
        "m=audio 20000 RTP/AVP 111 9 0 8 98 97 101 102 103",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:98 L16/16000",
        "a=rtpmap:97 L16/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=rtpmap:102 telephone-event/48000",
        "a=fmtp:102 0-15",
        "a=rtpmap:103 telephone-event/16000",
        "a=fmtp:103 0-15",
    ]


def test_an_offer_has_no_events_on_clocks_that_no_codec_has() -> None:
    assert audio(offer(replace(LOCAL, codecs=("PCMU", "G722"))))[0] == "m=audio 20000 RTP/AVP 0 9 101"


def test_an_offer_leaves_room_for_the_headers_of_an_invite_over_udp() -> None:
    assert len(offer(LOCAL)) <= 500  # of 1,300 (RFC 3261 section 18.1.1)


def test_the_offerers_order_is_followed() -> None:
    assert agreed(*SOFTPHONE).codec.name == "OPUS"
    assert agreed(*DESK_PHONE).codec.name == "PCMU"


def test_ours_is_followed_where_that_is_set() -> None:
    local = replace(LOCAL, ours_first=True)
    assert agreed(*DESK_PHONE, local=local).codec == CODECS["G722"]
    theirs = accept(described("m=audio 4000 RTP/AVP 0 9"), offer(local), local)
    assert theirs.codec.name == "PCMU"  # what was offered is for the other side to choose from


def test_an_answer_names_the_codec_with_what_goes_with_it() -> None:
    assert audio(answer(described(*SOFTPHONE), LOCAL)[0]) == [
        "m=audio 20000 RTP/AVP 111 101",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtpmap:101 telephone-event/48000",
        "a=fmtp:101 0-15",
    ]
    assert audio(answer(described(*DESK_PHONE), LOCAL)[0])[0] == "m=audio 20000 RTP/AVP 0 101 13"


@pytest.mark.parametrize(
    ("codec", "clocks", "taken"),
    [
        ("111", (8000, 48000), 48000),
        ("111", (48000, 8000), 48000),
        ("111", (8000,), 8000),
        ("111", (16000,), None),
        ("9", (48000, 8000), 8000),
        ("0", (48000,), None),
        ("98", (8000, 16000), 16000),
    ],
)
def test_digits_are_agreed_on_the_codecs_clock_else_on_that_of_all(
    codec: str, clocks: tuple[int, ...], taken: int | None
) -> None:
    numbers = {clock: 101 + index for index, clock in enumerate(clocks)}
    agreement = agreed(
        f"m=audio 4000 RTP/AVP {codec} {' '.join(map(str, numbers.values()))}",
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:98 L16/16000",
        *(f"a=rtpmap:{number} telephone-event/{clock}" for clock, number in numbers.items()),
    )
    assert agreement.dtmf == (None if taken is None else numbers[taken])
    assert taken is None or agreement.dtmf_clock == taken


@pytest.mark.parametrize(
    ("formats", "comfort"), [("0 13", 13), ("9 13", 13), ("111 13", None), ("98 13", None), ("98 97", 97)]
)
def test_comfort_noise_is_agreed_on_the_codecs_clock(formats: str, comfort: int | None) -> None:
    lines = ("a=rtpmap:111 opus/48000/2", "a=rtpmap:98 L16/16000", "a=rtpmap:97 CN/16000")
    assert agreed(f"m=audio 4000 RTP/AVP {formats}", *lines).comfort == comfort


def test_comfort_noise_is_not_offered() -> None:
    assert b" 13" not in offer(LOCAL)


# Sound and clock


@pytest.mark.parametrize(
    ("codec", "rate"),
    [
        (CODECS["PCMA"], 8000),
        (CODECS["G722"], 16000),
        (CODECS["L16/16000"], 16000),
        (CODECS["OPUS"], 48000),
    ],
)
def test_a_codec_has_a_sound_and_a_clock(codec: Codec, rate: int) -> None:
    assert codec.rate == rate


@pytest.mark.parametrize(
    ("said", "rate"),
    [
        ("", 48000),
        ("maxplaybackrate=8000", 8000),
        ("maxplaybackrate=12000;stereo=0", 16000),
        ("stereo=0; MaxPlaybackRate = 16000", 16000),
        ("maxplaybackrate=24000", 48000),
        ("maxplaybackrate=96000", 48000),
        ("sprop-maxcapturerate=8000", 48000),
        ("maxplaybackrate=x", 48000),
    ],
)
def test_opus_is_sent_at_what_the_peer_can_play(said: str, rate: int) -> None:
    lines = ("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 OPUS/48000/2", f"a=fmtp:96 {said}")
    codec = agreed(*lines).codec
    assert (codec.rate, codec.clock_rate, codec.payload_type) == (rate, 48000, 96)


def test_what_a_peer_asks_of_opus_is_read() -> None:
    parameters = "maxaveragebitrate=20000;useinbandfec=1;usedtx=1;cbr=0;stereo=1"
    codec = agreed("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2", f"a=fmtp:96 {parameters}").codec
    numbers = {name: codec.number(name) for name in ("maxaveragebitrate", "useinbandfec", "usedtx", "cbr")}
    assert numbers == {"maxaveragebitrate": 20000, "useinbandfec": 1, "usedtx": 1, "cbr": 0}


@pytest.mark.parametrize(
    "line", ["a=rtpmap:96 opus/48000", "a=rtpmap:96 opus/48000/1", "a=rtpmap:96 OPUS/48000/2"]
)
def test_opus_is_opus_however_its_channels_are_written(line: str) -> None:
    assert agreed("m=audio 4000 RTP/AVP 96", line).codec.name == "OPUS"


@pytest.mark.parametrize(
    "line",
    [
        "a=rtpmap:96 L16/44100",
        "a=rtpmap:96 L16/16000/2",
        "a=rtpmap:96 G722/16000",
        "a=rtpmap:96 opus/16000/2",
        "a=rtpmap:96 PCMU/16000",
    ],
)
def test_another_clock_or_stereo_is_another_codec(line: str) -> None:
    assert agreed("m=audio 4000 RTP/AVP 96 8", line).codec.name == "PCMA"


def test_a_long_packet_of_linear_samples_would_not_fit() -> None:
    lines = ("m=audio 4000 RTP/AVP 98", "a=rtpmap:98 L16/16000", "a=ptime:60")
    assert agreed(*lines).ptime == 20
    assert agreed("m=audio 4000 RTP/AVP 9", "a=ptime:60").ptime == 60


@pytest.mark.parametrize("line", ["a=ptime:40", "a=ptime:60", "a=maxptime:10"])
def test_opus_is_said_to_come_in_the_packets_in_which_it_comes(line: str) -> None:
    assert agreed("m=audio 4000 RTP/AVP 111", "a=rtpmap:111 opus/48000/2", line).ptime == 20


def test_a_wideband_stream_takes_the_laws_too_and_no_second_codec() -> None:
    assert [codec.name for codec in agreed(*SOFTPHONE).accepts] == ["OPUS", "PCMA", "PCMU"]
    assert [codec.name for codec in agreed(*DESK_PHONE).accepts] == ["PCMU", "PCMA"]


# Answers to our offer


def test_an_answer_may_leave_out_what_our_numbers_mean() -> None:
    agreement = accept(described("m=audio 4000 RTP/AVP 111 102"), offer(LOCAL), LOCAL)
    assert (agreement.codec.name, agreement.dtmf, agreement.dtmf_clock) == ("OPUS", 102, 48000)


def test_an_answer_under_another_number_is_taken_under_both() -> None:
    answer_ = described("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2")
    agreement = accept(answer_, offer(LOCAL), LOCAL)
    assert agreement.codec.payload_type == 96
    assert {c.payload_type for c in agreement.accepts if c.name == "OPUS"} == {96, 111}


def test_what_the_answer_says_of_opus_holds_under_every_number() -> None:
    for number in (96, 111):
        reply = described(
            f"m=audio 4000 RTP/AVP {number}",
            f"a=rtpmap:{number} opus/48000/2",
            f"a=fmtp:{number} maxplaybackrate=16000",
        )
        agreement = accept(reply, offer(LOCAL), LOCAL)
        assert {codec.rate for codec in agreement.accepts if codec.name == "OPUS"} == {16000}
        assert agreement.codec in agreement.accepts


# Further offers


def test_a_further_offer_keeps_codec_and_numbers() -> None:
    lines = (
        "m=audio 4000 RTP/AVP 96 0 97",
        "a=rtpmap:96 opus/48000/2",
        "a=rtpmap:97 telephone-event/48000",
    )
    before = agreed(*lines)
    assert audio(offer(LOCAL, before)) == [
        "m=audio 20000 RTP/AVP 96 9 0 8 98 99 101 97 103",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 minptime=10;useinbandfec=1",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:98 L16/16000",
        "a=rtpmap:99 L16/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=rtpmap:97 telephone-event/48000",
        "a=fmtp:97 0-15",
        "a=rtpmap:103 telephone-event/16000",
        "a=fmtp:103 0-15",
    ]


def test_a_further_offer_keeps_every_line_in_its_place() -> None:
    before = agreed("m=image 9 udptl t38", *SOFTPHONE, "m=video 9 RTP/AVPF 96")
    further = offer(LOCAL, before)
    lines = [line.split()[:3] for line in audio(further) if line.startswith("m=")]
    assert lines == [
        ["m=image", "0", "udptl"],
        ["m=audio", "20000", "RTP/AVP"],
        ["m=video", "0", "RTP/AVPF"],
    ]
    reply = described("m=image 0 udptl t38", "m=audio 4002 RTP/AVP 111", "m=video 0 RTP/AVPF 96")
    after = accept(reply, further, LOCAL)
    assert (after.remote, after.codec.name, after.refused) == (
        ("198.51.100.7", 4002),
        "OPUS",
        before.refused,
    )


def test_a_further_offer_keeps_the_profile() -> None:
    before = agreed("m=audio 4000 RTP/AVPF 0")
    assert audio(offer(LOCAL, before))[0].split()[2] == "RTP/AVPF"


# RTCP


def test_rtcp_goes_where_the_line_says() -> None:
    assert agreed("m=audio 4000 RTP/AVP 0").rtcp is None
    assert agreed("m=audio 4000 RTP/AVP 0", "a=rtcp:4711").rtcp == ("198.51.100.7", 4711)
    elsewhere = agreed("m=audio 4000 RTP/AVP 0", "a=rtcp:4711 IN IP4 203.0.113.9")
    assert elsewhere.rtcp == ("198.51.100.7", 4711)
    assert agreed("m=audio 4000 RTP/AVP 0", "a=rtcp:0").rtcp is None
    assert agreed("m=audio 4000 RTP/AVP 0", "a=rtcp:99999").rtcp is None


def test_rtcp_shares_a_port_where_the_peer_offers_it() -> None:
    sdp, agreement = answer(described("m=audio 4000 RTP/AVP 0", "a=rtcp-mux"), LOCAL)
    assert agreement.rtcp_mux and b"a=rtcp-mux\r\n" in sdp
    assert b"rtcp-mux" not in offer(LOCAL)
    further = offer(LOCAL, agreement)
    assert b"a=rtcp-mux\r\n" in further
    assert accept(described("m=audio 4000 RTP/AVP 0", "a=rtcp-mux"), further, LOCAL).rtcp_mux
    assert not accept(described("m=audio 4000 RTP/AVP 0"), further, LOCAL).rtcp_mux
    assert not accept(described("m=audio 4000 RTP/AVP 0", "a=rtcp-mux"), offer(LOCAL), LOCAL).rtcp_mux
