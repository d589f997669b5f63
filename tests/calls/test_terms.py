"""On which terms a call's sound is exchanged, and what media is told of what was agreed."""

from base64 import b64encode

import pytest

from calls.media_session import MediaSession
from calls.terms import Terms, TermsPolicy
from media.client import Format, LegMedia
from sip.access import Trunk
from sip.flow import Flow
from sip.sdp import SdpError
from tests.support.exchange import FakeMedia

EVERY = ("OPUS", "G722", "PCMU", "PCMA", "L16/16000")
HEAD = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
KEY = b64encode(bytes(30)).decode()


def flow(transport: str) -> Flow:
    return Flow(transport, ("192.0.2.1", 5060), ("198.51.100.7", 5060))


def described(*lines: str) -> bytes:
    return (HEAD + "".join(f"{line}\r\n" for line in lines)).encode()


class Stream:
    """A call's media session on a medium that remembers what it is told."""

    def __init__(self, **terms: object) -> None:
        self.media = FakeMedia()
        fields = {"address": "192.0.2.1", "codecs": EVERY} | terms
        self.session = MediaSession(
            self.media,  # type: ignore[arg-type]
            signalling="198.51.100.7",
            terms=Terms(**fields),  # type: ignore[arg-type]
        )

    def called(self, *lines: str) -> LegMedia:
        """The far end calls with this offer."""
        self.session.consider(described(*lines))
        self.session.answer()
        self.session.begin()
        return self.told("connect")

    def offered(self, *lines: str) -> LegMedia:
        """The far end offers anew."""
        self.session.reoffer(described(*lines))
        return self.told("update")

    def told(self, verb: str) -> LegMedia:
        return self.media.of(verb)[-1][1]  # type: ignore[no-any-return]


# The terms of a call


def test_a_trunk_has_its_own_terms_where_it_says_so() -> None:
    policy = TermsPolicy(codecs=("G722", "PCMU"), srtp="optional")
    plain = Trunk("a", "a.example")
    own = Trunk("b", "b.example", codecs=("PCMA",), srtp="required")
    assert policy.towards(flow("udp"), None, "192.0.2.1").codecs == ("G722", "PCMU")
    assert policy.towards(flow("udp"), plain, "192.0.2.1").codecs == ("G722", "PCMU")
    terms = policy.towards(flow("tls"), own, "192.0.2.1")
    assert (terms.codecs, terms.srtp, terms.private) == (("PCMA",), "required", True)
    assert policy.towards(flow("udp"), None, "192.0.2.1", srtp="off").srtp == "off"


@pytest.mark.parametrize(
    ("transport", "private"), [("udp", False), ("tcp", False), ("ws", False), ("tls", True), ("wss", True)]
)
def test_keys_are_said_over_encrypted_signalling_or_where_that_is_set(transport: str, private: bool) -> None:
    assert TermsPolicy().towards(flow(transport), None, "192.0.2.1").private is private
    assert TermsPolicy(keys_in_clear=True).towards(flow(transport), None, "192.0.2.1").private


# What media is told


def test_media_is_told_rate_clock_and_wishes() -> None:
    media = Stream().called(
        "m=audio 4000 RTP/AVP 96 0 101 102 13",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 maxplaybackrate=16000;useinbandfec=1;maxaveragebitrate=20000",
        "a=rtpmap:101 telephone-event/8000",
        "a=rtpmap:102 telephone-event/48000",
        "a=rtcp:4711",
    )
    opus = Format("OPUS", 16000, 48000, fec=True, dtx=False, bitrate=20000)
    assert (media.format, media.payload_type) == (opus, 96)
    assert media.accepts == {96: opus, 0: Format("PCMU", 8000, 8000)}
    assert (media.dtmf, media.dtmf_clock, media.comfort) == (102, 48000, None)
    assert (media.rtcp, media.rtcp_mux, media.srtp) == (("198.51.100.7", 4711), False, None)


def test_a_codec_changes_within_a_call_both_ways() -> None:
    stream = Stream()
    assert stream.called("m=audio 4000 RTP/AVP 0 9").format == Format("PCMU", 8000, 8000)
    assert stream.offered("m=audio 4000 RTP/AVP 9 0").format == Format("G722", 16000, 8000)
    asked = stream.session.reoffer(None)
    assert b"m=audio 20002 RTP/AVP 9 111 0 8 98 101 102 103\r\n" in asked
    stream.session.reanswered(described("m=audio 4000 RTP/AVP 111"), asked)
    assert stream.told("update").format == Format("OPUS", 48000, 48000)


def test_media_is_told_the_keys_and_they_stay_while_the_far_end_keeps_its_own() -> None:
    stream = Stream(srtp="optional")
    crypto = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"
    first = stream.called("m=audio 4000 RTP/SAVP 0", crypto).srtp
    assert first is not None
    assert (first.suite, first.receive, len(first.send)) == ("AES_CM_128_HMAC_SHA1_80", bytes(30), 30)
    assert b64encode(first.send) in stream.session.reoffer(described("m=audio 4000 RTP/SAVP 0", crypto))
    assert stream.told("update").srtp == first
    other = crypto.replace("AAAA", "BBBB")
    again = stream.offered("m=audio 4002 RTP/SAVP 0", other).srtp
    assert again is not None and again.send != first.send


def test_a_call_in_the_clear_is_refused_before_anything_is_taken() -> None:
    stream = Stream(srtp="required", private=True)
    with pytest.raises(SdpError, match="488 SRTP without keys"):
        stream.session.consider(described("m=audio 4000 RTP/AVP 0"))
    assert not stream.media.open


@pytest.mark.parametrize(
    ("terms", "reason"),
    [({"srtp": "required"}, "its keys are taken over TLS only"), ({"address": "2001:db8::1"}, "no RTP at")],
)
def test_where_we_are_to_offer_and_may_not_nothing_is_taken(terms: dict[str, str], reason: str) -> None:
    stream = Stream(**terms)
    with pytest.raises(SdpError, match=reason):
        stream.session.consider(None)
    with pytest.raises(SdpError, match=reason):
        stream.session.offer()
    assert not stream.media.open


# A far end that holds

HOLDS = {
    "sendonly": ("m=audio 4000 RTP/AVP 0", "a=sendonly"),
    "no address": ("m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0"),
    "no address, sendonly": ("m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0", "a=sendonly"),
}
SILENT_HOLDS = {
    "inactive": ("m=audio 4000 RTP/AVP 0", "a=inactive"),
    "port 0": ("m=audio 0 RTP/AVP 0",),
}


@pytest.mark.parametrize("how", HOLDS)
@pytest.mark.parametrize("hold_music", [False, True])
def test_the_music_of_a_far_end_that_holds_is_let_in_as_set(how: str, hold_music: bool) -> None:
    stream = Stream(hold_music=hold_music)
    assert stream.called("m=audio 4000 RTP/AVP 0").receives
    held = stream.offered(*HOLDS[how])
    assert (held.sends, held.receives) == (False, hold_music)
    assert stream.session.kept_out is not hold_music
    back = stream.offered("m=audio 4000 RTP/AVP 0")
    assert (back.sends, back.receives, stream.session.kept_out) == (True, True, False)


@pytest.mark.parametrize("how", SILENT_HOLDS)
def test_a_silent_hold_keeps_nothing_out(how: str) -> None:
    stream = Stream()
    stream.called("m=audio 4000 RTP/AVP 0")
    held = stream.offered(*SILENT_HOLDS[how])
    assert (held.sends, held.receives, stream.session.kept_out) == (False, False, False)


def test_a_far_end_that_only_ever_speaks_holds_nobody() -> None:
    assert Stream().called("m=audio 4000 RTP/AVP 0", "a=sendonly").receives
