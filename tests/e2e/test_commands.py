"""The commands that start nothing."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import Server, command


def test_version_and_check_answer() -> None:
    version = subprocess.run([*command(), "--version"], capture_output=True, text=True, timeout=60)
    assert version.returncode == 0
    assert re.search(r"\d+\.\d+\.\d+", version.stdout)
    good = subprocess.run([*command(), "check"], capture_output=True, text=True, timeout=60)
    assert good.returncode == 0, good.stderr


def test_check_names_what_is_wrong_by_key_and_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('[sip]\nlisten = ["udp:127.0.0.1:5060"]\nalow = []\n\n[rtp]\nsilence_hangup = "never"\n')
    found = subprocess.run(
        [*command(), "check", "--config", str(file)], capture_output=True, text=True, timeout=60
    )
    said = found.stdout + found.stderr
    assert found.returncode == 2
    assert "alow" in said and "silence_hangup" in said
    assert ":3" in said and ":6" in said


def test_check_names_the_application_whose_document_is_bad(tmp_path: Path) -> None:
    (tmp_path / "welcome.xml").write_text("<Response><Foo/></Response>")
    file = tmp_path / "bad.toml"
    application = 'id = "3f1d4c4e-7b1b-4d0c-8f7e-000000000001"\naccount = "9900000"\nnumbers = ["*"]\n'
    file.write_text(f'[[applications]]\n{application}bxml = "welcome.xml"\n')
    found = subprocess.run(
        [*command(), "check", "--config", str(file)], capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 2
    assert ":5: applications[0].bxml: " in found.stderr and "welcome.xml:1:11: <Foo>" in found.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_server_is_still_being_loaded_ends_it_properly(number: signal.Signals) -> None:
    free = Server(bare=True)
    loading = [sys.executable, "-X", "importtime", "-m", "mixminus", "serve"]
    with subprocess.Popen(loading, env=free.environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "tomllib" not in process.stderr.readline():
            pass  # what reads the configuration is being loaded, the server comes later
        process.send_signal(number)
        said = process.stderr.read()
    free.close()
    assert process.returncode == 0
    assert "Traceback" not in said


def test_a_signal_is_heeded_in_an_import_that_takes_every_exception_for_a_missing_library(
    tmp_path: Path,
) -> None:
    (tmp_path / "tomllib.py").write_text(
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM)\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "except BaseException:\n    pass\n"
        "def loads(text): return {}\n"
    )
    free = Server(bare=True)
    found = subprocess.run(
        [sys.executable, "-c", "import sys; from mixminus.cli import main; sys.exit(main(['serve']))"],
        env=free.environment | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    free.close()
    assert (found.returncode, found.stderr) == (0, "")
