"""examples/pin.py, waiting.py and announcements.py, each a process of its own, as their callers hear them."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.ears import all_hear_the_others, hears, voices
from tests.support.eventually import eventually
from tests.support.free_ports import free_port
from tests.support.phone import PhoneCall
from tests.support.prompts import spoken
from tests.support.server import ACCOUNT, PASSWORD, USER, Server
from tests.support.studio import Studio
from tests.support.tones import level

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NUMBERS = {"pin": ["standup"], "waiting": ["*lounge"], "announcements": ["talk"]}


@dataclass
class Theatre:
    """One server, for which each example is the application of some users."""

    server: Server
    examples: dict[str, Process]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theatre() -> AsyncIterator[Theatre]:
    ports = {name: free_port() for name in NUMBERS}
    applications = [
        {
            "id": f"application-{name}",
            "account": ACCOUNT,
            "numbers": numbers,
            "call_initiated_url": f"http://127.0.0.1:{ports[name]}/initiate",
            "call_status_url": f"http://127.0.0.1:{ports[name]}/status",
        }
        for name, numbers in NUMBERS.items()
    ]
    server = Server(sections={"applications": applications})
    environment = {**os.environ, "API": server.api, "CREDENTIALS": f"{USER}:{PASSWORD}", "SECONDS": "60"}
    examples = {
        name: await asyncio.create_subprocess_exec(
            sys.executable,
            EXAMPLES / f"{name}.py",
            str(port),
            env=environment,
            stderr=asyncio.subprocess.PIPE,
        )
        for name, port in ports.items()
    }
    try:
        await asyncio.to_thread(server.start)
        yield Theatre(server, examples)
        await asyncio.to_thread(server.stop)
    finally:
        server.close()
        for process in examples.values():
            process.kill()
            await process.communicate()


async def dial(theatre: Theatre, studio: Studio, user: str, voice: int | None = None) -> PhoneCall:
    sound = None if voice is None else voices()[voice]
    phone = await studio.phone("caller", theatre.server.sip, sound=sound)
    return await phone.dial(theatre.server.uri(user))


async def is_told(call: PhoneCall, sentence: str) -> None:
    prompt = await spoken(sentence)

    def heard() -> bool:
        score, _ = call.line.find(prompt)
        assert score > 0.9, f"{sentence!r} with {score:.2f}"
        return True

    await eventually(heard, every=0.1, what=call.story)


async def test_who_knows_the_pin_is_let_in(theatre: Theatre, studio: Studio) -> None:
    calls = [await dial(theatre, studio, "standup", voice) for voice in (0, 1)]
    calls[0].line.press("4711#", milliseconds=60)
    calls[1].line.press("4712#4711#", milliseconds=60)
    await all_hear_the_others(calls)

    stranger = await dial(theatre, studio, "standup")
    stranger.line.press("111122223333", milliseconds=60)
    await stranger.ended()
    assert stranger.line.find(await spoken("That was not right. Goodbye."))[0] > 0.9
    assert "4711" not in theatre.server.log and "2222" not in theatre.server.log


async def test_guests_hear_music_until_the_host_comes(theatre: Theatre, studio: Studio) -> None:
    async def music(call: PhoneCall, *notes: int) -> None:
        for note in notes:
            await eventually(lambda note=note: level(call.line.pcm(last=0.2), note) > 1000, what=call.story)

    early = [await dial(theatre, studio, "lounge", voice) for voice in (2, 4)]
    for call in early:
        await music(call, 392, 175, 392)  # the first chord, the third, and the first once more
    host = await dial(theatre, studio, "host-lounge", 6)
    await all_hear_the_others([*early, host])
    late = await dial(theatre, studio, "lounge", 8)
    await all_hear_the_others([*early, host, late])

    for call in (*early, host, late):
        await call.bye()
    await eventually(lambda: not theatre.server.metrics()["mixminus_webhooks_waiting"])
    await music(await dial(theatre, studio, "lounge"), 392)


async def test_who_comes_and_who_goes_is_said_to_all(theatre: Theatre, studio: Studio) -> None:
    alice = await dial(theatre, studio, "talk")
    await is_told(alice, "You are the first one here.")
    bob = await dial(theatre, studio, "talk")
    for call in (alice, bob):
        await is_told(call, "caller has joined. You are 2 now.")
    await bob.bye()
    await is_told(alice, "caller has left.")
    await hears(alice, [])
