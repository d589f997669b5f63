"""OPTIONS and REGISTER of ours: what is sent, how a challenge is answered, what comes of no answer."""

from sip.message import Request, Response
from sip.outside import Series
from tests.support.sip_pair import Wire, response_text

HOST = "sip:192.0.2.1"
CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n{}", qop="auth"\r\n'


class Registrant:
    """Our endpoint, the requests it sends, and the answers that came of them."""

    def __init__(self, credentials: tuple[str, str] | None = ("us", "secret")) -> None:
        self.wire = Wire()
        self.series = Series(credentials)
        self.answers: list[Response] = []

    def registers(self) -> Request:
        self.wire.endpoint.ask(
            "REGISTER",
            uri=HOST,
            address="sip:us@192.0.2.1",
            flow=self.wire.flow,
            series=self.series,
            headers=(("Expires", "3600"),),
            on_answer=self.answers.append,
            now=self.wire.now,
        )
        return self.heard()

    def heard(self) -> Request:
        (request,) = self.wire.heard()
        assert isinstance(request, Request)
        return request

    def is_told(self, request: Request, status: int, extra: str = "") -> None:
        self.wire.say(response_text(request, status, extra=extra))


def test_a_registration_names_our_user_and_where_he_is() -> None:
    request = Registrant().registers()
    assert (request.method, request.uri) == ("REGISTER", HOST)
    assert request.get("To") == "<sip:us@192.0.2.1>" and request.get("Expires") == "3600"
    assert request.get("Contact") == "<sip:us@192.0.2.10:5060>"


def test_a_challenge_is_answered_and_the_end_is_told_once() -> None:
    us = Registrant()
    first = us.registers()
    us.wire.endpoint.receive(response_text(first, 401, extra=CHALLENGE.format(1)), us.wire.flow, us.wire.now)
    second = us.heard()
    assert "secret" not in str(second) and 'username="us"' in str(second.get("Authorization"))
    assert second.call_id == first.call_id and second.cseq.number == first.cseq.number + 1
    us.is_told(second, 200)
    us.is_told(second, 200)
    assert [answer.status for answer in us.answers] == [200]


def test_a_wrong_password_ends_in_the_second_401() -> None:
    us = Registrant()
    first = us.registers()
    us.wire.endpoint.receive(response_text(first, 401, extra=CHALLENGE.format(1)), us.wire.flow, us.wire.now)
    us.is_told(us.heard(), 401, CHALLENGE.format(2))
    assert [answer.status for answer in us.answers] == [401]


def test_without_credentials_a_challenge_is_the_answer() -> None:
    us = Registrant(None)
    us.is_told(us.registers(), 401, CHALLENGE.format(1))
    assert [answer.status for answer in us.answers] == [401]


def test_a_series_keeps_its_call_id_counts_on_and_answers_the_same_nonce_in_each_round() -> None:
    us = Registrant()
    numbers, ids = [], set()
    for _ in range(3):
        request = us.registers()
        us.wire.endpoint.receive(
            response_text(request, 401, extra=CHALLENGE.format(1)), us.wire.flow, us.wire.now
        )
        again = us.heard()
        us.is_told(again, 200)
        numbers += [request.cseq.number, again.cseq.number]
        ids.add(again.call_id)
    assert numbers == [1, 2, 3, 4, 5, 6] and len(ids) == 1


def test_no_answer_at_all_is_told_as_408_and_nothing_is_kept() -> None:
    us = Registrant()
    us.registers()
    us.wire.wait(40)
    assert [(answer.status, answer.headers) for answer in us.answers] == [(408, ())]
    assert not any(us.wire.endpoint.size().values())
