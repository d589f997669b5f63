"""The registrar's copy on disk."""

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from mixminus import registrations
from mixminus.registrations import FILE, Registrations
from sip.flow import Flow
from sip.registrar import Contact, Registrar
from tests.support.eventually import eventually

FLOW = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.1", 40000))


def register(registrar: Registrar, user: str) -> None:
    now = asyncio.get_running_loop().time()
    contact = Contact(f"sip:{user}@127.0.0.1:40000")
    registrar.register(user, [contact], call_id=user, cseq=1, source=FLOW, now=now)


async def restarted(directory: Path) -> Registrar:
    registrar = Registrar()
    keeper = Registrations(registrar, directory)
    await keeper.start()
    await keeper.close()
    return registrar


async def test_what_was_registered_is_there_after_an_orderly_restart(tmp_path: Path) -> None:
    registrar = Registrar()
    keeper = Registrations(registrar, tmp_path / "data")
    await keeper.start()
    register(registrar, "alice")
    await keeper.close()
    after = await restarted(tmp_path / "data")
    assert after.contacts("alice", asyncio.get_running_loop().time())[0].source == FLOW


async def test_the_file_is_its_owners_alone_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    registrar = Registrar()
    keeper = Registrations(registrar, tmp_path)
    await keeper.start()
    register(registrar, "alice")
    await keeper.close()
    assert os.listdir(tmp_path) == [FILE]
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


async def test_a_crash_loses_a_few_seconds_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registrations, "_SECONDS", 0.01)
    registrar = Registrar()
    keeper = Registrations(registrar, tmp_path)
    await keeper.start()
    register(registrar, "alice")
    await eventually((tmp_path / FILE).exists)
    assert json.loads((tmp_path / FILE).read_text())["bindings"][0]["user"] == "alice"
    await keeper.close()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe"])
async def test_a_file_that_cannot_be_used_stops_nobody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    registrar = await restarted(tmp_path)
    assert list(registrar.all(0.0)) == []
    assert (tmp_path / FILE).read_bytes() == content


async def test_a_folder_that_cannot_be_written_is_only_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    registrar = Registrar()
    keeper = Registrations(registrar, tmp_path / "file")
    await keeper.start()
    register(registrar, "alice")
    await keeper.close()
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "registrations_unwritable"
    ]
