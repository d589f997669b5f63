"""The commands that start nothing."""

import re
import subprocess
from pathlib import Path

from tests.support.server import command


def test_version_and_check_answer() -> None:
    version = subprocess.run([*command(), "--version"], capture_output=True, text=True, timeout=20)
    assert version.returncode == 0
    assert re.search(r"\d+\.\d+\.\d+", version.stdout)
    good = subprocess.run([*command(), "check"], capture_output=True, text=True, timeout=20)
    assert good.returncode == 0, good.stderr


def test_check_names_what_is_wrong_by_key_and_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('[sip]\nlisten = ["udp:127.0.0.1:5060"]\nalow = []\n\n[rtp]\nsilence_hangup = "never"\n')
    found = subprocess.run(
        [*command(), "check", "--config", str(file)], capture_output=True, text=True, timeout=20
    )
    said = found.stdout + found.stderr
    assert found.returncode == 2
    assert "alow" in said and "silence_hangup" in said
    assert ":3" in said and ":6" in said
