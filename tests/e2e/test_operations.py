"""What an operator does with a running server: ask why somebody is not heard, change its configuration."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.ears import all_hear_the_others, hears, keep_hearing, voices
from tests.support.eventually import PATIENCE, eventually
from tests.support.free_ports import free_port
from tests.support.house import House
from tests.support.phone import PhoneCall
from tests.support.rest import Rest
from tests.support.server import ACCOUNT, APPLICATION, toml
from tests.support.studio import Studio

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def why(house: House, listener: str, speaker: str) -> dict[str, Any]:
    """The answer for two call ids."""
    async with Rest(house.server) as rest:
        rest.base = f"{house.server.http}/api/mixminus/v1/accounts/{ACCOUNT}"
        status, body = await rest.get(f"/calls/{listener}/hears/{speaker}")
    assert status == 200, body
    return dict(body)


async def found(house: House, listener: str, speaker: str, *codes: str) -> dict[str, Any]:
    """Waits for exactly these findings: media's figures are a fifth of a second old."""

    async def told() -> dict[str, Any]:
        body = await why(house, listener, speaker)
        assert [finding["code"] for finding in body["findings"]] == list(codes), body
        return body

    return dict(await eventually(told))


async def scored(house: House, call: str) -> dict[str, Any]:
    """A call's statistics, once there is a score in them."""
    async with Rest(house.server) as rest:
        rest.base = f"{house.server.http}/api/mixminus/v1/accounts/{ACCOUNT}"
        status, body = await rest.get(f"/calls/{call}/statistics")
    assert status == 200 and body["media"]["meanOpinionScore"] is not None, body
    return dict(body)


async def pair(house: House, studio: Studio, room: str) -> list[tuple[PhoneCall, str]]:
    """Two callers who hear each other, with their call ids."""
    made = []
    for user, voice in zip((f"{room}-a", f"{room}-b"), voices(), strict=False):
        house.seat(user, room)
        phone = await studio.phone(user, house.server.sip, sound=voice)
        call = await phone.dial(house.uri(user))
        made.append((call, await house.call_id(user)))
    await all_hear_the_others([call for call, _ in made])
    return made


async def test_why_somebody_is_not_heard_is_answered_with_evidence(house: House, studio: Studio) -> None:
    room = house.room()
    (alice, a), (bob, b) = await pair(house, studio, room)
    well = await found(house, a, b)
    assert well["hears"] is True
    media = well["speaker"]["media"]
    assert media["codec"] == "PCMU" and media["direction"] == "sendrecv"
    assert media["sourceAddress"] == media["sdpAddress"] and media["secondsSincePacket"] < 10.0
    assert -30.0 < media["level"] < 0.0 and media["packetsReceived"] > 0
    assert well["listener"]["seat"]["conferenceName"] == room

    statistics = (await eventually(lambda: scored(house, a)))["media"]
    assert 1.0 <= statistics["meanOpinionScore"] <= 4.5 and statistics["jitterMilliseconds"] >= 0.0
    assert statistics["packetsReceived"] > 0 and statistics["reportedLoss"] is None  # it sends no RTCP

    assert (await house.member(room, b, mute=True))[0] == 204
    body = await found(house, a, b, "speaker-muted")
    assert (
        body["speaker"]["seat"]["muteSet"]["by"] == "rest" and "by REST" in body["findings"][0]["description"]
    )
    assert body["speaker"]["seat"]["holdSet"]["by"] == "document"
    await hears(alice, [])
    assert (await house.member(room, b, mute=False, callIdsToCoach=["c-nobody"]))[0] == 204
    await found(house, a, b, "speaker-coaches-others")
    assert (await house.member(room, b, callIdsToCoach=[]))[0] == 204
    await found(house, a, b)

    assert (await bob.reoffer("recvonly")).status == 200
    await found(house, a, b, "speaker-direction")
    await found(house, b, a)
    assert (await bob.reoffer("sendonly")).status == 200
    await found(house, a, b, "speaker-holds-with-music")
    await hears(alice, [])
    assert (await bob.reoffer("sendrecv")).status == 200
    await hears(alice, [bob])
    bob.line.sending = False
    body = await found(house, a, b, "speaker-no-packets")
    assert body["speaker"]["media"]["secondsSincePacket"] >= 1.0


async def test_the_figures_of_all_legs_are_in_the_metrics_as_totals(house: House) -> None:
    figures = house.server.metrics()
    for name in ("lost", "late", "doubled"):
        assert figures[f"mixminus_media_packets_{name}_total"] >= 0
    labelled = {name.partition("{")[2].partition("=")[0] for name in figures if "{" in name}
    assert labelled == {"le"}, "bounds of histograms, and nothing for each leg"


# Users and their phones


def ring(house: House, to: str) -> dict[str, Any]:
    """An order for POST /calls whose callee then waits."""
    house.application.on("answer", "<Response><Pause duration='60'/></Response>")
    return {
        "from": "+19195550100",
        "to": to,
        "applicationId": APPLICATION,
        "answerUrl": house.application.url("/answer"),
        "disconnectUrl": house.application.url("/gone"),
    }


async def test_a_users_phones_ring_together_and_over_a_restart(studio: Studio) -> None:
    house = await House.open(sections={"users": [{"name": "alice", "password": "alices-secret"}]})
    try:
        desk, mobile = [
            await studio.phone(
                "alice", house.server.sip, password="alices-secret", sound=voice, transport=transport
            )
            for voice, transport in zip(voices(), ("udp", "tcp"), strict=False)
        ]
        assert (await desk.register()).status == 200
        assert (await mobile.register()).status == 200
        desk.answers = "ring"
        status, _ = await house.rest.post("/calls", ring(house, house.uri("alice")))
        assert status == 201
        winner, loser = await mobile.incoming(), await desk.incoming()
        await winner.answered()
        await loser.ended()
        await eventually(lambda: house.server.metrics()["mixminus_media_legs"] == 1)
        await winner.bye()

        await asyncio.to_thread(house.server.stop)
        await asyncio.to_thread(house.server.start)
        desk.answers = "accept"
        status, _ = await house.rest.post("/calls", ring(house, house.uri("alice")))
        assert status == 201
        again = await desk.incoming(2)
        await again.answered()
        await again.bye()
        file = house.server.data / "registrations.json"
        assert file.stat().st_mode & 0o777 == 0o600 and "alices-secret" not in file.read_text()
    finally:
        await house.close()


# Trunks


async def test_a_number_goes_around_a_trunk_that_is_down_and_is_written_as_the_other_wants_it(
    studio: Studio,
) -> None:
    dead = free_port()
    carrier = await studio.phone("carrier", sound=voices()[0])
    trunks = [
        {"name": "dead", "host": f"127.0.0.1:{dead}", "health_check": 1},
        {
            "name": "live",
            "host": carrier.uri.partition("@")[2],
            "health_check": 1,
            "strip": "+",
            "prefix": "00",
        },
    ]
    house = await House.open(sections={"trunks": trunks})
    try:
        # At first nobody knows that it is dead: the call finds out, and goes on to the next.
        assert (await house.rest.post("/calls", ring(house, "+442071838750")))[0] == 201
        first = await carrier.incoming()  # it waits six seconds for a sign of the dead one
        await first.answered()

        def known() -> bool:
            figures = house.server.metrics()
            assert figures['mixminus_trunk_up{trunk="dead"}'] == 0.0
            return figures['mixminus_trunk_up{trunk="live"}'] == 1.0

        await eventually(known)
        assert house.server.metrics()['mixminus_trunk_calls{trunk="live"}'] == 1.0
        events = [record["event"] for record in house.server.records()]
        # Where the machine was held up for five seconds, the health check came first.
        found_out = events.index("trunk_down") > events.index("call_dialled")
        assert ("dial_elsewhere" in events) == found_out
        assert (await house.rest.post("/calls", ring(house, "+442071838751")))[0] == 201
        second = await carrier.incoming(2)
        await second.answered()
        called = [rung.message.uri for rung in carrier.ladder if rung.message.start.startswith("INVITE ")]
        assert {uri.partition("@")[0] for uri in called} == {"sip:00442071838750", "sip:00442071838751"}

        def dialled() -> list[str]:
            return [each["trunk"] for each in house.server.records() if each["event"] == "call_dialled"]

        tried = ["dead"] * found_out
        await eventually(lambda: len(dialled()) == len(tried) + 2)
        assert dialled() == [*tried, "live", "live"]
    finally:
        await house.close()


async def test_a_trunk_is_registered_with_and_called_back_over_that(studio: Studio) -> None:
    provider = await House.open(sections={"users": [{"name": "we", "password": "ours"}]})
    try:
        trunk = {
            "name": "provider",
            "host": f"127.0.0.1:{provider.server.sip_port}",
            "register": True,
            "username": "we",
            "password": "ours",
        }
        house = await House.open(sections={"trunks": [trunk]})
        try:
            registered = 'mixminus_trunk_registered{trunk="provider"}'
            await eventually(lambda: house.server.metrics()[registered] == 1.0)
            house.tell("we", "<Pause duration='60'/>")
            status, _ = await provider.rest.post("/calls", ring(provider, provider.uri("we")))
            assert status == 201
            await house.application.event("initiate", user="we")
            assert "trunk_registered" in house.server.log and "ours" not in house.server.log
        finally:
            await house.close()
        order = ring(provider, provider.uri("we"))
        del order["disconnectUrl"]
        _, body = await provider.rest.post("/calls", order)
        _, call = await provider.rest.get(f"/calls/{body['callId']}")
        assert call["disconnectCause"] == "rejected", "the end took it back"
    finally:
        await provider.close()


# Another configuration


def reconfigure(house: House, **sections: Any) -> None:
    """Write these sections over the file's, and tell the whole process group, as a terminal would."""
    house.server.config = {**house.server.config, **sections}
    file = Path(house.server.directory.name) / "mixminus.toml"
    file.write_text(toml(house.server.config))
    assert house.server.process is not None
    os.killpg(house.server.process.pid, signal.SIGHUP)


async def told(house: House, event: str, number: int = 1) -> dict[str, Any]:
    """The `number`-th record of that event in the log."""

    def found() -> dict[str, Any] | None:
        records = [record for record in house.server.records() if record["event"] == event]
        return records[number - 1] if len(records) >= number else None

    return dict(await eventually(found))


async def test_sighup_takes_what_may_change_and_leaves_live_calls_alone(studio: Studio) -> None:
    house = await House.open(numbers=["room-*"])
    try:
        room = house.room()
        calls = [call for call, _ in await pair(house, studio, room)]
        pids = house.server.pids
        stranger = await studio.phone("stranger", house.server.sip)
        assert await stranger.invite(house.uri("elsewhere")).refused() == 404
        (application,) = house.server.config["applications"]
        (account,) = house.server.config["accounts"]
        carrier = await studio.phone("carrier")

        house.seat("elsewhere", "elsewhere")
        reconfigure(
            house,
            applications=[{**application, "numbers": ["*"]}],
            accounts=[account, {"id": "5550000", "username": "second", "password": "second-secret"}],
            users=[{"name": "alice", "password": "alices-secret"}],
            trunks=[{"name": "carrier", "host": carrier.uri.partition("@")[2]}],
            conference={"members": 7},
        )
        assert (await told(house, "configuration_reloaded"))["after_restart"] == ["conference"]
        await keep_hearing(calls[0], calls[1:])
        assert house.server.pids == pids
        newcomer = await stranger.dial(house.uri("elsewhere"))
        await newcomer.bye()
        alice = await studio.phone("alice", house.server.sip, password="alices-secret")
        assert (await alice.register()).status == 200
        mallory = await studio.phone("mallory", house.server.sip, password="guessed")
        assert (await mallory.register()).status == 401
        async with Rest(house.server, user="second", password="second-secret") as rest:
            rest.base = f"{house.server.http}/api/v2/accounts/5550000"
            assert (await rest.get("/calls"))[0] == 200
        assert (await house.rest.post("/calls", ring(house, "+442071838750")))[0] == 201
        await (await (await carrier.incoming()).answered()).bye()

        (user,) = house.server.config["users"]
        reconfigure(house, users=[{**user, "pasword": "x"}], applications=[], nonsense={})
        problems = (await told(house, "configuration_refused"))["problems"]
        assert len(problems) >= 2 and all("mixminus.toml:" in problem for problem in problems)
        assert any("users[0].pasword" in problem for problem in problems)
        assert (await alice.register()).status == 200
        await keep_hearing(calls[0], calls[1:])
        newcomer = await stranger.dial(house.uri("elsewhere"))
        await newcomer.bye()

        del house.server.config["nonsense"]
        async with house.rest.stream(f"/conferences/{await house.conference(room)}/events") as news:
            assert (await anext(news))["eventType"] == "state"
            changed = {**account, "password": "another-secret"}
            reconfigure(house, users=[user], applications=[application], accounts=[changed])
            async with asyncio.timeout(PATIENCE):
                assert "end" not in [each["eventType"] async for each in news], "the conference goes on"
        assert (await house.rest.get("/calls"))[0] == 401
        await keep_hearing(calls[0], calls[1:])
    finally:
        await house.close()


# The ladder


async def test_a_calls_ladder_is_in_the_log_without_what_must_stay_secret(studio: Studio) -> None:
    house = await House.open(
        sections={
            "sip": {"trace": True, "digest": ["SHA-256", "MD5"]},
            "users": [{"name": "alice", "password": "alices-secret"}],
        }
    )
    try:
        alice = await studio.phone("alice", house.server.sip, password="alices-secret")
        assert (await alice.register()).status == 200
        call = await alice.dial(house.uri("room"))
        await house.call_id("room")
        info = call.request("INFO", headers=(("Content-Type", "application/dtmf-relay"),))
        await alice.transact(replace(info, body=b"Signal=7\r\nDuration=160\r\n"))
        await call.bye()
        records = [r for r in house.server.records() if r["event"] == "sip_message"]
        rungs = [r["ladder"].split()[1:] for r in records if r.get("sip_call_id") == call.call_id]
        shown = [" ".join(rung[:1] + rung[2:]) for rung in rungs]
        for rung in (f"<-- INVITE {house.uri('room')}", "--> 200 OK (INVITE)", "--> 200 OK (BYE)"):
            assert rung in shown, shown
        assert shown.index("--> 200 OK (INVITE)") < shown.index("--> 200 OK (INFO)")
        texts = "".join(r["text"] for r in records)
        assert "m=audio" in texts
        assert 0 < texts.index("algorithm=SHA-256") < texts.index("algorithm=MD5"), (
            "in the order of the setting"
        )
        assert "Digest username" not in house.server.log and "Signal=7" not in house.server.log
    finally:
        await house.close()
