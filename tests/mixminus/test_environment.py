"""The environment: it wins over the file, and what is wrong with it is said by variable."""

from dataclasses import replace
from pathlib import Path

import pytest

from mixminus.config import ConfigError, load
from tests.mixminus.files import EVERYTHING, complaints, read


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    environ = {
        "MIXMINUS_SIP__LISTEN": '["udp:0.0.0.0:5060"]',
        "MIXMINUS_RTP__ADDRESS": '"0.0.0.0"',
        "PATH": "x",
    }
    config = read(tmp_path, EVERYTHING, environ)
    assert config.sip.listen == ("udp:0.0.0.0:5060",)
    assert config.rtp.address == "0.0.0.0"
    assert config.sip.allow == load(None, {}).sip.allow


def test_arrays_of_tables_come_from_the_environment_whole(tmp_path: Path) -> None:
    config = read(
        tmp_path, EVERYTHING, {"MIXMINUS_USERS": '[{name="a", password="b"}, {name="c", password="d"}]'}
    )
    assert [user.name for user in config.users] == ["a", "c"]


def test_numbers_and_flags_of_the_environment_are_toml() -> None:
    config = load(None, {"MIXMINUS_CONFERENCE__COACHES": "0", "MIXMINUS_WEBHOOKS__REQUIRE_HTTPS": "true"})
    assert (config.conference.coaches, config.webhooks.require_https) == (0, True)


def test_variables_of_others_are_left_alone() -> None:
    others = {"MIXMINUS_SERVICE_HOST": "10.0.0.1", "MIXMINUS_PORT": "tcp://x", "MIXMINUS_SIP": "1"}
    assert load(None, others) == load(None, {})


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("MIXMINUS_SIP_LISTEN", "MIXMINUS_SIP__LISTEN"),
        ("MIXMINUS_HTTP_PUBLICURL", "MIXMINUS_HTTP__PUBLIC_URL"),
        ("MIXMINUS_CONFERENCE_MAX_HOURS", "MIXMINUS_CONFERENCE__MAX_HOURS"),
        ("MIXMINUS_USERS_PASSWORD", "MIXMINUS_USERS"),
    ],
)
def test_one_underscore_where_two_are_meant_is_a_warning(variable: str, meant: str) -> None:
    config = load(None, {variable: "'word'"})
    assert config.warnings == (f"{variable}: has no effect, did you mean {meant}?",)
    assert replace(config, warnings=()) == load(None, {})


@pytest.mark.parametrize("service", ["MIXMINUS", "MIXMINUS_SIP", "MIXMINUS_HTTP", "MIXMINUS_SERVER"])
def test_what_kubernetes_makes_of_a_services_name_is_silent(service: str) -> None:
    made = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_SIP", "PORT", "PORT_5060_UDP", "PORT_5060_UDP_ADDR",
            "PORT_5060_UDP_PORT", "PORT_5060_UDP_PROTO")  # fmt: skip
    assert load(None, {f"{service}_{name}": "udp://10.0.0.1:5060" for name in made}) == load(None, {})


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "MIXMINUS_SIP__LISTEN",
            "udp:0.0.0.0:5060",
            "sip.listen: expected a TOML value: a text needs quotes",
        ),
        ("MIXMINUS_SIP__LISTEN", '["udp:0.0.0.0:5060"]\nx = 1', "sip.listen: expected a TOML value"),
        ("MIXMINUS_SIP__LISTEN", "", "sip.listen: expected a TOML value"),
        ("MIXMINUS_SIP__LISTEN", "5060", "sip.listen: expected a list such as"),
        ("MIXMINUS_SIP__LISTN", "[]", "sip.listn: unknown key, did you mean listen?"),
        ("MIXMINUS_SPI__LISTEN", "[]", "spi: unknown section, did you mean [sip]?"),
        ("MIXMINUS_USER", "[]", "user: unknown, did you mean MIXMINUS_USERS?"),
        ("MIXMINUS_USERS__NAME", '"x"', "users.name: expected MIXMINUS_USERS with an array of tables"),
        ("MIXMINUS_USERS", "3", "users: expected an array of tables"),
        ("MIXMINUS_USERS", "[3]", "users[0]: expected a table of keys and values"),
        ("MIXMINUS_USERS", '[{name="a"}]', "users[0].password: is missing"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {variable: value})
    assert str(caught.value).startswith(f"{variable}: {said}")
    assert "\n" not in str(caught.value)


def test_a_variable_is_blamed_and_not_the_line_it_replaces(tmp_path: Path) -> None:
    (said,) = complaints(tmp_path, EVERYTHING, {"MIXMINUS_USERS": '[{name="alice", password=""}]'})
    assert said.startswith("MIXMINUS_USERS: users[0].password: expected")
