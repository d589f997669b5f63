"""Where the events of each verb go: URL, method, fallback and credentials, as the document has them."""

from dataclasses import dataclass

import pytest

from calls.callbacks import Callback
from sip import events as sip_events
from speech.prompt import Prompt
from tests.support.exchange import ACCOUNT, OFFER, Exchange, Trunk, join, settle

TRUNK = Trunk(name="carrier", host="192.0.2.9", numbers=("+1*",))
LEG = {"PhoneNumber": "+19195550100", "SipUri": "sip:b@192.0.2.7"}


@dataclass(frozen=True)
class Case:
    """An element, the prefix of its attributes, the event that they are for."""

    element: str
    prefix: str
    event: str
    fallback: bool = True
    credentials: bool = True

    def __str__(self) -> str:
        return f"{self.element}-{self.prefix}"

    @property
    def attributes(self) -> str:
        given = {f"{self.prefix}Url": "/first", f"{self.prefix}Method": "GET"}
        if self.credentials:
            given |= {"username": "user", "password": "word"}
        if self.fallback:
            given |= {
                f"{self.prefix}FallbackUrl": "http://other.test/second",
                f"{self.prefix}FallbackMethod": "GET",
                "fallbackUsername": "other-user",
                "fallbackPassword": "other-word",
            }
        return " ".join(f'{name}="{value}"' for name, value in given.items())

    @property
    def callback(self) -> Callback:
        callback = Callback(url="http://app.test/first", method="GET")
        if self.credentials:
            callback = Callback(url="http://app.test/first", method="GET", username="user", password="word")
        if self.fallback:
            return Callback(
                url=callback.url,
                method=callback.method,
                username=callback.username,
                password=callback.password,
                fallback_url="http://other.test/second",
                fallback_method="GET",
                fallback_username="other-user",
                fallback_password="other-word",
            )
        return callback


CASES = [
    Case("Bridge", "bridgeComplete", "bridgeComplete"),
    Case("Bridge", "bridgeTargetComplete", "bridgeTargetComplete"),
    Case("Conference", "conferenceEvent", "conferenceCreated"),
    Case("Gather", "gather", "gather"),
    Case("Redirect", "redirect", "redirect"),
    Case("Refer", "referComplete", "referComplete", fallback=False, credentials=False),
    Case("StartGather", "dtmf", "dtmf", fallback=False),
    Case("Transfer", "transferComplete", "transferComplete"),
    *(Case(leg, "transferAnswer", "transferAnswer") for leg in LEG),
    *(Case(leg, "transferDisconnect", "transferDisconnect", fallback=False) for leg in LEG),
]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_event_goes_where_the_attributes_say(case):
    exchange = Exchange(trunks=[TRUNK])
    await perform(exchange, case.element, case.attributes)
    sent = [callback for callback, event in carried(exchange) if event["eventType"] == case.event]
    assert sent == [case.callback]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_by_itself_it_goes_by_post_without_credentials_or_fallback(case):
    exchange = Exchange(trunks=[TRUNK])
    await perform(exchange, case.element, f'{case.prefix}Url="/first"')
    sent = [callback for callback, event in carried(exchange) if event["eventType"] == case.event]
    assert sent == [Callback(url="http://app.test/first")]


@pytest.mark.parametrize("element", sorted({case.element for case in CASES}))
async def test_the_tag_of_an_element_is_in_its_own_event_and_an_empty_one_clears(element):
    for tag in ("new", ""):
        exchange = Exchange(trunks=[TRUNK])
        case = next(case for case in CASES if case.element == element)
        before = "<Tag>old</Tag>" if element not in LEG else ""
        await perform(exchange, element, f'{case.prefix}Url="/first" tag="{tag}"', before=before)
        told = [event for _, event in carried(exchange) if event["eventType"] == case.event]
        assert [event.get("tag") for event in told] == [tag or None]


async def test_a_conferences_events_have_the_time_of_its_verb_or_of_its_first_call():
    for attributes, timeout in (('callbackTimeout="2.5"', 2.5), ("", 15.0)):
        exchange = Exchange()
        await perform(exchange, "Conference", f'conferenceEventUrl="/first" {attributes}')
        assert {callback.timeout for callback, _ in exchange.courier.told} == {timeout}


async def test_a_conference_without_events_has_that_time_for_its_redirects():
    for attributes, timeout in (('callbackTimeout="2.5"', 2.5), ("", 15.0)):
        exchange = Exchange()
        await perform(exchange, "Conference", attributes)
        (conference,) = exchange.switchboard.conferences(ACCOUNT)
        assert conference.events is None and conference.callback_timeout == timeout


async def test_a_numbers_user_to_user_goes_through_its_trunk():
    exchange = Exchange(trunks=[TRUNK])
    await perform(exchange, "PhoneNumber", 'uui="YWJj;encoding=base64"')
    (_, _, invite) = exchange.sip.last("invite")
    assert invite["headers"] == (("User-to-User", "YWJj;encoding=base64"),)


async def test_a_sound_is_fetched_with_its_credentials(monkeypatch):
    exchange, asked = Exchange(), []

    async def fetch(url, *, username, password):
        asked.append((url, username, password))
        return Prompt(samples=b"", rate=8000, name=url)

    monkeypatch.setattr(exchange.speech, "fetch", fetch)
    sounds = '<PlayAudio username="u" password="p">/a.wav</PlayAudio><PlayAudio>/b.wav</PlayAudio>'
    await exchange.dial_in(f"<Response>{sounds}</Response>")
    await exchange.finish_prompt()
    assert asked == [("http://app.test/a.wav", "u", "p"), ("http://app.test/b.wav", None, None)]


def carried(exchange):
    return [*exchange.courier.asked, *exchange.courier.told]


async def perform(exchange, element, attributes, before=""):
    """A call whose document has this element with these attributes, up to the element's event."""
    for kind in (
        "gather",
        "redirect",
        "bridgeComplete",
        "bridgeTargetComplete",
        "transferComplete",
        "referComplete",
    ):
        exchange.answer_with(join("elsewhere"), kind)
    content = {"Conference": "room", **LEG}
    match element:
        case "Bridge":
            target = await exchange.dial_in("<Response><Pause duration='60'/></Response>")
            content["Bridge"] = target.id
        case "PhoneNumber" | "SipUri":
            before += "<Transfer>"
    written = f"<{element} {attributes}>{content.get(element, '')}</{element}>"
    if element in ("Refer", "Transfer"):
        written = written.replace("></", f"><SipUri>{LEG['SipUri']}</SipUri></")
    elif element in LEG:
        written += "</Transfer>"
    elif element == "StartGather":
        written += "<Pause duration='60'/>"
    elif element == "Gather":
        written = written.replace(f"<Gather {attributes}", f'<Gather maxDigits="1" {attributes}')
    call = await exchange.dial_in(f"<Response>{before}{written}</Response>")
    if element in ("Gather", "StartGather"):
        call.keypad.press("1", "rtp", 0.0)
        await settle()
    if element == "Refer":
        exchange.switchboard.on_sip(sip_events.ReferSettled(call.session, False, 603, None))
        await settle()
    if element == "Bridge":
        leaver = call if "bridgeTargetComplete" in attributes else target
        exchange.switchboard.on_sip(sip_events.CallEnded(leaver.session, "BYE"))
        await settle()
    if element in ("Transfer", *LEG):
        legs = [leg for leg in exchange.switchboard.calls(ACCOUNT) if leg.parent == call.id]
        exchange.switchboard.on_sip(sip_events.CallAnswered(legs[0].session, OFFER))
        await settle()
        exchange.switchboard.on_sip(sip_events.CallEnded(legs[0].session, "BYE"))
        await settle()
