"""Refer: where the far end is sent, what the application is told of it, and what the call does next."""

import pytest

from bxml import verbs
from calls.callbacks import Callback
from calls.errors import VerbFailed
from calls.order import Redirect
from calls.refer import refer
from sip import events as sip_events
from sip.errors import SipError
from tests.calls.test_outbound import answered
from tests.support.exchange import DeliveryFailed, Exchange, join, settle

TO = "sip:carol@192.0.2.50"
URL = 'referCompleteUrl="/referred"'


class Referring:
    """A call that has come in and runs a Refer."""

    def __init__(self, *, answer="<Response><Pause duration='60'/></Response>"):
        self.exchange = Exchange()
        self.exchange.answer_with(answer, "referComplete")

    async def begin(self, attributes=URL, *, to=TO, of_target="", after=""):
        verb = f"<Refer {attributes}><SipUri {of_target}>{to}</SipUri></Refer>"
        self.call = await self.exchange.dial_in(f"<Response>{verb}{after}</Response>")
        return self

    @property
    def target(self):
        return self.exchange.sip.last("refer")[1][1]

    async def settles(self, succeeded, status, outcome):
        event = sip_events.ReferSettled(self.call.session, succeeded, status, outcome)
        self.exchange.switchboard.on_sip(event)
        await settle()

    async def hangs_up(self):
        self.exchange.switchboard.on_sip(sip_events.CallEnded(self.call.session, "BYE"))
        await settle()

    def told(self):
        """How referComplete was delivered, and the event, each time."""
        courier = self.exchange.courier
        return [
            (how, callback, event)
            for how, sent in (("ask", courier.asked), ("tell", courier.told))
            for callback, event in sent
            if event["eventType"] == "referComplete"
        ]


async def test_the_call_is_answered_and_its_far_end_sent_to_the_address():
    r = await Referring().begin()
    assert r.call.state == "answered" and r.target == TO
    assert r.exchange.sip.last("refer")[1][0] is r.call.session
    assert r.told() == []


async def test_a_success_ends_the_call_and_the_answer_of_its_event_is_not_waited_for():
    r = await Referring(answer=join()).begin(f'{URL} referCompleteMethod="GET" tag="sent"')
    await r.settles(True, 202, 200)
    ((how, callback, event),) = r.told()
    assert how == "tell" and (callback.url, callback.method) == ("http://app.test/referred", "GET")
    assert event["referCallStatus"] == "success" and event["tag"] == "sent"
    assert (event["referSipResponseCode"], event["notifySipResponseCode"]) == (202, 200)
    assert event["callId"] == r.call.id and "answerTime" in event
    assert not {"cause", "endTime"} & event.keys()
    assert r.call.disconnect_cause == "hangup"
    assert r.exchange.sip.last("hang_up")[1][0] is r.call.session
    assert r.exchange.courier.kinds() == ["referComplete", "disconnect"]
    assert r.exchange.media.of("seat") == [] and r.exchange.media.open == set()


@pytest.mark.parametrize(
    ("status", "outcome", "codes"),
    [
        (603, None, {"referSipResponseCode": 603}),
        (202, 486, {"referSipResponseCode": 202, "notifySipResponseCode": 486}),
        (202, None, {"referSipResponseCode": 202}),
        (None, None, {}),
    ],
)
async def test_a_failure_is_told_with_the_codes_there_are_and_its_answer_runs(status, outcome, codes):
    r = await Referring(answer=join()).begin(after="<Hangup/>")
    await r.settles(False, status, outcome)
    ((how, callback, event),) = r.told()
    assert how == "ask" and callback == Callback(url="http://app.test/referred")
    told = {name: value for name, value in event.items() if name.startswith(("refer", "notify"))}
    assert told == {"referCallStatus": "failure", **codes}
    assert r.call.live and r.call.membership is not None


async def test_without_a_url_a_failure_goes_on_with_the_next_verb():
    r = await Referring().begin("", after="<Conference>next</Conference>")
    await r.settles(False, 603, None)
    assert r.told() == [] and r.call.membership is not None


async def test_without_a_url_and_a_next_verb_a_failure_hangs_up():
    r = await Referring().begin("")
    await r.settles(False, 603, None)
    assert r.call.disconnect_cause == "hangup"


async def test_without_a_url_a_success_ends_the_call_and_says_nothing():
    r = await Referring().begin("", after="<Conference>never</Conference>")
    await r.settles(True, 202, 200)
    assert r.told() == [] and r.call.disconnect_cause == "hangup" and r.exchange.media.of("seat") == []


async def test_a_far_end_that_leaves_at_once_is_told_as_gone_there():
    r = await Referring().begin()
    event = sip_events.ReferSettled(r.call.session, True, 202, None)
    r.exchange.switchboard.on_sip(event)
    await r.hangs_up()
    assert r.exchange.courier.kinds() == ["referComplete", "disconnect"]
    assert "notifySipResponseCode" not in r.told()[0][2]


async def test_a_far_end_that_hangs_up_before_anything_came_of_it_has_hung_up():
    r = await Referring().begin()
    await r.hangs_up()
    assert r.told() == [] and r.exchange.courier.kinds() == ["disconnect"]
    await r.settles(True, 202, 200)
    assert r.told() == []


async def test_rest_redirects_a_call_that_is_being_referred():
    r = await Referring().begin()
    r.exchange.answer_with(join(), "redirect")
    await r.exchange.switchboard.redirect_call(r.call, Redirect(Callback(url="http://app.test/else")))
    await settle()
    assert r.call.membership is not None
    await r.settles(True, 202, 200)
    assert r.call.live and r.told() == []


async def test_a_failed_webhook_ends_the_call():
    r = await Referring(answer=DeliveryFailed("500")).begin()
    await r.settles(False, 603, None)
    assert r.call.disconnect_cause == "callback-error"


async def test_user_to_user_goes_to_the_one_who_is_called():
    r = await Referring().begin(of_target='uui="YWJj+w==;encoding=base64"')
    assert r.target == f"{TO}?User-to-User=YWJj%2Bw%3D%3D%3Bencoding%3Dbase64"
    r = await Referring().begin(to=f"{TO}?X-A=1", of_target='uui="YWJj;encoding=base64"')
    assert r.target == f"{TO}?X-A=1&User-to-User=YWJj%3Bencoding%3Dbase64"


async def test_only_a_call_that_came_in_can_be_referred():
    exchange = Exchange()
    call = await answered(exchange, f"<Response><Refer {URL}><SipUri>{TO}</SipUri></Refer></Response>")
    assert call.disconnect_cause == "application-error"
    assert call.error_message == "Refer: only an inbound call can be referred"
    assert "refer" not in exchange.sip.verbs()


async def test_an_address_that_sip_cannot_use_is_an_error_that_names_it(monkeypatch):
    exchange = Exchange()
    call = await exchange.dial_in("<Response><Pause duration='60'/></Response>")

    def refuse(_session, _target):
        raise SipError("Bad port")

    monkeypatch.setattr(exchange.sip, "refer", refuse, raising=False)
    verb = verbs.Refer(destinations=(verbs.SipUri(uri="sip:a@b:0"),))
    with pytest.raises(VerbFailed, match="Refer: sip:a@b:0 cannot be called: Bad port"):
        await refer(call, verb)
