"""Where a peer's sound may come from."""

import pytest

from sip.flow import Flow


@pytest.mark.parametrize(
    "local, remote, sound_from",
    [
        ("192.0.2.10", "198.51.100.7", "198.51.100.7"),
        ("192.0.2.10", "192.0.2.10", "192.0.2.10"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "192.168.1.5", "127.0.0.1"),
        ("::1", "2001:db8::5", "::1"),
    ],
)
def test_who_calls_by_a_loopback_address_is_heard_from_there_whichever_address_he_names(
    local: str, remote: str, sound_from: str
) -> None:
    assert Flow("udp", (local, 5060), (remote, 5062)).sound_from == sound_from
