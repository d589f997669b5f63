"""The configuration: its defaults, what a file changes about them, and what follows from what."""

from dataclasses import FrozenInstanceError, fields
from ipaddress import ip_network
from pathlib import Path

import pytest

from mixminus.config import ARRAYS, TABLES, ConfigError, load
from mixminus.settings import Account, Application, Trunk, User
from tests.mixminus.files import ACCOUNT, EVERYTHING, complaints, read
from tests.support.certificates import Authority

# Defaults


def test_without_a_file_everything_listens_on_loopback() -> None:
    config = load(None, {})
    assert config.sip.listen == ("udp:127.0.0.1:5060", "tcp:127.0.0.1:5060")
    assert config.sip.allow == (ip_network("127.0.0.0/8"), ip_network("::1"))
    assert (config.sip.advertise, config.rtp.address, config.rtp.ports) == ("", "127.0.0.1", "20000-20127")
    assert (config.http.listen, config.http.public_url) == (("127.0.0.1", 8080), "http://127.0.0.1:8080")
    assert config.data.directory == Path.cwd() / "var"
    assert (config.conference.members, config.conference.coaches, config.conference.max_hours) == (0, 1, 24)
    assert (config.rtp.silence_hangup, config.server.drain) == (0, 0)
    assert (config.webhooks.allow, config.webhooks.require_https) == ((ip_network("127.0.0.0/8"),), False)
    assert (config.users, config.trunks, config.warnings) == ((), (), ())


def test_without_a_file_there_is_a_demo_account_that_needs_a_password() -> None:
    config = load(None, {})
    assert [(a.id, a.username) for a in config.accounts] == [("9900000", "demo")]
    assert config.needs_password
    ready = config.with_password("made")
    assert ready.accounts[0].password == "made"
    assert not ready.needs_password


def test_without_a_file_every_number_reaches_the_built_in_application() -> None:
    (application,) = load(None, {}).applications
    assert application.id == "3f1d4c4e-7b1b-4d0c-8f7e-000000000001"
    assert (application.account, application.numbers) == ("9900000", ("*",))
    assert application.bxml is None and not application.urls


def test_a_section_absent_from_a_file_keeps_its_default(tmp_path: Path) -> None:
    config = read(tmp_path, "[conference]\nmembers = 5\n")
    assert config.conference.members == 5
    assert config.accounts[0].username == "demo"
    assert config.sip == load(None, {}).sip


def test_the_built_in_application_belongs_to_the_first_account(tmp_path: Path) -> None:
    config = read(tmp_path, ACCOUNT)
    assert not config.needs_password
    assert [a.account for a in config.applications] == ["5000"]


def test_the_defaults_written_out_are_the_defaults(tmp_path: Path) -> None:
    config = read(tmp_path, EVERYTHING)
    default = load(None, {})
    for section in ("sip", "rtp", "http", "conference", "server", "webhooks"):
        assert getattr(config, section) == getattr(default, section)


def test_every_key_can_be_written(tmp_path: Path) -> None:
    config = read(tmp_path, EVERYTHING)
    assert config.accounts == (Account(id="9900000", username="demo", password="secret"),)
    assert config.applications[0].numbers == ("+19195551234", "room-*", "*")
    assert config.applications[0].urls == {"call_initiated_url": "http://127.0.0.1:9000/initiate"}
    assert config.users == (User(name="alice", password="secret"),)
    (trunk,) = config.trunks
    assert (trunk.name, trunk.host, trunk.transport) == ("carrier", "127.0.0.1:5070", "udp")
    assert trunk.inbound == (ip_network("203.0.113.0/24"),)


def test_no_key_is_left_out_of_the_full_example() -> None:
    written = {line.split("=")[0].strip() for line in EVERYTHING.splitlines() if "=" in line}
    known = {field.name for shape in (*TABLES.values(), *ARRAYS.values()) for field in fields(shape)}
    assert known - written == {"bxml"}
    assert written <= known


def test_every_key_is_described() -> None:
    for shape in (*TABLES.values(), *ARRAYS.values()):
        for field in fields(shape):
            assert field.metadata["doc"], field.name


# Paths, URLs, what follows from what


def test_relative_paths_start_at_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "welcome.xml").write_text("<Response/>")
    config = read(
        tmp_path,
        '[data]\ndirectory = "keep"\n'
        + ACCOUNT
        + '[[applications]]\nid = "x"\naccount = "5000"\nbxml = "welcome.xml"',
    )
    assert config.data.directory == tmp_path / "keep"
    assert config.applications[0].bxml == tmp_path / "welcome.xml"


def test_without_a_file_relative_paths_start_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(None, {}).data.directory == tmp_path / "var"
    assert load(None, {"MIXMINUS_DATA__DIRECTORY": '"/srv/mix"'}).data.directory == Path("/srv/mix")


def test_a_path_may_start_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(None, {"MIXMINUS_DATA__DIRECTORY": '"~/var"'}).data.directory == tmp_path / "var"


@pytest.mark.parametrize(
    ("listen", "public"),
    [
        ("127.0.0.1:9090", "http://127.0.0.1:9090"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("[::]:8080", "http://[::1]:8080"),
    ],
)
def test_the_public_url_follows_where_http_listens(tmp_path: Path, listen: str, public: str) -> None:
    assert read(tmp_path, f'[http]\nlisten = "{listen}"').http.public_url == public


def test_a_public_url_loses_its_last_slash(tmp_path: Path) -> None:
    assert (
        read(tmp_path, '[http]\npublic_url = "https://mix.example/"').http.public_url == "https://mix.example"
    )


def test_sip_endpoints_are_taken_apart(tmp_path: Path) -> None:
    config = read(tmp_path, '[sip]\nlisten = ["udp:[::1]:5070", "tcp:127.0.0.1:0"]')
    assert [tuple(endpoint) for endpoint in config.sip.endpoints] == [
        ("udp", "::1", 5070),
        ("tcp", "127.0.0.1", 0),
    ]
    assert config.sip.listen == ("udp:[::1]:5070", "tcp:127.0.0.1:0")


def test_certificates_stand_beside_the_file_and_open_the_transports_that_need_them(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("DNS:mix.example")
    Path(issued.certificate).rename(tmp_path / "cert.pem")
    Path(issued.private_key).rename(tmp_path / "cert.key")
    config = read(
        tmp_path,
        '[sip]\nlisten = ["tls:0.0.0.0:5061", "wss:0.0.0.0:443", "ws:127.0.0.1:8088"]\n'
        'certificate = "cert.pem"\nprivate_key = "cert.key"\norigins = ["https://a.example:8443", "*"]\n'
        '[[trunks]]\nname = "t"\nhost = "carrier.example"\ntransport = "tls"\n',
    )
    assert config.sip.certificate == tmp_path / "cert.pem" and config.sip.private_key == tmp_path / "cert.key"
    assert config.sip.origins == ("https://a.example:8443", "*") and config.trunks[0].transport == "tls"


def test_the_configuration_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        load(None, {}).sip.listen = ()  # type: ignore[misc]


# Secrets


def test_no_secret_is_in_a_repr_or_a_message(tmp_path: Path) -> None:
    text = ACCOUNT + (
        '[[users]]\nname = "a"\npassword = "hush-hush"\n'
        '[[trunks]]\nname = "t"\nhost = "h"\nusername = "u"\npassword = "hush-hush"\n'
        '[[applications]]\nid = "x"\naccount = "5000"\ncall_initiated_url = "http://h/"\n'
        'username = "u"\npassword = "hush-hush"\nfallback_username = "u"\nfallback_password = "hush-hush"\n'
    )
    assert "hush" not in repr(read(tmp_path, text))
    said = complaints(tmp_path, text.replace('"hush-hush"', '["hush-hush"]'))
    assert len(said) == 5
    assert not any("hush" in line for line in said)


@pytest.mark.parametrize("shape", [Account, Application, User, Trunk])
def test_every_password_is_a_secret(shape: type) -> None:
    for field in fields(shape):
        assert field.metadata["secret"] == (not field.repr) == ("password" in field.name)


# --address


def test_an_address_binds_sip_and_rtp_and_lets_its_neighbours_call() -> None:
    config = load(None, {}, address="127.0.0.1")
    assert config.sip.listen == ("udp:127.0.0.1:5060", "tcp:127.0.0.1:5060")
    assert config.sip.allow[-1] == ip_network("127.0.0.0/8")
    config = load(None, {}, address="10.255.254.253")
    assert config.sip.listen == ("udp:10.255.254.253:5060", "tcp:10.255.254.253:5060")
    assert config.rtp.address == "10.255.254.253"
    assert config.http.listen == ("127.0.0.1", 8080)
    assert config.sip.allow == (*load(None, {}).sip.allow, ip_network("10.255.254.253/32"))
    assert len(config.warnings) == 1 and "subnet of 10.255.254.253 is not known" in config.warnings[0]


def test_an_address_keeps_the_ports_of_the_configuration(tmp_path: Path) -> None:
    text = '[sip]\nlisten = ["udp:127.0.0.1:5070", "udp:0.0.0.0:5070", "tcp:127.0.0.1:5071"]\n'
    assert read(tmp_path, text, address="::1").sip.listen == ("udp:[::1]:5070", "tcp:[::1]:5071")


@pytest.mark.parametrize("address", ["", "host", "0.0.0.0", "::", "224.0.0.1", "1.2.3.4/24"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="--address: expected"):
        load(None, {}, address=address)


# Warnings


def test_what_nobody_else_could_hear_is_warned_of(tmp_path: Path) -> None:
    (warning,) = read(tmp_path, '[sip]\nlisten = ["udp:0.0.0.0:5060"]').warnings
    assert warning.startswith("rtp.address: 127.0.0.1 reaches this machine alone")


def test_an_open_door_is_warned_of(tmp_path: Path) -> None:
    (warning,) = read(tmp_path, '[sip]\nallow = ["0.0.0.0/0"]').warnings
    assert warning == "sip.allow: 0.0.0.0/0 lets everybody call in without credentials"
