"""What the log says of a call: its records carry its id, and the first also the one that SIP knows it by."""

from types import SimpleNamespace

import pytest

from calls.admission import AccountLimits
from calls.callbacks import Callback
from calls.order import CallOrder
from sip import events as sip_events
from tests.support.exchange import ACCOUNT, APPLICATION, OFFER, Exchange, Trunk, join, settle

VIDEO = OFFER.replace(b"m=audio", b"m=video")

ORDER = CallOrder(
    application_id=APPLICATION,
    to="sip:bob@192.0.2.7:5062",
    from_="+19195550100",
    answer=Callback(url="http://app.test/answer"),
)


@pytest.fixture(autouse=True)
def everything(caplog):
    caplog.set_level("INFO")


def logged(caplog, name):
    """The fields of the one record of that name."""
    (record,) = [record for record in caplog.records if record.getMessage() == name]
    return vars(record)


async def test_an_incoming_call_is_logged_with_both_of_its_ids(caplog):
    call = await Exchange().dial_in(join())
    fields = logged(caplog, "call_incoming")
    assert (fields["call_id"], fields["sip_call_id"]) == (call.id, call.session.call_id)


async def test_how_a_call_sounded_is_logged_at_its_end(caplog):
    exchange = Exchange()
    call = await exchange.dial_in(join())
    figures = SimpleNamespace(
        mos_mean=4.2,
        received=500,
        lost=3,
        late=1,
        jitter_ms=2.5,
        round_trip_ms=None,
        far_lost=0,
        drift_ppm=-12.0,
    )
    exchange.media.leg_statistics = lambda leg: figures
    exchange.switchboard.on_sip(sip_events.CallEnded(call.session, "BYE"))
    await settle()
    fields = logged(caplog, "call_sound")
    assert fields["call_id"] == call.id and vars(figures).items() <= fields.items()


@pytest.mark.parametrize("why", ["no application", "busy", "no codec", "trunk full"])
async def test_a_refused_call_is_logged_with_its_sip_call_id(caplog, why):
    trunks = [Trunk(name="carrier", host="192.0.2.9", max_calls=1)]
    accounts = {ACCOUNT: AccountLimits(0.0, 1)} if why == "busy" else None
    exchange = Exchange(
        trunks=trunks, accounts=accounts, applications=[] if why == "no application" else None
    )
    if why == "busy":
        await exchange.dial_in(join())
    if why == "trunk full":
        exchange.trunks.seize("carrier")
    session = exchange.session()
    trunk = "carrier" if why == "trunk full" else None
    offer = VIDEO if why == "no codec" else OFFER
    exchange.switchboard.on_sip(sip_events.IncomingCall(session, trunk, None, offer))
    assert exchange.sip.last("reject")[1][0] is session
    assert logged(caplog, "call_refused")["sip_call_id"] == session.call_id


@pytest.mark.parametrize(("answer", "said"), [(None, "ack_without_answer"), (VIDEO, "answer_refused")])
async def test_an_ack_without_a_usable_answer_is_logged_with_the_call(caplog, answer, said):
    exchange = Exchange()
    exchange.answer_with(join())
    session = exchange.ring(sdp=None)
    (call,) = exchange.switchboard.live_calls
    await settle()
    exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, answer))
    await settle()
    assert logged(caplog, said)["call_id"] == call.id


async def test_a_refused_answer_of_an_outbound_call_is_logged_with_the_call(caplog):
    exchange = Exchange()
    exchange.answer_with(join(), "answer")
    call = await exchange.switchboard.create_call(ACCOUNT, ORDER)
    await settle()
    exchange.switchboard.on_sip(sip_events.CallAnswered(call.session, OFFER))
    await settle()
    exchange.switchboard.on_sip(sip_events.MediaAnswered(call.session, VIDEO))
    assert logged(caplog, "answer_refused")["call_id"] == call.id
