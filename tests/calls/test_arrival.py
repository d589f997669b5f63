"""What an INVITE brings along is told in initiate, and in no other event."""

import json
from base64 import urlsafe_b64encode

import pytest

from bxml.attributes import WITHHELD
from sip.message import usual_name
from tests.support.exchange import Exchange, Trunk, join

TO_NUMBER, TO_ROOM = "sip:+19195550100@127.0.0.1", "sip:room@127.0.0.1"


def named(*headers):
    """With the names that the parser gives them."""
    return tuple((usual_name(name), value) for name, value in headers)


async def initiate(*headers, trunk=None, **more):
    exchange = Exchange(trunks=[Trunk("carrier", "192.0.2.9")])
    await exchange.dial_in(join(), headers=named(*headers), trunk=trunk, **{"called": TO_ROOM, **more})
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


@pytest.mark.parametrize(
    ("headers", "privacy"),
    [
        ((), False),
        ((("Privacy", "none"),), False),
        ((("Privacy", "session;critical"),), False),
        ((("Privacy", "ID"),), True),
        ((("Privacy", "critical; user"),), True),
        ((("Privacy", "none"), ("Privacy", "header")), True),
    ],
)
async def test_whether_the_number_is_withheld_is_told(headers, privacy):
    assert (await initiate(*headers))["privacy"] is privacy


@pytest.mark.parametrize(
    ("uri", "shown", "caller"),
    [
        ("sip:+19195554321@a.example", "Ann Other", "+19195554321"),
        ("sip:ann@a.example", "", "sip:ann@a.example"),
        ("sip:anonymous@anonymous.invalid", "Anonymous", "Anonymous"),
        ("sip:c8oqz84zk7z@anonymous.invalid", "", "Anonymous"),
        ("sip:Anonymous@a.example", "restricted", "Restricted"),
        ("sip:anonymous@a.example", "Nobody", "Anonymous"),
    ],
)
async def test_who_withholds_his_number_is_named_by_a_word(uri, shown, caller):
    exchange = Exchange()
    await exchange.dial_in(join(), caller=uri, display_name=shown)
    event = exchange.courier.asked[0][1]
    assert (event["from"], event["callerDisplayName"]) == (caller, shown)
    assert event["privacy"] is (caller in WITHHELD)


@pytest.mark.parametrize(("shown", "told"), [("Ann Other", ""), ("private", "Private"), ("", "")])
async def test_who_asks_for_privacy_is_not_told_by_his_name_either(shown, told):
    event = await initiate(("Privacy", "id"), display_name=shown)
    assert (event["from"], event["callerDisplayName"]) == (told or "Anonymous", told)


async def test_a_plain_call_has_none_of_these():
    assert not {"diversion", "uui", "sipHeaders"} & (await initiate()).keys()


def passport(**claims):
    """As in an Identity header; nobody checks the signature."""
    parts = ({"alg": "ES256", "ppt": "shaken"}, claims)
    encoded = [urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*encoded, "c2lnbmVk")) + ";info=<https://c.example/c.pem>;alg=ES256;ppt=shaken"


VERIFIED = {
    "verstat": "TN-Validation-Passed",
    "attestationIndicator": "A",
    "originatingId": "99759086-1335-11ed-9bcf-5f7d464e91af",
}
SIGNED = ("Identity", passport(attest="A", origid=VERIFIED["originatingId"], dest={"tn": ["1"]}))


@pytest.mark.parametrize(
    "headers",
    [
        (
            ("P-Asserted-Identity", "<sip:+19195550001;verstat=TN-Validation-Passed@carrier.example>"),
            ("P-Attestation-Indicator", "A"),
            ("P-Origination-ID", VERIFIED["originatingId"]),
        ),
        (("P-Asserted-Identity", "<sip:+1@c.example;verstat=TN-Validation-Passed;user=phone>"), SIGNED),
        (("P-Asserted-Identity", "<tel:+19195550001;verstat=TN-Validation-Passed>"), SIGNED),
        (("From", "<sip:+1@c.example>;verstat=TN-Validation-Passed;tag=1"), ("y", SIGNED[1])),
        (
            ("P-Asserted-Identity", "<sip:"),
            ("From", "<sip:+1;verstat=TN-Validation-Passed@c.example>;tag=1"),
            SIGNED,
        ),
    ],
)
async def test_what_a_trunk_says_of_its_callers_number_is_told(headers):
    assert (await initiate(*headers, trunk="carrier"))["stirShaken"] == VERIFIED


async def test_what_anybody_else_says_of_his_own_number_is_not():
    forged = ("From", "<sip:+1;verstat=TN-Validation-Passed@c.example>;tag=1")
    assert "stirShaken" not in await initiate(forged, SIGNED)


@pytest.mark.parametrize(
    "value",
    ["", "a.b.c", "..", "one.two", f"x.{'W1tb' * 2000}.y", f"x.{urlsafe_b64encode(b'[1]').decode()}.y"],
)
async def test_an_identity_that_cannot_be_read_costs_no_call(value):
    assert "stirShaken" not in await initiate(("Identity", value), trunk="carrier")


async def test_half_a_character_in_a_claim_costs_no_call():
    claims = ("Identity", passport(attest="A\ud800"))
    assert (await initiate(claims, trunk="carrier"))["stirShaken"] == {"attestationIndicator": "A\ufffd"}


async def test_a_call_keeps_both_as_long_as_it_is_known():
    exchange = Exchange(trunks=[Trunk("carrier", "192.0.2.9")])
    call = await exchange.dial_in(join(), headers=named(SIGNED), trunk="carrier")
    assert call.identity == SIGNED[1]
    assert call.stir_shaken == {name: VERIFIED[name] for name in ("attestationIndicator", "originatingId")}


async def test_parameters_of_a_number_are_no_part_of_it():
    event = await initiate(
        caller="sip:+19195550001;verstat=No-TN-Validation@c.example",
        called="sip:+19195550100;npdi;rn=+19195550000@127.0.0.1",
    )
    assert (event["from"], event["to"]) == ("+19195550001", "+19195550100")


async def test_they_are_told_once():
    exchange = Exchange()
    exchange.answer_with(join(), "redirect")
    brought = named(("User-to-User", "abc"), ("X-Order", "1"), ("Diversion", "<sip:desk@a.example>"))
    await exchange.dial_in('<Response><Redirect redirectUrl="/next"/></Response>', headers=brought)
    _, event = exchange.courier.asked[-1]
    assert event["eventType"] == "redirect" and not {"diversion", "uui", "sipHeaders"} & event.keys()
