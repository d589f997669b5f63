"""After 500 calls everything is where it was: calls, rows, ports, tasks, files, memory within reason."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.phone import Phone
from tests.support.sounds import SILENCE
from tests.support.studio import Studio
from tests.support.webhook import Reply, bxml

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS = 500
NO_CODEC = (
    b"v=0\r\no=b 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18\r\n"
)
LIVE = [
    *("mixminus_calls", "mixminus_conferences", "mixminus_members", "mixminus_media_legs"),
    *("mixminus_media_plays", "mixminus_sip_sessions", "mixminus_sip_dialogs", "mixminus_webhooks_waiting"),
]
# Over UDP a transaction absorbs repetitions for 64 times T1 after its end.
LINGERING = ["mixminus_sip_transactions", "mixminus_sip_timers"]


def memory(pid: int) -> int:
    """Resident kB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found.group(1))


async def one_call(house: House, phone: Phone, number: int) -> None:
    """One of six lives: normal, cancelled, refused, ended by a bad document, ended by the server."""
    kind = number % 6
    if kind == 3:
        assert await phone.invite(house.uri("leak"), body=NO_CODEC).refused() == 488
        return
    user = {2: "slow", 4: "bad", 5: "brief"}.get(kind, f"leak-{number % 7}")
    call = phone.invite(house.uri(user))
    if kind == 2:
        await eventually(lambda: call.provisional, what=call.story)
        await call.cancel()
        assert await call.refused() == 487
    elif kind in (4, 5):
        await eventually(lambda: call.state == "ended", what=call.story)
    else:
        await call.answered()
        await eventually(lambda: len(call.line.received) > 3)
        await call.bye()
    await call.close()


async def test_nothing_is_left_behind_by_500_calls(studio: Studio) -> None:
    house = await House.open(callback_timeout=5)
    try:
        slow = Reply(bxml('<Pause duration="1"/>').encode(), delay=1.0)
        house.application.on("initiate", slow, user="slow")
        house.tell("bad", "<Nonsense/>")
        house.tell("brief", '<Pause duration="0.1"/><Hangup/>')
        phones = [await studio.phone(f"p{n}", house.server.sip, sound=SILENCE) for n in range(10)]

        async def run(calls: int) -> None:
            numbers = iter(range(calls))

            async def worker(phone: Phone) -> None:
                for number in numbers:
                    await one_call(house, phone, number)

            await asyncio.gather(*(worker(phone) for phone in phones))

        async def nothing_of(names: list[str]) -> None:
            def gone() -> bool:
                found = house.server.metrics()
                live = {name: found[name] for name in names if found[name]}
                assert not live, live
                return True

            await eventually(gone, within=45, every=0.3)

        await run(60)  # what is made once is made: prompts, pools, pages
        await nothing_of(LIVE)
        tasks = house.server.metrics()["mixminus_tasks"]
        files = house.server.descriptors()
        resident = {pid: memory(pid) for pid in files}
        await run(CALLS)
        await nothing_of(LIVE + LINGERING)
        # The connections that webhooks and scrapes keep open have a task each, and come and go.
        await eventually(lambda: house.server.metrics()["mixminus_tasks"] <= tasks + 2)

        def same_files() -> bool:
            now = house.server.descriptors()
            assert all(now[pid] <= files[pid] + 2 for pid in files), (files, now)
            return True

        await eventually(same_files, every=0.3)
        for pid, kilobytes in resident.items():
            assert memory(pid) < kilobytes + 25_000, f"{pid} grew from {kilobytes} kB to {memory(pid)}"
        told = house.application.of("disconnect")
        assert len({event["callId"] for event in told}) == len(told), "one disconnect for each call"
    finally:
        await house.close()
