"""Races and breaches of SIP as a trunk has them, each an own scenario of sipp against the running server."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any

import pytest
import pytest_asyncio

from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.server import APPLICATION
from tests.support.sipp import Sipp
from tests.support.sipp_steps import agree, answer, ask, asked, called, hear, pause, scenario, turn

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    house = await House.open()
    house.tell("rings", '<Ring answerCall="false" duration="60"/>')
    house.tell("answers", '<Pause duration="60"/>')
    yield house
    await house.close()


OPENED = (ask("INVITE", 1, branch="one", sdp=True, within=False), hear(100))
CANCELLED = (
    ask("CANCEL", 1, branch="one", within=False),
    hear(200),
    hear(487),
    ask("ACK", 1, branch="one"),
)
TALKING = (*OPENED, hear(200), ask("ACK", 1))
RELIABLE = (
    ask("INVITE", 1, branch="one", sdp=True, within=False, headers="Require: 100rel"),
    hear(100),
    hear(183, like="RSeq: "),
)

CALLERS = {
    "a cancel while it rings": ("rings", *OPENED, hear(183), *CANCELLED),
    "a cancel that crosses the answer": (
        "answers",
        *OPENED,
        hear(200),
        ask("CANCEL", 1, branch="one", within=False),
        hear(200, like="CSeq: 1 CANCEL"),
        ask("ACK", 1),
        ask("BYE", 2),
        hear(200),
    ),
    "a cancel of nothing": ("rings", ask("CANCEL", 1, branch="none", within=False), hear(481)),
    "a bye that overtakes the ack": ("answers", *OPENED, hear(200), ask("BYE", 2), hear(200)),
    "a bye while it rings": (
        "rings",
        *OPENED,
        hear(183),
        ask("BYE", 2),
        hear(200),
        hear(487),
        ask("ACK", 1, branch="one"),
    ),
    "the invite by two ways": (
        "rings",
        *OPENED,
        hear(183),
        ask("INVITE", 1, branch="two", sdp=True, within=False),
        hear(482),
        ask("ACK", 1, branch="two"),
        *CANCELLED,
    ),
    "an offer before the answer to ours has come": (
        "answers",
        ask("INVITE", 1, branch="one", within=False),
        hear(100),
        hear(200, like="m=audio"),
        ask("UPDATE", 2, sdp=True),
        hear(491),
        ask("ACK", 1, sdp=True),
        ask("UPDATE", 3, sdp=True),
        hear(200, like="m=audio"),
        ask("BYE", 4),
        hear(200),
    ),
    "a reinvite without an offer and another one before its ack": (
        "answers",
        *TALKING,
        ask("INVITE", 2),
        hear(100, optional=True),
        hear(200, like="m=audio"),
        ask("INVITE", 3, branch="three", sdp=True),
        hear(100, optional=True),
        hear(491),
        ask("ACK", 3, branch="three"),
        ask("ACK", 2, sdp=True),
        ask("BYE", 4),
        hear(200),
    ),
    "a bye after the end": ("answers", *TALKING, ask("BYE", 2), hear(200), ask("BYE", 3), hear(481)),
    "an interval that is too short": (
        "answers",
        ask(
            "INVITE", 1, branch="one", sdp=True, within=False, headers="Session-Expires: 60\nSupported: timer"
        ),
        hear(422, like="Min-SE: 90"),
        ask("ACK", 1, branch="one"),
        ask("INVITE", 2, sdp=True, within=False, headers="Session-Expires: 90\nMin-SE: 90\nSupported: timer"),
        hear(100),
        hear(200, like="Session-Expires: 90;refresher=uac"),
        ask("ACK", 2),
        ask("BYE", 3),
        hear(200),
    ),
    "a prack for something else, and then a cancel": (
        "rings",
        *RELIABLE,
        ask("PRACK", 2, headers="RAck: 1 1 INVITE"),
        hear(481),
        *CANCELLED,
    ),
    "an extension that nobody knows": (
        "rings",
        ask("INVITE", 1, branch="one", sdp=True, within=False, headers="Require: timer, teleport"),
        hear(420, like="Unsupported: teleport"),
        ask("ACK", 1, branch="one"),
    ),
}


async def test_a_caller_may_cancel_hang_up_and_offer_at_any_moment(house: House) -> None:
    async def one(name: str, user: str, *steps: Any) -> None:
        remote = house.server.sip
        async with Sipp(scenario(name, *steps), remote=remote, user=user, calls=3) as sipp:
            try:
                await sipp.done()
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from error

    await all_of(one(name, *steps) for name, steps in CALLERS.items())
    await nothing_is_left(house)


HELLO = (called(), answer(100, tag=""), answer(180))
GOODBYE = (turn("BYE", 1), hear(200))

# What it does, whether the call is given up while it rings, how it ends.
CALLEES = {
    "a fork both of whose branches answer": (
        (
            *HELLO,
            answer(180, tag="two"),
            answer(200, sdp=True),
            asked("ACK"),
            answer(200, tag="two", sdp=True),
            asked("ACK"),
            asked("BYE"),
            agree(),
            pause(200),
            *GOODBYE,
        ),
        False,
        "hangup",
    ),
    "an answer that crosses our cancel": (
        (*HELLO, asked("CANCEL"), answer(200, sdp=True), asked("ACK"), asked("BYE"), agree()),
        True,
        "cancel",
    ),
    "a cancel that is heard": ((*HELLO, asked("CANCEL"), agree(), answer(487), asked("ACK")), True, "cancel"),
    "a refusal that crosses our cancel": (
        (*HELLO, asked("CANCEL"), answer(486), asked("ACK"), agree(481)),
        True,
        "cancel",
    ),
    "a description in a plain 183 and none in the answer": (
        (called(), answer(183, sdp=True), answer(200), asked("ACK"), *GOODBYE),
        False,
        "hangup",
    ),
    "an offer of his before he answers": (
        (
            called(),
            answer(183, sdp=True, headers="Require: 100rel\nRSeq: 7"),
            asked("PRACK"),
            agree(),
            turn("UPDATE", 1),
            hear(200, like="m=audio"),
            answer(200),
            asked("ACK"),
            turn("BYE", 2),
            hear(200),
        ),
        False,
        "hangup",
    ),
    "a bye before his answer": (
        (*HELLO, turn("BYE", 1), hear(481), answer(486), asked("ACK")),
        False,
        "busy",
    ),
    "somewhere else to go": (
        (called(), answer(302, headers="Contact: <sip:elsewhere@192.0.2.9>"), asked("ACK")),
        False,
        "rejected",
    ),
}


async def test_a_callee_may_answer_twice_late_or_across_our_cancel(house: House) -> None:
    house.application.on("answer", "<Response><Pause duration='60'/></Response>", path="/answer")

    async def one(name: str, steps: tuple[Any, ...], given_up: bool, cause: str) -> None:
        async with Sipp(scenario(name, *steps)) as sipp:
            order = {
                "from": "+19195550100",
                "to": f"sip:callee@127.0.0.1:{sipp.port}",
                "applicationId": APPLICATION,
                "answerUrl": house.application.url("/answer"),
                "disconnectUrl": house.application.url("/gone"),
            }
            status, body = await house.rest.post("/calls", order)
            assert status == 201
            try:
                if given_up:
                    await eventually(lambda: "SIP/2.0 180" in sipp.story())
                    await house.rest.post(f"/calls/{body['callId']}", {"state": "completed"})
                await sipp.done()
                event = await house.application.event("disconnect", callId=body["callId"])
                assert event["cause"] == cause
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from error

    await all_of(one(name, *what) for name, what in CALLEES.items())
    await nothing_is_left(house)


async def all_of(scenarios: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All at once; of those that fail each is named."""
    results = await asyncio.gather(*scenarios, return_exceptions=True)
    failures = [str(result) for result in results if isinstance(result, AssertionError)]
    assert not failures, "\n\n".join(failures)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def nothing_is_left(house: House) -> None:
    """No call has outlived its scenario."""

    async def over() -> bool:
        metrics = await asyncio.to_thread(house.server.metrics)
        return metrics["mixminus_calls"] == metrics["mixminus_media_legs"] == 0

    await eventually(over)
