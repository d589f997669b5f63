"""Why a call ended: SIP statuses and Q.850 causes in the contract's words, row by row."""

import pytest

from calls.causes import Q850, STATUSES, ending, failure
from sip import events as sip_events
from sip.reason import Reason
from tests.calls.test_outbound import dialled
from tests.support.exchange import Exchange, join, settle

CONTRACT = {"busy", "timeout", "cancel", "rejected", "error"}
# RFC 3398 section 8.2.6.1: the SIP status that a gateway maps each cause to, where it has one.
RFC_3398 = {
    1: 404, 2: 404, 3: 404, 17: 486, 18: 408, 19: 480, 20: 480, 21: 403, 22: 410, 23: 410, 26: 404, 27: 502,
    28: 484, 29: 501, 34: 503, 38: 503, 41: 503, 42: 503, 47: 503, 55: 403, 57: 403, 58: 503, 65: 488,
    70: 488, 79: 501, 87: 403, 88: 503, 102: 504, 111: 500,
}  # fmt: skip


def q850(cause, text=""):
    return Reason(cause, text, "Q.850")


@pytest.mark.parametrize(
    ("status", "cause", "message"),
    [
        (486, "busy", "Callee is busy"),
        (600, "busy", "Callee is busy"),
        (408, "timeout", "No answer"),
        (480, "timeout", "Callee is temporarily unavailable"),
        (487, "cancel", None),
        (403, "rejected", "Callee answered 403 Word"),
        (404, "rejected", "Callee answered 404 Word"),
        (302, "rejected", "Callee answered 302 Word"),
        (603, "rejected", "Callee answered 603 Word"),
        (500, "error", "Callee answered 500 Word"),
        (503, "error", "Callee answered 503 Word"),
    ],
)
def test_a_status_alone_has_its_cause(status, cause, message):
    assert failure(status, "Word") == (cause, message)
    assert STATUSES.keys() == {486, 600, 408, 480, 487}


@pytest.mark.parametrize("cause", Q850)
def test_a_q850_cause_is_worth_more_than_the_status_it_came_with(cause):
    row = Q850[cause]
    told, message = failure(500, "Internal", [q850(cause)])
    assert told == (row.fails or "error") and told in CONTRACT
    assert f"(Q.850 {cause}: {row.name})" in message


@pytest.mark.parametrize("cause", RFC_3398)
def test_a_q850_cause_means_what_the_status_means_that_gateways_make_of_it(cause):
    assert Q850[cause].fails == failure(RFC_3398[cause], "")[0]


def test_what_both_say_is_told_in_the_contracts_words():
    assert failure(486, "Busy Here", [q850(17)]) == ("busy", "Callee is busy (Q.850 17: user busy)")
    assert failure(503, "No", [q850(17)]) == ("busy", "Callee is busy (Q.850 17: user busy)")
    answered = "Callee answered 480 Gone (Q.850 1: unallocated number)"
    assert failure(480, "Gone", [q850(1)]) == ("rejected", answered)


def test_a_cause_that_nobody_knows_and_other_reasons_change_nothing():
    assert failure(486, "", [q850(99, "odd")]) == ("busy", "Callee is busy (Q.850 99: odd)")
    assert failure(486, "", [Reason(503)]) == ("busy", "Callee is busy")


def test_what_we_gave_up_ourselves_is_cancelled_whatever_the_far_end_calls_it():
    assert failure(487, "Request Terminated", [q850(17)]) == ("cancel", None)


@pytest.mark.parametrize("usual", ["hangup", "cancel"])
@pytest.mark.parametrize("cause", Q850)
def test_a_bye_and_a_cancel_end_a_call_as_ever_unless_the_network_has_failed(cause, usual):
    told, message = ending(usual, [q850(cause)])
    if Q850[cause].fails == "error":
        assert told == "error"
        assert message == f"The far end ended the call: Q.850 {cause}: {Q850[cause].name}"
    else:
        assert (told, message) == (usual, None)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Reason(200, "Call completed elsewhere"), "cancel"),
        (Reason(480), "cancel"),
        (Reason(408, "RTP timeout"), "error"),
        (Reason(503), "error"),
        (Reason(16, "", "X.25"), "cancel"),
    ],
)
def test_sip_causes_of_a_cancel(reason, told):
    assert ending("cancel", [reason])[0] == told


def test_of_several_reasons_the_fault_counts():
    assert ending("hangup", [Reason(200), q850(38)])[0] == "error"


async def test_the_application_is_told_the_status_and_the_q850_cause():
    exchange = Exchange()
    call = await dialled(exchange)
    failed = sip_events.CallFailed(call.session, 503, "Service Unavailable", (q850(34),))
    exchange.switchboard.on_sip(failed)
    await settle()
    event = exchange.courier.event("disconnect")
    assert (event["cause"], event["sipResponseCode"]) == ("error", 503)
    expected = "Callee answered 503 Service Unavailable (Q.850 34: no circuit available)"
    assert event["errorMessage"] == expected


@pytest.mark.parametrize(("cause", "told"), [(16, "hangup"), (41, "error")])
async def test_a_bye_with_a_reason_is_told(cause, told):
    exchange = Exchange()
    call = await exchange.dial_in(join())
    exchange.switchboard.on_sip(sip_events.CallEnded(call.session, "BYE", (q850(cause),)))
    await settle()
    event = exchange.courier.event("disconnect")
    assert event["cause"] == told and ("errorMessage" in event) == (told == "error")
    assert "sipResponseCode" not in event


async def test_a_cancel_with_a_reason_is_told():
    exchange = Exchange()
    session = exchange.ring()
    exchange.switchboard.on_sip(sip_events.CallCancelled(session, "x", (q850(42),)))
    await settle()
    assert exchange.courier.event("disconnect")["cause"] == "error"


async def test_a_far_end_that_was_lost_has_not_hung_up():
    exchange = Exchange()
    call = await exchange.dial_in(join())
    ended = sip_events.CallEnded(call.session, "session expired", lost=True)
    exchange.switchboard.on_sip(ended)
    await settle()
    event = exchange.courier.event("disconnect")
    assert (event["cause"], event["errorMessage"]) == ("error", "The far end was lost: session expired")
