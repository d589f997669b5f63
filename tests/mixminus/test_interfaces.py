"""The subnets of this machine."""

import sys
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from mixminus import interfaces

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")


@linux
def test_loopback_has_its_subnet() -> None:
    assert interfaces.subnet("127.0.0.1") == ip_network("127.0.0.0/8")


def test_an_address_of_nobody_here_has_none() -> None:
    assert interfaces.subnet("203.0.113.77") is None
    assert interfaces.subnet("2001:db8::77") is None


@linux
def test_an_ipv6_address_has_its_subnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "if_inet6"
    table.write_text(f"{ip_address('2001:db8::7').packed.hex()} 02 40 00 80     eth0\n")
    monkeypatch.setattr(interfaces, "_IF_INET6", table)
    assert interfaces.subnet("2001:db8::7") == ip_network("2001:db8::/64")
    assert interfaces.subnet("2001:db8::8") is None


@linux
def test_a_kernel_without_ipv6_knows_no_subnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interfaces, "_IF_INET6", tmp_path / "none")
    assert interfaces.subnet("::1") is None
