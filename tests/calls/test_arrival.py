"""What an INVITE brings along is told in initiate, and in no other event."""

import pytest

from sip.message import usual_name
from tests.support.exchange import Exchange, join

TO_NUMBER, TO_ROOM = "sip:+19195550100@127.0.0.1", "sip:room@127.0.0.1"


def named(*headers):
    """With the names that the parser gives them."""
    return tuple((usual_name(name), value) for name, value in headers)


async def initiate(*headers, called=TO_ROOM):
    exchange = Exchange()
    await exchange.dial_in(join(), headers=named(*headers), called=called)
    return exchange.courier.asked[0][1]


async def test_the_latest_diversion_is_told_with_all_its_parameters():
    event = await initiate(
        (
            "Diversion",
            '"Desk" <sip:+19195550111@a.example;user=phone>;reason=no-answer;counter=2;colour="red"',
        ),
        ("Diversion", "<sip:first@b.example>;reason=away"),
    )
    assert event["diversion"] == {
        "origTo": "+19195550111",
        "reason": "no-answer",
        "counter": "2",
        "colour": "red",
    }


async def test_several_diversions_in_one_line_are_several():
    event = await initiate(("Diversion", "<sip:desk@a.example>;privacy=off;screen=no, <sip:first@b.example>"))
    assert event["diversion"] == {"origTo": "sip:desk@a.example", "privacy": "off", "screen": "no"}


@pytest.mark.parametrize("value", ["", "<sip:", "nobody", '"<sip:a@b>', "<sip:a@b>;=x"])
async def test_a_diversion_that_cannot_be_read_costs_no_call(value):
    assert "diversion" not in await initiate(("Diversion", value))


async def test_user_to_user_is_told_as_it_came():
    event = await initiate(("User-to-User", "YWJj;encoding=base64"), ("User-to-User", "00ff;encoding=hex"))
    assert event["uui"] == "YWJj;encoding=base64,00ff;encoding=hex"


async def test_own_headers_are_told_of_calls_to_sip_addresses_alone():
    headers = (("X-Order", "1"), ("X-Order", "2"), ("X-Mood", "calm"), ("Subject", "hello"))
    assert (await initiate(*headers))["sipHeaders"] == {"x-order": "2", "x-mood": "calm"}
    assert "sipHeaders" not in await initiate(*headers, called=TO_NUMBER)


async def test_a_plain_call_has_none_of_these():
    assert not {"diversion", "uui", "sipHeaders"} & (await initiate()).keys()


async def test_they_are_told_once():
    exchange = Exchange()
    exchange.answer_with(join(), "redirect")
    brought = named(("User-to-User", "abc"), ("X-Order", "1"), ("Diversion", "<sip:desk@a.example>"))
    await exchange.dial_in('<Response><Redirect redirectUrl="/next"/></Response>', headers=brought)
    _, event = exchange.courier.asked[-1]
    assert event["eventType"] == "redirect" and not {"diversion", "uui", "sipHeaders"} & event.keys()
