"""The second G.711 against the figures of the recommendation's tables."""

import numpy as np
import pytest

from tests.support import g711


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_every_code_comes_back(law: str) -> None:
    codes = np.arange(256, dtype=np.uint8)
    again = np.frombuffer(g711.encode(law, g711.decode(law, codes.tobytes())), np.uint8)
    different = codes[codes != again]
    assert different.tolist() == ([0x7F] if law == "PCMU" else [])  # minus zero is plus zero


def test_known_values() -> None:
    """G.711 tables 1a and 2a: the ends of the scale, the first steps, an edge where the step doubles."""
    assert g711.decode("PCMU", b"\x00\x80\xff\x7e").tolist() == [-32124, 32124, 0, -8]
    assert g711.decode("PCMA", b"\x2a\xaa\xd5\x55").tolist() == [-32256, 32256, 8, -8]
    edge = g711.encode("PCMU", [8059, 8060])
    assert edge[0] == edge[1] + 1
    assert g711.encode("PCMU", [0, 32767, -32768]) == b"\xff\x80\x00"
    assert g711.encode("PCMA", [0, 32767, -32768]) == b"\xd5\xaa\x2a"
