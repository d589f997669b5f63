import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from speech.engine import Voice
from speech.jobs import Decode, Speak
from speech.process import JobFailed, Worker, WorkerLost
from tests.speech.files import peak, tone, wav
from tests.speech.processes import alive, children, environment
from tests.support.eventually import PATIENCE, eventually

ROOT = Path(__file__).parents[2]
ANNA = Voice("", "female", "en_US")


@pytest.fixture
def importable(monkeypatch):
    """The worker finds this folder's engines too."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
async def worker(importable):
    worker = Worker("tests.speech.engines:Obedient")
    await worker.start()
    yield worker
    await worker.close()
    assert worker.pids == []


def speak(text: str, deadline: int = 60) -> Speak:
    return Speak(f"<speak>{text}</speak>", ANNA, 8000, 60.0, deadline)


@pytest.mark.parametrize("order", ["crash", "raise", "spin"])
async def test_a_job_that_dies_takes_only_itself_along(worker, order):
    pids = worker.pids
    with pytest.raises(WorkerLost):
        await worker.run(speak(order, deadline=1))
    assert len(await worker.run(speak("well"))) == 16000
    assert worker.pids == pids


async def test_an_error_of_the_engine_is_seen_in_the_log_and_a_librarys_remark_is_not(importable, capfd):
    worker = Worker("tests.speech.engines:Obedient")
    await worker.start()
    with pytest.raises(WorkerLost):
        await worker.run(speak("chat and raise"))
    said = []
    await eventually(lambda: said.append(capfd.readouterr().err) or "engine's own" in "".join(said))
    assert "remark" not in "".join(said)
    await worker.close()


async def test_a_job_that_hangs_ends_at_its_deadline_while_others_go_on(worker):
    hanging = asyncio.create_task(worker.run(speak("hang", deadline=2)))
    assert len(await worker.run(speak("well"))) == 16000
    assert not hanging.done()
    with pytest.raises(WorkerLost, match="longer than 2 seconds"):
        await hanging


async def test_a_job_that_eats_memory_is_told_apart(worker):
    with pytest.raises(JobFailed, match="too much memory"):
        await worker.run(speak("eat"))


async def test_the_reason_of_a_refusal_arrives(worker):
    with pytest.raises(JobFailed, match="that I do not say"):
        await worker.run(speak("refuse"))


async def test_a_killed_worker_is_started_again_and_its_job_fails_at_once(worker, caplog):
    (first,) = worker.pids
    async with asyncio.timeout(PATIENCE):
        hanging = asyncio.create_task(worker.run(speak("hang", deadline=30)))
        await eventually(lambda: children(first))
        os.kill(first, signal.SIGKILL)
        with pytest.raises(WorkerLost):
            await hanging
        assert len(await worker.run(speak("well"))) == 16000
    assert worker.pids != [first]
    assert worker.deaths == 1
    assert "speech_worker_died" in caplog.text


async def test_a_signal_to_the_group_leaves_the_worker_to_control(worker):
    (pid,) = worker.pids
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGINT)
    assert len(await worker.run(speak("well"))) == 16000
    assert worker.pids == [pid]


async def test_an_abandoned_job_harms_nobody(worker):
    abandoned = asyncio.create_task(worker.run(speak("hang")))
    await eventually(lambda: children(worker.pids[0]))
    abandoned.cancel()
    with pytest.raises(asyncio.CancelledError):
        await abandoned
    assert len(await worker.run(speak("well"))) == 16000


async def test_a_megabyte_of_audio_goes_there_and_back(worker):
    data = wav(tone(1000, 60, 44100), rate=44100)
    samples = await worker.run(Decode("wav", 8000, 3600.0, 20), data)
    assert len(samples) == 16000 * 60
    assert peak(samples) == pytest.approx(1000, abs=1)


async def test_many_jobs_at_once_all_get_their_own_answer(worker):
    files = {frequency: wav(tone(frequency, 1, 8000)) for frequency in range(300, 3300, 200)}
    answers = await asyncio.gather(
        *(worker.run(Decode("wav", 8000, 9.0, 9), data) for data in files.values())
    )
    assert [round(peak(answer)) for answer in answers] == list(files)


async def test_forks_leave_no_zombies_and_no_files_open(worker):
    (pid,) = worker.pids
    await worker.run(speak("well"))
    before = sorted(os.listdir(f"/proc/{pid}/fd"))
    own = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        await worker.run(speak("well"))
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == before
    assert len(os.listdir("/proc/self/fd")) == own
    await eventually(lambda: not children(pid))


async def test_the_worker_gets_none_of_our_secrets(importable, monkeypatch):
    monkeypatch.setenv("MIXMINUS_ACCOUNTS", "canary")
    worker = Worker("tests.speech.engines:Obedient")
    await worker.start()
    assert b"canary" not in environment(worker.pids[0])
    await worker.close()


async def test_a_worker_ends_when_control_dies(importable):
    script = (
        "import asyncio, os\n"
        "from speech.process import Worker\n"
        "async def main():\n"
        "    worker = Worker('tests.speech.engines:Obedient')\n"
        "    await worker.start()\n"
        "    os.write(1, str(worker.pids[0]).encode())\n"
        "    os._exit(9)\n"
        "asyncio.run(main())\n"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, timeout=PATIENCE
    )
    pid = int(done.stdout)
    await eventually(lambda: not alive(pid), what="the worker has ended")


async def test_a_signal_to_our_group_does_not_reach_a_worker_that_is_still_being_loaded(worker):
    (pid,) = worker.pids
    assert os.getpgid(pid) != os.getpgid(0)


@pytest.mark.parametrize(
    "engine", ["tests.speech.engines:Broken", "tests.speech.engines:None", "nowhere:Engine"]
)
async def test_an_engine_that_does_not_load_is_said_at_the_start(importable, engine, capfd):
    worker = Worker(engine)
    with pytest.raises(ChildProcessError, match=engine):
        await worker.start()
    assert worker.pids == []
    assert "Error" in capfd.readouterr().err
    await worker.close()
