"""Who may call in, and which trunk takes a number."""

import pytest

from sip.access import Access, Admitted, MayAuthenticate, Refused, Trunk, networks, within

CARRIER = Trunk("carrier", "192.0.2.1:5070", inbound=networks(["203.0.113.0/24", "2001:db8:1::/48"]))
OFFICE = Trunk("office", "pbx.example", numbers=("+1919*", "77[0-9]"), account="9900000")


def access(**rules: object) -> Access:
    return Access(**({"allow": ["127.0.0.0/8", "::1"]} | rules))  # type: ignore[arg-type]


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "[::1]"])
def test_an_allowed_source_is_admitted(ip: str) -> None:
    assert access().admit(ip) == Admitted()


@pytest.mark.parametrize(
    "ip", ["128.0.0.1", "::2", "::ffff:10.0.0.1", "2001:db8::1", "", "localhost", "1.2.3"]
)
def test_without_users_others_are_refused(ip: str) -> None:
    assert access().admit(ip) == Refused()


def test_with_users_others_may_authenticate() -> None:
    rules = access(users={"alice": "secret"})
    assert rules.admit("192.0.2.99") == MayAuthenticate()
    assert rules.admit("127.0.0.1") == Admitted()
    assert rules.authenticator is not None
    assert access().authenticator is None


@pytest.mark.parametrize("ip", ["203.0.113.7", "2001:db8:1::9", "::ffff:203.0.113.7"])
def test_a_trunks_source_is_admitted_as_the_trunk(ip: str) -> None:
    assert access(trunks=[OFFICE, CARRIER]).admit(ip) == Admitted("carrier")


def test_a_trunk_inside_the_allowed_networks_is_still_known_as_the_trunk() -> None:
    assert access(allow=["0.0.0.0/0"], trunks=[CARRIER]).admit("203.0.113.7") == Admitted("carrier")


def test_of_two_trunks_with_one_source_the_first_is_named() -> None:
    twin = Trunk("twin", "192.0.2.2", inbound=CARRIER.inbound)
    assert access(trunks=[CARRIER, twin]).admit("203.0.113.7") == Admitted("carrier")


def test_a_trunks_host_is_no_permission_to_call_in() -> None:
    assert access(trunks=[CARRIER]).admit("192.0.2.1") == Refused()


def test_a_link_local_source_is_judged_without_its_zone() -> None:
    assert access(allow=["fe80::/10"]).admit("fe80::1%eth0") == Admitted()


def test_nothing_is_allowed_by_an_empty_list() -> None:
    assert access(allow=[]).admit("127.0.0.1") == Refused()


@pytest.mark.parametrize(
    ("number", "account", "trunk"),
    [
        ("+19195551234", "9900000", "office"),
        ("+19195551234", "other", "carrier"),
        ("775", "9900000", "office"),
        ("77x", "9900000", "carrier"),
        ("+442071838750", "9900000", "carrier"),
    ],
)
def test_the_first_trunk_that_matches_and_may_be_used_takes_the_number(
    number: str, account: str, trunk: str
) -> None:
    assert access(trunks=[OFFICE, CARRIER]).trunks_for(number, account)[0].name == trunk


def test_every_trunk_that_matches_may_take_it_in_order() -> None:
    found = access(trunks=[OFFICE, CARRIER]).trunks_for("+19195551234", "9900000")
    assert [trunk.name for trunk in found] == ["office", "carrier"]


@pytest.mark.parametrize(
    ("strip", "prefix", "number", "sent"),
    [
        ("", "", "+19195551234", "+19195551234"),
        ("+", "", "+19195551234", "19195551234"),
        ("+", "00", "+442071838750", "00442071838750"),
        ("+1", "9", "+442071838750", "9+442071838750"),
        ("", "7#", "+1", "7#+1"),
    ],
)
def test_a_number_is_rewritten_as_the_trunk_wants_it(strip: str, prefix: str, number: str, sent: str) -> None:
    assert Trunk("t", "h", strip=strip, prefix=prefix).rewritten(number) == sent


def test_a_number_that_no_trunk_takes_has_none() -> None:
    assert access(trunks=[OFFICE]).trunks_for("+442071838750", "9900000") == []
    assert access().trunks_for("1", "9900000") == []


def test_patterns_are_case_sensitive() -> None:
    rules = access(trunks=[Trunk("t", "h", numbers=("Room-*",))])
    assert rules.trunks_for("Room-1", "")
    assert rules.trunks_for("room-1", "") == []


def test_a_trunk_without_a_user_has_no_credentials() -> None:
    assert CARRIER.credentials is None
    assert Trunk("t", "h", username="u", password="p").credentials == ("u", "p")


def test_no_password_is_in_a_repr() -> None:
    trunk = Trunk("t", "h", username="u", password="hush")
    assert "hush" not in repr(trunk)
    assert "hush" not in repr(Access(trunks=[trunk], users={"alice": "hush"}))


def test_host_bits_of_a_network_are_dropped_and_nonsense_is_named() -> None:
    assert within("10.9.9.9", networks(["10.1.2.3/8"]))
    with pytest.raises(ValueError, match="nonsense"):
        networks(["10.0.0.0/8", "nonsense"])


def test_other_trunks_and_users_count_from_then_on_and_the_rest_stays() -> None:
    rules = Access(allow=["10.0.0.0/8"], trunks=[OFFICE], users={"alice": "secret"}, algorithms=("SHA-256",))
    before = rules.authenticator
    rules.adopt([CARRIER], {"alice": "secret"})
    assert rules.authenticator is before, "who is being challenged may still answer"
    assert [trunk.name for trunk in rules.trunks] == ["carrier"]
    rules.adopt([CARRIER], {"bob": "other"})
    assert rules.authenticator is not before and rules.authenticator is not None
    assert [challenge.count("SHA-256") for challenge in rules.authenticator.challenges(0.0)] == [1]
    rules.adopt([], {})
    assert rules.authenticator is None and rules.admit("10.1.1.1") == Admitted()


def test_a_calling_number_is_rewritten_and_a_name_is_not() -> None:
    trunk = Trunk("t", "h", strip="+", prefix="99#", caller_strip="+", caller_prefix="00")
    assert trunk.introduced("+442071838750") == "00442071838750"
    assert trunk.introduced("Anonymous") == "Anonymous" and trunk.introduced("alice") == "alice"
    assert Trunk("t", "h", strip="+", prefix="99#").introduced("+1") == "+1"
