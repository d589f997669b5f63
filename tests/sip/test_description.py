"""Reading and printing session descriptions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip import description
from sip.codecs import CODECS
from sip.description import MAX_BYTES, MAX_LINES, MAX_MEDIA, Attribute, Description, Media, SdpError
from sip.sdp import Local, accept, answer, offer
from tests.support.eventually import PATIENCE

LOCAL = Local(address="192.0.2.1", port=20000, session_id=1, version=1)
AUDIO = (
    b"v=0\r\no=a 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0\r\n"
)


def audio_port(data: bytes) -> int:
    agreement = answer(data, LOCAL)[1]
    assert agreement.remote is not None
    return agreement.remote[1]


@pytest.mark.parametrize("ending", [b"\r\n", b"\n", b"\r"])
def test_any_line_ending_will_do(ending: bytes) -> None:
    assert audio_port(AUDIO.replace(b"\r\n", ending)) == 4000
    assert audio_port(AUDIO.replace(b"\r\n", ending).removesuffix(ending)) == 4000


@pytest.mark.parametrize(
    "junk",
    [
        b"\r\n",
        b"hello\r\n",
        b"=\r\n",
        b"x=unknown\r\n",
        b"a=\r\n",
        b"a=:\r\n",
        b"a=rtpmap\r\n",
        b"a=rtpmap:x\r\n",
        b"b=AS:64\r\n",
        b"k=clear:x\r\n",
        b"z=0 0\r\n",
        b"\xff\xfe=\x00\r\n",
        b"  a=sendrecv  \r\n",
        b"audio=1\r\n",
    ],
)
def test_junk_lines_are_passed_over(junk: bytes) -> None:
    for cut in (0, AUDIO.index(b"m="), len(AUDIO)):
        assert audio_port(AUDIO[:cut] + junk + AUDIO[cut:]) == 4000


def test_a_description_without_version_origin_name_and_time_is_read() -> None:
    assert audio_port(b"c=IN IP4 198.51.100.7\nm=audio 4000 RTP/AVP 0") == 4000


@pytest.mark.parametrize(
    "line",
    [
        "m=",
        "m=audio",
        "m=audio 4000",
        "m=audio x RTP/AVP 0",
        "m=audio -1 RTP/AVP 0",
        "m=audio 65536 RTP/AVP 0",
        "m=audio 4000/x RTP/AVP 0",
        "m=audio 99999999999999999999 RTP/AVP 0",
        "m=\x7faudio 4000 RTP/AVP 0",
        "m=audio 4000 RTP/\xe9 0",
    ],
)
def test_a_broken_media_line_is_400_with_its_number(line: str) -> None:
    with pytest.raises(SdpError) as caught:
        answer(f"v=0\r\nc=IN IP4 198.51.100.7\r\n{line}\r\n".encode(), LOCAL)
    assert caught.value.status == 400
    assert caught.value.reason.startswith("SDP line 3: expected ")


def test_a_reason_is_one_short_line_of_printable_ascii() -> None:
    with pytest.raises(SdpError) as caught:
        answer(b"m=audio " + "é\x00\u2028".encode() * 1000 + b" RTP/AVP 0", LOCAL)
    assert caught.value.reason.isascii()
    assert caught.value.reason.isprintable()
    assert len(caught.value.reason) < 400


@pytest.mark.parametrize(
    "data", [b"", b"\x00" * 50, b"nonsense", b"v=0\r\n", AUDIO.replace(b"m=", b"n="), b"{}", b"\r\n" * 100]
)
def test_what_has_no_media_line_is_refused(data: bytes) -> None:
    with pytest.raises(SdpError):
        answer(data, LOCAL)


@pytest.mark.parametrize(
    "data",
    [AUDIO + b"a" * MAX_BYTES, AUDIO + b"\n" * MAX_LINES, AUDIO + b"m=video 1 RTP/AVP 0\n" * MAX_MEDIA],
    ids=["bytes", "lines", "media"],
)
def test_what_is_too_large_is_400(data: bytes) -> None:
    with pytest.raises(SdpError) as caught:
        answer(data, LOCAL)
    assert caught.value.status == 400
    assert "expected at most" in caught.value.reason


def test_the_largest_description_is_read() -> None:
    assert audio_port(AUDIO + b"m=video 1 RTP/AVP 0\n" * (MAX_MEDIA - 1)) == 4000


WORDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=10)
ATTRIBUTES = st.lists(st.builds(Attribute, NAMES, st.one_of(st.just(""), WORDS)), max_size=4).map(tuple)
ADDRESSES = st.none() | st.ip_addresses().map(str)
MEDIA = st.builds(
    Media,
    kind=NAMES,
    port=st.integers(0, 65535),
    protocol=WORDS,
    formats=st.lists(WORDS, min_size=1, max_size=4).map(tuple),
    connection=ADDRESSES,
    attributes=ATTRIBUTES,
)
DESCRIPTIONS = st.builds(
    Description,
    origin=WORDS,
    connection=ADDRESSES,
    attributes=ATTRIBUTES,
    media=st.lists(MEDIA, max_size=4).map(tuple),
)


@given(DESCRIPTIONS)
def test_what_is_printed_reads_back_the_same(description: Description) -> None:
    assert Description.parse(bytes(description)) == description


FRAGMENTS = st.sampled_from(
    [
        b"v=0",
        b"o=x",
        b"c=IN IP4 1.2.3.4",
        b"c=IN IP6 ::1",
        b"c=",
        b"c=IN IP4",
        b"m=audio 4000 RTP/AVP 0 8 101",
        b"m=audio 0 RTP/AVP 8",
        b"m=audio",
        b"m=video 1/9 RTP/AVP 9",
        b"a=rtpmap:101 telephone-event/8000",
        b"a=rtpmap:8 PCMU/8000",
        b"m=audio 4000 RTP/SAVP 111 9 101 13",
        b"a=rtpmap:111 opus/48000/2",
        b"a=fmtp:111 maxplaybackrate=16000;useinbandfec=1",
        b"a=rtpmap:101 telephone-event/48000",
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40,
        b"a=crypto:2 AEAD_AES_256_GCM inline:" + b"B" * 59 + b"=|2^20",
        b"a=crypto:x",
        b"a=rtcp:4001",
        b"a=rtcp-mux",
        b"a=ptime:9999",
        b"a=maxptime:-5",
        b"a=inactive",
        b"=",
        b"a=" + b":" * 50,
    ]
)
OFFERS = st.one_of(
    st.binary(max_size=300), st.lists(FRAGMENTS | st.binary(max_size=20), max_size=12).map(b"\r\n".join)
)


EVERYTHING = Local("192.0.2.1", 20000, 1, 1, tuple(CODECS), srtp="optional", private=True)


@given(OFFERS, st.sampled_from([LOCAL, EVERYTHING, Local("2001:db8::1", 4, 1, 1)]))
def test_whatever_comes_is_answered_or_refused_and_an_answer_fits_its_offer(
    data: bytes, local: Local
) -> None:
    try:
        sdp, agreement = answer(data, local)
    except SdpError as error:
        assert error.status in (400, 488)
        assert error.reason.isascii() and error.reason.isprintable()
        return
    offered, answered = Description.parse(data).media, Description.parse(sdp).media
    assert [m.kind for m in answered] == [m.kind for m in offered]
    assert [m.protocol for m in answered] == [m.protocol for m in offered]
    assert sum(m.port > 0 for m in answered) <= 1
    assert agreement.remote is not None or not agreement.sends


@given(OFFERS)
def test_whatever_comes_as_an_answer_is_taken_or_refused(data: bytes) -> None:
    try:
        agreement = accept(data, offer(EVERYTHING), EVERYTHING)
    except SdpError as error:
        assert error.status in (400, 488)
        return
    numbers = [codec.payload_type for codec in agreement.accepts]
    assert len(set(numbers)) == len(numbers)


LONG = 1_000_000
"""Far more than a description may have: in quadratic time it takes minutes to read."""


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize(
    "row",
    [
        b"a=rtpmap:0 " + b" " * LONG + b"x",
        b"a=" + b":" * LONG,
        b"m=audio " + b"1" * LONG,
        b"=" * LONG,
        b"m=audio 4000 RTP/AVP" + b" 0" * (LONG // 2),
        b"c=" + b"/" * LONG,
        b"a=ptime:" + b"9" * LONG,
        b"a=fmtp:0 " + b"; " * (LONG // 2),
        b"a=fmtp:0 maxplaybackrate" + b" " * LONG + b"x",
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * LONG,
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:A" + b" -" * (LONG // 2),
        b"a=crypto:1" + b" " * LONG,
    ],
)
def test_a_line_is_read_in_linear_time(monkeypatch: pytest.MonkeyPatch, row: bytes) -> None:
    data = AUDIO + row
    monkeypatch.setattr(description, "MAX_BYTES", len(data))
    try:
        answer(data, EVERYTHING)
    except SdpError:
        pass
