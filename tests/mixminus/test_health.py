"""What a server says of itself while it begins and ends."""

from pathlib import Path

from mixminus.config import load
from mixminus.server import Server


async def test_who_is_told_to_stop_while_he_starts_says_that_he_stops(tmp_path: Path) -> None:
    server = Server(load(None, {"MIXMINUS_DATA__DIRECTORY": f'"{tmp_path}"'}))
    assert server.health()["status"] == "starting"
    server.expect_stop()
    assert server.health()["status"] == "stopping"
