from ipaddress import ip_address

import pytest

from net.policy import Policy, embedded, is_metadata, is_public

FORBIDDEN = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.1.1", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1", "198.18.0.1", "203.0.113.9",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fc00::1", "fd12::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "fec0::1",
    "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "2002:7f00:1::1", "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "100::1", "3fff::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1111", "2a00:1450::1"]


@pytest.mark.parametrize("text", FORBIDDEN)
def test_an_address_that_is_not_public_is_refused(text: str) -> None:
    assert Policy().refuses("app.example", 443, ip_address(text)) is not None


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_allowed(text: str) -> None:
    assert is_public(ip_address(text))
    assert Policy().refuses("app.example", 443, ip_address(text)) is None


def test_an_allowed_network_opens_itself_and_nothing_else() -> None:
    policy = Policy(allow=["10.0.0.0/8"])
    assert policy.refuses("app", 80, ip_address("10.9.9.9")) is None
    assert policy.refuses("app", 80, ip_address("::ffff:10.9.9.9")) is None
    assert policy.refuses("app", 80, ip_address("192.168.0.1")) is not None
    assert policy.refuses("app", 80, ip_address("127.0.0.1")) is not None


@pytest.mark.parametrize(
    "text",
    ["169.254.169.254", "fd00:ec2::254", "fd00:ec2::254%eth0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
     "2002:a9fe:a9fe::1", "100.100.100.200"],
)  # fmt: skip
def test_metadata_is_refused_even_where_everything_is_allowed(text: str) -> None:
    policy = Policy(allow=["0.0.0.0/0", "::/0"], named=["inside.example"])
    assert policy.refuses("other.example", 80, ip_address(text)) is not None
    assert policy.refuses("inside.example", 80, ip_address(text)) is not None


def test_metadata_is_reached_only_when_named_letter_by_letter() -> None:
    policy = Policy(named=["169.254.169.254", "fd00:ec2::254"])
    assert policy.refuses("169.254.169.254", 80, ip_address("169.254.169.254")) is None
    assert policy.refuses("[fd00:ec2::254]", 80, ip_address("fd00:ec2::254")) is None
    assert policy.refuses("sly.example", 80, ip_address("169.254.169.254")) is not None


def test_a_named_host_may_live_on_a_private_address() -> None:
    policy = Policy(named=["App.Internal", "other:9000"])
    assert policy.refuses("app.internal", 80, ip_address("10.0.0.1")) is None
    assert policy.refuses("APP.INTERNAL.", 80, ip_address("10.0.0.1")) is None
    assert policy.refuses("other", 9000, ip_address("127.0.0.1")) is None
    assert policy.refuses("other", 9001, ip_address("127.0.0.1")) is not None
    assert policy.refuses("10.0.0.1", 80, ip_address("10.0.0.1")) is not None


@pytest.mark.parametrize(
    ("port", "may"), [(80, True), (443, True), (1024, True), (65535, True), (22, False), (25, False)]
)
def test_ports_are_those_of_the_contract(port: int, may: bool) -> None:
    assert (Policy().refuses_port("app.example", port) is None) is may
    assert Policy(named=["app.example"]).refuses_port("app.example", port) is None


def test_what_a_transition_address_carries_is_seen() -> None:
    assert str(embedded(ip_address("2002:7f00:1::"))) == "127.0.0.1"
    assert str(embedded(ip_address("64:ff9b::10.0.0.1"))) == "10.0.0.1"
    assert embedded(ip_address("::1")) is None
    assert is_metadata(ip_address("::ffff:169.254.169.254"))


def test_a_network_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        Policy(allow=["10.0.0.0/99"])
