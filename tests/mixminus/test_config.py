"""The configuration: defaults, the file, the environment over it, and what is said when it is wrong."""

import os
import stat
from dataclasses import FrozenInstanceError, fields, replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from mixminus.config import ARRAYS, TABLES, Config, ConfigError, ensure_password, load
from mixminus.settings import Account, Application, Trunk, User

EVERYTHING = """
[sip]
listen = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]   # also tls:, ws:, wss:
advertise = ""
allow = ["127.0.0.0/8", "::1"]
certificate = ""
private_key = ""
client_authorities = ""
authorities = ""
origins = []
stranger_rate = 20
session_expires = 1800
session_minimum = 90
digest = ["MD5", "SHA-256"]
srtp = "optional"
srtp_keys_in_clear = false
transfers = "none"
trace = false
hep = ""
hep_id = 0

[rtp]
address = "127.0.0.1"
ports = "20000-20127"
delay_floor = 6
delay_ceiling = 200
silence_hangup = 0
legs = 1000
codecs = ["OPUS", "G722", "PCMU", "PCMA"]
codec_order = "theirs"

[sound]
gate = ["G722", "OPUS"]
gain_control = false
inband_keys = true
keys_heard = false

[http]
listen = "127.0.0.1:8080"
public_url = "http://127.0.0.1:8080"

[data]
directory = "var"

[conference]
members = 0
coaches = 1
max_hours = 24
far_hold_music = false

[server]
drain = 0

[webhooks]
allow = ["127.0.0.0/8"]
require_https = false
signing_key = ""

[[accounts]]
id = "9900000"
username = "demo"
password = "secret"
calls_per_second = 0
concurrent_calls = 0

[[applications]]
id = "3f1d4c4e-7b1b-4d0c-8f7e-000000000001"
account = "9900000"
numbers = ["+19195551234", "room-*", "*"]
call_initiated_url = "http://127.0.0.1:9000/initiate"
call_initiated_method = "POST"
call_initiated_fallback_url = ""
call_initiated_fallback_method = "POST"
call_status_url = ""
call_status_method = "POST"
username = ""
password = ""
fallback_username = ""
fallback_password = ""
callback_timeout = 15

[[users]]
name = "alice"
password = "secret"
account = ""

[[trunks]]
name = "carrier"
host = "127.0.0.1:5070"
transport = "udp"
numbers = ["*"]
username = ""
password = ""
inbound = ["203.0.113.0/24"]
account = ""
max_calls = 0
calls_per_second = 0
strip = ""
prefix = ""
inbound_strip = ""
inbound_prefix = ""
health_check = 0
codecs = []
srtp = ""
leading_silence = 0
delay_floor = 0
delay_ceiling = 0
register = false
register_expires = 3600
"""

ACCOUNT = '[[accounts]]\nid = "5000"\nusername = "me"\npassword = "hush-hush"\n'


def read(
    tmp_path: Path, text: str, environ: dict[str, str] | None = None, address: str | None = None
) -> Config:
    file = tmp_path / "my.toml"
    file.write_text(text, "utf-8")
    return load(file, environ or {}, address=address)


def complaints(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    """What is said about a file, a line each, without the folder's name."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, environ)
    return str(caught.value).replace(f"{tmp_path}/", "").split("\n")


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
    for name in ("cert.pem", "cert.key"):
        (tmp_path / name).write_text("")
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


# The environment


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
        ("MIXMINUS_SIP__LISTEN", "5060", "sip.listen: expected a list of texts"),
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


# What is said when it is wrong


def test_everything_that_is_wrong_is_said_at_once_in_order(tmp_path: Path) -> None:
    text = (
        '[sip]\nlisen = []\nallow = [\n  "10.0.0.0/8",\n  "nonsense",\n]\n\n[rtp]\nports = "20001-20010"\n'
        + ACCOUNT
        + '[[users]]\nname = "a"\npassword = "b"\naccount = "77"\n[[users]]\nname = "a"\n'
    )
    assert complaints(tmp_path, text) == [
        "my.toml:2: sip.lisen: unknown key, did you mean listen?",
        'my.toml:3: sip.allow: expected networks such as "192.168.1.0/24" (names are not looked up), '
        'and "nonsense" is none, got ["10.0.0.0/8", "nonsense"]',
        'my.toml:9: rtp.ports: expected an even first port, such as 20002, got "20001-20010"',
        'my.toml:17: users[0].account: expected an account\'s id, "5000", got "77"',
        "my.toml:18: users[1].password: is missing (The password that it registers with)",
        'my.toml:19: users[1].name: expected each name once, and "a" is taken',
    ]


def test_a_file_that_is_not_toml_is_named_with_line_and_column(tmp_path: Path) -> None:
    (said,) = complaints(tmp_path, "[sip]\nlisten = [udp]\n")
    assert said.startswith("my.toml:2:11: not TOML: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml", {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.toml: expected text in UTF-8 \(byte 5 is not\)"):
        load(tmp_path / "latin.toml", {})


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf[conference]\nmembers = 3\n")
    assert load(tmp_path / "bom.toml", {}).conference.members == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[htpp]\nlisten = 3", "my.toml:1: htpp: unknown section, did you mean [http]?"),
        ("[zzzzz]\nx = 3", "my.toml:1: zzzzz: unknown section"),
        ("listen = 3", "my.toml:1: listen: unknown section"),
        ("sip = 3", "my.toml:1: sip: expected a table of keys and values"),
        ("[[sip]]\nlisten = []", "my.toml:1: sip: expected a table of keys and values"),
        ("[users]\nname = 'x'", "my.toml:1: users: expected an array of tables, each under [[users]]"),
        ("accounts = []", "my.toml:1: accounts: expected at least one account"),
        ("[sip]\nzzzzzz = 1", "my.toml:2: sip.zzzzzz: unknown key"),
        ("[sip.listen]\nx = 1", "my.toml:1: sip.listen: expected a list of texts"),
    ],
)
def test_what_is_in_the_wrong_place_is_said(tmp_path: Path, text: str, said: str) -> None:
    (first, *rest) = complaints(tmp_path, text)
    assert first.startswith(said)
    assert not rest


VALUES = [
    ("sip", "listen", "[]", "expected at least one entry"),
    ("sip", "listen", '["tls:127.0.0.1:5061"]', "expected sip.certificate beside a tls: or wss: entry"),
    ("sip", "listen", '["wss:127.0.0.1:443"]', "expected sip.certificate beside a tls: or wss: entry"),
    ("sip", "listen", '["sctp:127.0.0.1:5060"]', "expected entries such as"),
    ("sip", "certificate", '"/nowhere/cert.pem"', "/nowhere/cert.pem cannot be read: No such file"),
    ("sip", "private_key", '"/nowhere/cert.key"', "/nowhere/cert.key cannot be read: No such file"),
    ("sip", "authorities", '"/nowhere/ca.pem"', "/nowhere/ca.pem cannot be read: No such file"),
    ("sip", "origins", '["phone.example.com"]', "expected origins such as"),
    ("sip", "origins", '["https://phone.example.com/"]', "expected origins such as"),
    ("sip", "origins", '"*"', "expected a list of texts"),
    ("sip", "session_minimum", "89", "expected a whole number from 90"),
    ("sip", "listen", '["sctp:127.0.0.1:5060"]', "expected entries such as"),
    ("sip", "listen", '["udp:127.0.0.1"]', "expected entries such as"),
    ("sip", "listen", '["udp:localhost:5060"]', "expected entries such as"),
    ("sip", "listen", '["udp:127.0.0.1:65536"]', "expected entries such as"),
    ("sip", "listen", '["udp:::1:5060"]', "expected entries such as"),
    ("sip", "listen", '["udp:127.0.0.1:5060", "udp:127.0.0.1:5060"]', "expected each entry once"),
    ("sip", "listen", "[5060]", "expected a list of texts"),
    ("sip", "advertise", '"example.org"', "expected an IP address"),
    ("sip", "allow", '["carrier.example"]', "expected networks such as"),
    ("rtp", "address", '""', "expected an IP address"),
    ("rtp", "address", "5", "expected an IP address"),
    ("rtp", "ports", "20000", "expected two ports"),
    ("rtp", "ports", '"20000"', "expected two ports"),
    ("rtp", "ports", '"20001-20010"', "expected an even first port"),
    ("rtp", "ports", '"20010-20000"', "expected a lower and a higher port"),
    ("rtp", "ports", '"20000-20000"', "expected a lower and a higher port"),
    ("rtp", "ports", '"80-90"', "expected a lower and a higher port, both from 1024"),
    ("rtp", "ports", '"60000-70000"', "expected a lower and a higher port"),
    ("rtp", "ports", '"5000-5100"', "expected a range without the SIP port 5060"),
    ("rtp", "silence_hangup", "-1", "expected a whole number from 0"),
    ("rtp", "delay_ceiling", "300", "expected a number from 20 to 200"),
    ("sound", "gate", '["opus"]', 'expected each at most once of "PCMU"'),
    ("sound", "gain_control", '"on"', "expected true or false"),
    ("rtp", "silence_hangup", "true", "expected a whole number from 0"),
    ("rtp", "silence_hangup", "1.5", "expected a whole number from 0"),
    ("http", "listen", '"8080"', "expected an address and a port"),
    ("http", "listen", '"localhost:8080"', "expected an address and a port"),
    ("http", "public_url", '"mix.example"', "expected a URL that begins with http://"),
    ("http", "public_url", '"ftp://mix.example"', "expected a URL that begins with http://"),
    ("http", "public_url", '"http://mix.example:99999"', "expected a URL that begins with http://"),
    ("http", "public_url", '"http://mix example"', "expected a URL such as"),
    ("data", "directory", '""', "expected a text in quotes that is not empty"),
    ("data", "directory", '"my.toml"', "expected a folder"),
    ("conference", "members", '"5"', "expected a whole number from 0"),
    ("conference", "max_hours", "0", "expected a number from 0.01"),
    ("conference", "max_hours", "nan", "expected a number from 0.01"),
    ("server", "drain", "inf", "expected a whole number from 0"),
    ("webhooks", "allow", '"10.0.0.0/8"', "expected a list of texts"),
    ("webhooks", "require_https", '"no"', "expected true or false"),
]


@pytest.mark.parametrize(("section", "key", "value", "said"), VALUES)
def test_a_wrong_value_is_said_with_what_was_expected(
    tmp_path: Path, section: str, key: str, value: str, said: str
) -> None:
    (line,) = complaints(tmp_path, f"[{section}]\n{key} = {value}\n")
    assert line.startswith(f"my.toml:2: {section}.{key}: {said}")


APPLICATION = {"id": '"app"', "account": '"5000"', "call_initiated_url": '"https://app.example/"'}
APPLICATION_VALUES = [
    ({"callback_timeout": "0.5"}, "callback_timeout: expected a number from 1 to 25, got 0.5"),
    ({"callback_timeout": "26"}, "callback_timeout: expected a number from 1 to 25, got 26"),
    ({"call_initiated_method": '"PUT"'}, 'call_initiated_method: expected "POST" or "GET", got "PUT"'),
    ({"numbers": "[]"}, "numbers: expected at least one pattern"),
    ({"numbers": '[""]'}, "numbers: expected at least one pattern"),
    ({"numbers": '"*"'}, "numbers: expected a list of texts"),
    ({"account": '"77"'}, 'account: expected an account\'s id, "5000", got "77"'),
    ({"account": '""'}, "account: expected a text in quotes that is not empty"),
    ({"id": '"a b"'}, "id: expected a text of letters, digits and - _ . ~"),
    ({"call_initiated_url": '""'}, ": expected call_initiated_url or bxml"),
    ({"bxml": '"my.toml"'}, "bxml: expected either bxml or call_initiated_url, not both"),
    ({"bxml": '"none.xml"', "call_initiated_url": '""'}, "none.xml cannot be read: No such file"),
    ({"bxml": "3", "call_initiated_url": '""'}, "bxml: expected a text in quotes"),
    ({"password": '"hush-hush"'}, "password: expected a username beside it"),
    ({"fallback_password": '"hush-hush"'}, "fallback_password: expected a fallback_username beside it"),
    (
        {"call_status_url": '"http://u:hush-hush@h/"'},
        "call_status_url: expected a URL without a user and password",
    ),
    ({"call_status_url": '"file:///etc/passwd"'}, "call_status_url: expected a URL that begins with http://"),
]


@pytest.mark.parametrize(("changes", "said"), APPLICATION_VALUES)
def test_a_wrong_application_is_said(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    rows = "".join(f"{key} = {value}\n" for key, value in (APPLICATION | changes).items())
    (line,) = complaints(tmp_path, f"{ACCOUNT}[[applications]]\n{rows}")
    assert line.startswith("my.toml:") and "applications[0]" in line
    assert said in line
    assert "hush-hush" not in line


def test_a_missing_account_is_not_complained_of_twice(tmp_path: Path) -> None:
    text = ACCOUNT.replace("5000", "a/b") + '[[users]]\nname = "n"\npassword = "p"\naccount = "a"\n'
    assert len(complaints(tmp_path, text)) == 1


@pytest.mark.parametrize(
    ("host", "transport", "said"),
    [
        ("carrier.example", "tls", "transport: expected a tls: entry in sip.listen beside it"),
        ("carrier.example", "ws", 'transport: expected "udp" or "tcp" or "tls"'),
        ("carrier.example", "UDP", 'transport: expected "udp" or "tcp" or "tls"'),
        ("sip:carrier.example", "udp", "host: expected a host"),
        ("carrier.example:0", "udp", "host: expected a host"),
        ("carrier.example:70000", "udp", "host: expected a host"),
        ("2001:db8::1", "udp", "host: expected a host"),
        ("a b", "udp", "host: expected a host"),
    ],
)
def test_a_wrong_trunk_is_said(tmp_path: Path, host: str, transport: str, said: str) -> None:
    (line,) = complaints(tmp_path, f'[[trunks]]\nname = "t"\nhost = "{host}"\ntransport = "{transport}"\n')
    assert f"trunks[0].{said}" in line


@pytest.mark.parametrize(
    "host", ["carrier.example", "carrier.example:5070", "192.0.2.1", "[2001:db8::1]:5070"]
)
def test_a_trunk_is_a_name_or_an_address_with_or_without_a_port(tmp_path: Path, host: str) -> None:
    assert read(tmp_path, f'[[trunks]]\nname = "t"\nhost = "{host}"\n').trunks[0].host == host


def test_a_trunks_password_needs_its_user(tmp_path: Path) -> None:
    (line,) = complaints(tmp_path, '[[trunks]]\nname = "t"\nhost = "h"\npassword = "hush-hush"\n')
    assert line == "my.toml:4: trunks[0].password: expected a username beside it"


def test_a_registration_with_a_trunk_needs_a_user(tmp_path: Path) -> None:
    (line,) = complaints(tmp_path, '[[trunks]]\nname = "t"\nhost = "h"\nregister = true\n')
    assert line == "my.toml:4: trunks[0].register: expected a username and a password beside it"


@pytest.mark.parametrize("written", ["[]", '["PCMU", "PCMU"]', '["G729"]', '"PCMU"', '["pcmu"]'])
def test_codecs_are_known_ones_each_once(tmp_path: Path, written: str) -> None:
    (line,) = complaints(tmp_path, f"[rtp]\ncodecs = {written}\n")
    assert line.startswith("my.toml:2: rtp.codecs: expected ")


def test_a_trunks_codecs_and_encryption_may_be_those_of_all(tmp_path: Path) -> None:
    (trunk,) = read(tmp_path, '[[trunks]]\nname = "t"\nhost = "h"\n').trunks
    assert (trunk.codecs, trunk.srtp) == ((), "")


def test_required_encryption_needs_signalling_that_hides_its_keys(tmp_path: Path) -> None:
    trunk = '[[trunks]]\nname = "t"\nhost = "h"\nsrtp = "required"\n'
    (line,) = complaints(tmp_path, trunk)
    assert line == (
        'my.toml:4: trunks[0].srtp: expected transport = "tls" beside it, or sip.srtp_keys_in_clear'
    )
    (line,) = complaints(tmp_path, '[sip]\nsrtp = "required"\n')
    assert line.startswith("my.toml:2: sip.srtp: expected a tls: or wss: entry in sip.listen beside it")
    allowed = read(tmp_path, '[sip]\nsrtp = "required"\nsrtp_keys_in_clear = true\n' + trunk)
    assert (allowed.sip.srtp, allowed.trunks[0].srtp) == ("required", "required")


@pytest.mark.parametrize("written", ["[]", '["MD5", "MD5"]', '["SHA-1"]', '"MD5"'])
def test_digest_algorithms_are_known_ones_each_once(tmp_path: Path, written: str) -> None:
    (line,) = complaints(tmp_path, f"[sip]\ndigest = {written}\n")
    assert line.startswith("my.toml:2: sip.digest: expected ")


def test_credentials_over_http_are_refused_where_https_is_required(tmp_path: Path) -> None:
    text = (
        "[webhooks]\nrequire_https = true\n"
        + ACCOUNT
        + (
            '[[applications]]\nid = "x"\naccount = "5000"\nusername = "u"\n'
            'call_initiated_url = "http://a.example/"\ncall_initiated_fallback_url = "http://b.example/"\n'
        )
    )
    (line,) = complaints(tmp_path, text)
    assert "call_initiated_url: expected https" in line


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


# The demo account's password


def test_the_password_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "var"
    password, made = ensure_password(directory)
    assert made and len(password) >= 16
    assert stat.S_IMODE(os.stat(directory / "password").st_mode) == 0o600
    assert ensure_password(directory) == (password, False)


def test_a_password_that_was_written_by_hand_is_kept(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("chosen\n")
    assert ensure_password(tmp_path) == ("chosen", False)


def test_an_empty_password_file_is_an_error_and_no_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("\n")
    with pytest.raises(ConfigError, match="is empty"):
        ensure_password(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"data\.directory: .*password cannot be used"):
        ensure_password(tmp_path / "file")


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


def test_a_floor_above_its_ceiling_is_refused_for_all_and_for_a_trunk(tmp_path: Path) -> None:
    (said,) = complaints(tmp_path, "[rtp]\ndelay_floor = 60\ndelay_ceiling = 40")
    assert said == "my.toml:2: rtp.delay_floor: expected at most delay_ceiling, which is 40"
    trunk = "[[trunks]]\nname = 'a'\nhost = 'a.example'\ndelay_ceiling = 3"
    (said,) = complaints(tmp_path, trunk)
    assert "delay_floor: expected at most delay_ceiling, which is 3" in said
