"""The media process starts, dies, hangs, is signalled and replaced, and ends."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media.client import MediaDown, MediaLost, MediaReady, PlaybackLost
from media.supervisor import pause_after
from tests.support.eventually import eventually
from tests.support.free_ports import free_range
from tests.support.media_house import House, hears_exactly
from tests.support.sounds import noise

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with House() as house:
        yield house


async def test_the_start_is_told_and_the_figures_can_be_read(house: House) -> None:
    (pid,) = house.media.pids
    await eventually(lambda: house.told(MediaReady) == [MediaReady(pid)])
    await eventually(lambda: house.media.statistics()["beats"] > 20)
    figures = house.media.statistics()
    assert figures["legs"] == 0
    assert 0 < figures["lateness_p50"] <= figures["lateness_p99"] <= figures["lateness_max"]
    bounds, counts = zip(*house.media.histograms()["lateness"], strict=True)
    assert list(bounds) == sorted(set(bounds)) and list(counts) == sorted(counts)
    assert bounds[0] < 0.000002 and bounds[-1] > 0.06, "from a microsecond to three beats"
    assert counts[-1] >= figures["beats"] - figures["skipped_beats"]


async def test_a_killed_process_is_replaced_and_says_whose_legs_are_lost(house: House) -> None:
    phone = house.phone(410)
    leg = phone.dial()
    playback = house.media.play(leg, noise(5, 10.0).tobytes())
    await eventually(lambda: house.media.statistics()["packets_received"] > 5)
    (pid,) = house.media.pids
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(PlaybackLost, match="lost"):
        await playback.done
    await eventually(lambda: house.told(MediaLost))
    assert house.told(MediaLost) == [MediaLost((leg.id,), "killed by signal 9")]
    if not house.media.pids or len(house.told(MediaReady)) < 2:
        with pytest.raises(MediaDown):
            house.media.open_leg(signalling=None, remote=None)
    house.media.flags(leg, mute=True, hold=False)  # a leg that is gone: nothing happens
    house.media.close_leg(leg)
    await eventually(lambda: len(house.told(MediaReady)) == 2)
    assert house.media.pids != [pid]
    phones = [house.phone(670), house.phone(970)]
    for each in phones:
        house.media.seat(each.dial(), 1)
    await hears_exactly(phones[0], {970})
    await hears_exactly(phones[1], {670})


async def test_a_process_that_has_closed_its_channel_takes_no_legs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("media.supervisor.Supervisor._watch", never)  # its end has not been noticed yet
    async with House() as house:
        os.kill(house.media.pids[0], signal.SIGKILL)
        await eventually(lambda: not house.media.ready)
        with pytest.raises(MediaDown):
            house.media.open_leg(signalling=None, remote=None)


async def test_the_dead_processs_sources_are_kept_out_of_the_next_ones_calls() -> None:
    async with House(ports=free_range(2)) as house:
        late = house.phone(410)
        late.dial(sdp=("192.168.1.1", 5004))
        await eventually(lambda: house.media.statistics()["packets_received"] > 5)
        os.kill(house.media.pids[0], signal.SIGKILL)
        await eventually(lambda: len(house.told(MediaReady)) == 2)
        phones = [house.phone(670), house.phone(970)]
        house.media.seat(phones[0].dial(sdp=("192.168.1.2", 5004)), 1)
        phones[0].line.sending = False  # while it waits to be heard, the late one is all there is to learn
        house.media.seat(phones[1].dial(), 1)
        await eventually(lambda: house.media.statistics()["dropped_late"] > 5)
        assert phones[1].hears() == set()
        phones[0].line.sending = True
        await hears_exactly(phones[1], {670})
        await hears_exactly(phones[0], {970})


async def test_a_process_that_stops_beating_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async with House() as house:
        await eventually(lambda: house.media.statistics()["beats"] > 10)
        os.kill(house.media.pids[0], signal.SIGSTOP)
        with monkeypatch.context() as impatient:
            impatient.setattr("media.supervisor.STUCK_SECONDS", 1.0)
            await eventually(lambda: house.told(MediaLost))
        await eventually(lambda: len(house.told(MediaReady)) == 2)
        assert house.told(MediaLost) == [MediaLost((), "killed by signal 9")]


async def test_signals_to_the_media_process_are_ignored(house: House) -> None:
    (pid,) = house.media.pids
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    phone = house.phone()
    phone.dial()
    await eventually(lambda: len(phone.line.received) > 10)
    assert house.media.pids == [pid]
    assert house.told(MediaLost) == []


async def test_the_media_process_ends_when_control_has(tmp_path: Path) -> None:
    script = tmp_path / "control.py"
    script.write_text(
        "import asyncio\n"
        "from media.client import MediaClient, MediaConfig\n"
        "async def main():\n"
        f"    client = MediaClient(MediaConfig(ports='{free_range(4)}'), lambda event: None)\n"
        "    await client.start()\n"
        "    print(client.pids[0], flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    control = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert control.stdout is not None
    pid = int(await asyncio.wait_for(control.stdout.readline(), 60))
    control.kill()
    await control.wait()

    def gone() -> bool:
        try:
            return " Z " in Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            return True

    await eventually(gone)


async def test_a_closed_client_leaves_no_process_and_no_port() -> None:
    ports = free_range(8)
    for _ in range(2):
        async with House(ports=ports) as house:
            (pid,) = house.media.pids
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_folder_named_media_where_the_server_runs_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "__init__.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    async with House(ports=free_range(2)) as house:
        assert house.media.pids


def test_only_processes_that_end_as_they_begin_are_waited_with() -> None:
    pauses = [0.0]
    for lived in (60.0, 1.5, 0.3, 0.3, 0.3, 1.5, 0.3):
        pauses.append(pause_after(lived, pauses[-1]))
    assert pauses[1:] == [0.0, 0.0, 0.25, 0.5, 1.0, 0.0, 0.25]
