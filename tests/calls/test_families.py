"""Sound over the family of IP addresses that the far end names, whichever its signalling comes by.

The table: the family of the signalling, that of each audio line (of the session's c= line, or of the line's
own), and the sentence by which ours is chosen.
"""

from itertools import product

import pytest

from calls.media_session import MediaSession
from calls.terms import Terms
from sip.description import Description
from sip.sdp import SdpError
from tests.support.exchange import FakeMedia

OURS = {4: "192.0.2.1", 6: "2001:db8::1"}
THEIRS = {4: "198.51.100.7", 6: "2001:db8:7::7"}
NOBODY = {4: "0.0.0.0", 6: "::"}


def reaches(address: str) -> str:
    return OURS[6 if ":" in address else 4]


def no_way(address: str) -> str:
    raise OSError(f"no route to {address}")


def described(
    *lines: tuple[int, int], session: int | None = None, addresses: dict[int, str] = THEIRS
) -> bytes:
    """A description with an audio line for each (family, port); `session`: the family of the session's c=
    line, where only the others have one of their own."""
    text = "v=0\r\no=p 1 1 IN IP4 198.51.100.7\r\ns=-\r\n"
    text += "" if session is None else f"c=IN IP{session} {addresses[session]}\r\n"
    text += "t=0 0\r\n"
    for family, port in lines:
        text += f"m=audio {port} RTP/AVP 0\r\n"
        text += "" if family == session else f"c=IN IP{family} {addresses[family]}\r\n"
    return text.encode()


class Line:
    """A call whose signalling comes by one family; both are carried where not said otherwise."""

    def __init__(self, signalling: int, *, carried: tuple[int, ...] = (4, 6), reaches=reaches) -> None:
        self.media = FakeMedia()
        self.media.carries = lambda address: (6 if ":" in address else 4) in carried
        terms = Terms(address=OURS[signalling], reaches=reaches)
        self.session = MediaSession(self.media, signalling=THEIRS[signalling], terms=terms)

    def called(self, offer: bytes | None) -> Description:
        """Our answer, or our offer where there was none."""
        self.session.consider(offer)
        answer = self.session.answer()
        self.session.begin()
        return Description.parse(answer)

    def sent_to(self) -> tuple[str, int] | None:
        return [each[2].remote for each in self.media.done if each[0] in ("connect", "update")][-1]


def said(description: Description) -> tuple[str, str]:
    """The addresses in our o= and c= lines."""
    return description.origin.split()[-1], description.connection


@pytest.mark.parametrize(
    ("signalling", "named", "level"), list(product((4, 6), (4, 6), ("session", "media", "other")))
)
def test_an_offer_is_answered_in_the_family_that_it_names(signalling: int, named: int, level: str) -> None:
    line = Line(signalling)
    session = {"session": named, "media": None, "other": 10 - named}[level]
    answer = line.called(described((named, 4000), session=session))
    assert said(answer) == (OURS[named], OURS[named])
    assert line.sent_to() == (THEIRS[named], 4000)


@pytest.mark.parametrize(("signalling", "first"), list(product((4, 6), (4, 6))))
def test_of_two_lines_that_of_the_signallings_family_is_taken(signalling: int, first: int) -> None:
    """ANAT (RFC 4091), which names both and is otherwise ignored."""
    line = Line(signalling)
    order = (first, 10 - first)
    answer = line.called(described(*((family, 4000 + family) for family in order)))
    assert said(answer) == (OURS[signalling], OURS[signalling])
    assert line.sent_to() == (THEIRS[signalling], 4000 + signalling)
    assert [bool(media.port) for media in answer.media] == [family == signalling for family in order]


@pytest.mark.parametrize("signalling", (4, 6))
def test_a_line_with_port_0_chooses_no_family(signalling: int) -> None:
    line, other = Line(signalling), 10 - signalling
    answer = line.called(described((other, 0), (signalling, 4000)))
    assert said(answer)[1] == OURS[signalling]


@pytest.mark.parametrize(("signalling", "named"), list(product((4, 6), (4, 6))))
def test_a_late_offers_answer_may_name_either(signalling: int, named: int) -> None:
    line = Line(signalling)
    assert said(line.called(None)) == (OURS[signalling], OURS[signalling])
    line.session.acknowledged(described((named, 4000)))
    assert line.sent_to() == (THEIRS[named], 4000)


@pytest.mark.parametrize(("signalling", "named", "early"), list(product((4, 6), (4, 6), (False, True))))
def test_an_answer_to_our_offer_may_name_either(signalling: int, named: int, early: bool) -> None:
    line = Line(signalling)
    offer = line.session.offer()
    assert said(Description.parse(offer)) == (OURS[signalling], OURS[signalling])
    if early:
        assert line.session.early(described((named, 4000)))
        assert line.sent_to() == (THEIRS[named], 4000)
    line.session.accept(described((named, 4000)))
    assert line.sent_to() == (THEIRS[named], 4000)


@pytest.mark.parametrize(("before", "after"), list(product((4, 6), (4, 6))))
def test_a_call_may_change_its_family_and_stays_the_same_session(before: int, after: int) -> None:
    line = Line(before)
    line.called(described((before, 4000)))
    answer = Description.parse(line.session.reoffer(described((after, 4002))))
    assert said(answer) == (OURS[before], OURS[after])
    assert line.sent_to() == (THEIRS[after], 4002)
    assert said(Description.parse(line.session.reoffer(None))) == (OURS[before], OURS[after])


@pytest.mark.parametrize(("signalling", "named", "held"), list(product((4, 6), (4, 6), (4, 6))))
def test_hold_by_an_unspecified_address_changes_no_family(signalling: int, named: int, held: int) -> None:
    line = Line(signalling)
    line.called(described((named, 4000)))
    answer = Description.parse(line.session.reoffer(described((held, 4000), addresses=NOBODY)))
    assert said(answer) == (OURS[named], OURS[named]) and line.sent_to() is None


@pytest.mark.parametrize("signalling", (4, 6))
def test_a_family_that_is_not_carried_or_leads_nowhere_is_488(signalling: int) -> None:
    other = 10 - signalling
    for line in (
        Line(signalling, carried=(signalling,)),
        Line(signalling, reaches=no_way),
        Line(signalling, reaches=None),
    ):
        with pytest.raises(SdpError) as refused:
            line.session.consider(described((other, 4000)))
        assert refused.value.status == 488
        assert said(line.called(described((signalling, 4000))))[1] == OURS[signalling]


@pytest.mark.parametrize("name", ["phone.example.com", "fe80::1%eth0", ""])
def test_a_name_in_place_of_an_address_is_488_and_chooses_no_family(name: str) -> None:
    line = Line(4)
    offer = described((6, 4000)).replace(THEIRS[6].encode(), name.encode())
    with pytest.raises(SdpError) as refused:
        line.session.consider(offer)
    assert refused.value.status == 488
    assert said(line.called(described((4, 4000))))[1] == OURS[4]
