"""What is said of a wrong configuration: all at once, by line and key, with what was expected."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mixminus.config import ConfigError, load
from tests.mixminus.files import ACCOUNT, complaints, read


def test_everything_that_is_wrong_is_said_at_once_in_order(tmp_path: Path) -> None:
    text = (
        '[sip]\nlisen = []\nallow = [\n  "10.0.0.0/8",\n  "nonsense",\n]\n\n[rtp]\nports = "20001-20010"\n'
        + ACCOUNT
        + '[[users]]\nname = "a"\npassword = "b"\naccount = "77"\n[[users]]\nname = "a"\n'
    )
    assert complaints(tmp_path, text) == [
        "my.toml:2: sip.lisen: unknown key, did you mean listen?",
        'my.toml:3: sip.allow[1]: expected a network such as "192.168.1.0/24" or an address (names are not '
        'looked up), got "nonsense"',
        'my.toml:9: rtp.ports: expected an even first port, such as 20002, got "20001-20010"',
        'my.toml:17: users[0].account: expected an account\'s id, "5000", got "77"',
        "my.toml:18: users[1].password: is missing (The password that it registers with)",
        'my.toml:19: users[1].name: expected each name once, and "a" is taken',
    ]


def test_a_file_that_is_not_toml_is_named_with_line_and_column(tmp_path: Path) -> None:
    (said,) = complaints(tmp_path, "[sip]\nlisten = [udp]\n")
    assert said.startswith("my.toml:2:11: not TOML: ")
    (said,) = complaints(tmp_path, "[conference]\nmembers = 1\nmembers = 2")
    assert said.startswith("my.toml:3:12: not TOML: ") and said.endswith("(is it there twice?)")


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
        (
            "[users.alice]\npassword = 'x'",
            "my.toml:1: users: expected an array of tables, each under [[users]]",
        ),
        ("accounts = []", "my.toml:1: accounts: expected at least one account"),
        ("[sip]\nzzzzzz = 1", "my.toml:2: sip.zzzzzz: unknown key"),
        ("[sip.listen]\nx = 1", "my.toml:1: sip.listen: expected a list such as"),
        ("[SIP]\nlisten = []", "my.toml:1: SIP: unknown section, did you mean [sip]?"),
        ("[[user]]\nname = 'x'", "my.toml:1: user: unknown section, did you mean [[users]]?"),
    ],
)
def test_what_is_in_the_wrong_place_is_said(tmp_path: Path, text: str, said: str) -> None:
    (first, *rest) = complaints(tmp_path, text)
    assert first.startswith(said)
    assert not rest


VALUES = [
    ("sip", "listen", "[]", ": expected at least one entry"),
    ("sip", "listen", '["tls:127.0.0.1:5061"]', ": expected sip.certificate beside a tls: or wss: entry"),
    ("sip", "listen", '["wss:127.0.0.1:443"]', ": expected sip.certificate beside a tls: or wss: entry"),
    ("sip", "certificate", '"/nowhere/cert.pem"', ": /nowhere/cert.pem cannot be read: No such file"),
    ("sip", "private_key", '"/nowhere/cert.key"', ": /nowhere/cert.key cannot be read: No such file"),
    ("sip", "authorities", '"/nowhere/ca.pem"', ": /nowhere/ca.pem cannot be read: No such file"),
    ("sip", "origins", '["phone.example.com"]', "[0]: expected an origin such as"),
    ("sip", "origins", '["https://phone.example.com/"]', "[0]: expected an origin such as"),
    ("sip", "origins", '"*"', ": expected a list such as"),
    ("sip", "session_minimum", "89", ": expected a whole number from 90"),
    ("sip", "session_expires", "89", ": expected 0 or at least session_minimum, which is 90"),
    ("sip", "listen", '["sctp:127.0.0.1:5060"]', "[0]: expected a transport"),
    ("sip", "listen", '["udp:127.0.0.1"]', "[0]: expected a transport"),
    ("sip", "listen", '["udp:localhost:5060"]', "[0]: expected a transport"),
    ("sip", "listen", '["udp:127.0.0.1:65536"]', "[0]: expected a transport"),
    ("sip", "listen", '["udp:::1:5060"]', "[0]: expected a transport"),
    ("sip", "listen", '["udp:127.0.0.1:5060", "udp:127.0.0.1:5060"]', "[1]: expected each entry once"),
    ("sip", "listen", "[5060]", "[0]: expected a transport"),
    ("sip", "listen", "5060", ": expected a list such as"),
    ("sip", "listen", '["tcp:127.0.0.1:8080"]', "[0]: expected another port than http.listen has"),
    ("sip", "listen", '["tcp:[::1]:99", "ws:[::]:99"]', "[1]: expected another port than sip.listen[0] has"),
    ("sip", "listen", '["udp:239.0.0.1:5060"]', "[0]: expected the address of one host"),
    ("sip", "advertise", '"example.org"', ": expected an IP address"),
    ("sip", "advertise", '"0.0.0.0"', ": expected an address that others can send to"),
    ("sip", "allow", '["carrier.example"]', "[0]: expected a network such as"),
    ("sip", "local_networks", '["lan.example"]', "[0]: expected a network such as"),
    ("rtp", "address", '""', ": expected an IP address"),
    ("rtp", "address", "5", ": expected an IP address"),
    ("rtp", "address", '"255.255.255.255"', ": expected the address of one host"),
    ("rtp", "ports", "20000", ": expected two ports"),
    ("rtp", "ports", '"20000"', ": expected two ports"),
    ("rtp", "ports", '"20001-20010"', ": expected an even first port"),
    ("rtp", "ports", '"20010-20000"', ": expected a lower and a higher port"),
    ("rtp", "ports", '"20000-20000"', ": expected a lower and a higher port"),
    ("rtp", "ports", '"80-90"', ": expected a lower and a higher port, both from 1024"),
    ("rtp", "ports", '"60000-70000"', ": expected a lower and a higher port"),
    ("rtp", "ports", '"5000-5100"', ": expected a range without the SIP port 5060"),
    ("rtp", "silence_hangup", "-1", ": expected a whole number from 0"),
    ("rtp", "delay_ceiling", "501", ": expected a number from 20 to 500"),
    ("sound", "gate", '["opus"]', '[0]: expected "PCMU"'),
    ("sound", "gate", '["OPUS", "OPUS"]', "[1]: expected each entry once"),
    ("sound", "gain_control", '"on"', ": expected true or false"),
    ("rtp", "silence_hangup", "true", ": expected a whole number from 0"),
    ("rtp", "silence_hangup", "1.5", ": expected a whole number from 0"),
    ("http", "listen", '"8080"', ": expected an IP address and a port"),
    ("http", "listen", '"localhost:8080"', ": expected an IP address and a port"),
    ("http", "public_url", '"mix.example"', ": expected a URL that begins with http://"),
    ("http", "public_url", '"ftp://mix.example"', ": expected a URL that begins with http://"),
    ("http", "public_url", '"http://mix.example:99999"', ": expected a URL that begins with http://"),
    ("http", "public_url", '"http://mix example"', ": expected a URL such as"),
    ("http", "public_url", '"http://mix.example/?a=b"', ": expected a URL without a query"),
    ("data", "directory", '""', ": expected a text in quotes that is not empty"),
    ("data", "directory", '"~nobody-of-that-name/var"', ": expected a path whose ~ is the home of a user"),
    ("data", "directory", '"my.toml"', ": expected a folder, my.toml is none"),
    ("data", "directory", '"my.toml/var"', ": expected a folder, my.toml is none"),
    ("conference", "members", '"5"', ": expected a whole number from 0"),
    ("conference", "max_hours", "0", ": expected a number from 0.01"),
    ("conference", "max_hours", "nan", ": expected a number from 0.01"),
    ("server", "drain", "inf", ": expected a whole number from 0"),
    ("webhooks", "allow", '"10.0.0.0/8"', ": expected a list such as"),
    ("webhooks", "require_https", '"no"', ": expected true or false"),
]


@pytest.mark.parametrize(("section", "key", "value", "said"), VALUES)
def test_a_wrong_value_is_said_with_what_was_expected(
    tmp_path: Path, section: str, key: str, value: str, said: str
) -> None:
    (line,) = complaints(tmp_path, f"[{section}]\n{key} = {value}\n")
    assert line.startswith(f"my.toml:2: {section}.{key}{said}")


def test_every_wrong_entry_of_a_list_is_said(tmp_path: Path) -> None:
    said = complaints(tmp_path, '[sip]\nlisten = [\n  "udp:5060",\n  "tcp:127.0.0.1:5060",\n  "foo",\n]\n')
    expected = (
        "expected a transport (udp, tcp, tls, ws, wss), an IP address and a port, such as "
        '"udp:127.0.0.1:5060" or "tcp:[::1]:5060", got '
    )
    assert said == [
        f'my.toml:2: sip.listen[0]: {expected}"udp:5060"',
        f'my.toml:2: sip.listen[2]: {expected}"foo"',
    ]


def test_a_folder_that_may_not_be_written_in_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    name = f'"{tmp_path}/keep/here"'
    try:
        with another_user(), pytest.raises(ConfigError) as caught:
            load(None, {"MIXMINUS_DATA__DIRECTORY": name})
    finally:
        tmp_path.chmod(0o700)
    assert "data.directory: this user cannot write in /" in str(caught.value)
    assert f", so {tmp_path}/keep/here cannot be made" in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="a folder of the kernel's")
def test_a_folder_in_which_not_even_root_can_write_is_said() -> None:
    with pytest.raises(ConfigError, match=r"data\.directory: this user cannot write in /proc"):
        load(None, {"MIXMINUS_DATA__DIRECTORY": '"/proc/here"'})


def test_to_check_a_folder_leaves_nothing_in_it(tmp_path: Path) -> None:
    load(None, {"MIXMINUS_DATA__DIRECTORY": f'"{tmp_path}/var"'})
    assert list(tmp_path.iterdir()) == []


@contextmanager
def another_user() -> Iterator[None]:
    """For root, who may write everywhere, somebody who may not."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_certificate_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nothing of the kind")
    (line,) = complaints(tmp_path, '[sip]\nlisten = ["tls:127.0.0.1:5061"]\ncertificate = "cert.pem"\n')
    assert line.startswith("my.toml:3: sip.certificate: cert.pem: expected a certificate and its private key")


@pytest.mark.parametrize("name", ["al ice", "sip:alice@host", "a@b", "50%", '"a"', "a;b"])
def test_a_users_name_is_what_stands_before_the_at_of_an_address(tmp_path: Path, name: str) -> None:
    (line,) = complaints(tmp_path, f"[[users]]\nname = '{name}'\npassword = 'hush-hush'\n")
    assert line.startswith("my.toml:2: users[0].name: expected a name without spaces and without any of @")


APPLICATION = {"id": '"app"', "account": '"5000"', "call_initiated_url": '"https://app.example/"'}
APPLICATION_VALUES = [
    ({"callback_timeout": "0.5"}, "callback_timeout: expected a number from 1 to 25, got 0.5"),
    ({"callback_timeout": "26"}, "callback_timeout: expected a number from 1 to 25, got 26"),
    ({"call_initiated_method": '"PUT"'}, 'call_initiated_method: expected "POST" or "GET", got "PUT"'),
    ({"numbers": "[]"}, "numbers: expected at least one entry"),
    ({"numbers": '[""]'}, "numbers[0]: expected a text in quotes that is not empty"),
    ({"numbers": '"*"'}, "numbers: expected a list such as"),
    ({"account": '"77"'}, 'account: expected an account\'s id, "5000", got "77"'),
    ({"account": '""'}, "account: expected a text in quotes that is not empty"),
    ({"id": '"a b"'}, "id: expected a text of letters, digits and - _ . ~"),
    ({"call_initiated_url": '""'}, ": expected call_initiated_url or bxml"),
    ({"bxml": '"my.toml"'}, "bxml: expected either bxml or call_initiated_url, not both"),
    ({"bxml": '"none.xml"', "call_initiated_url": '""'}, "none.xml cannot be read: No such file"),
    ({"bxml": '"bad.xml"', "call_initiated_url": '""'}, "bxml: bad.xml:2:3: <Foo> is not a verb"),
    ({"bxml": '"latin.xml"', "call_initiated_url": '""'}, "bxml: latin.xml: expected text in UTF-8 (byte 3"),
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
    (tmp_path / "bad.xml").write_text("<Response>\n  <Foo/>\n</Response>")
    (tmp_path / "latin.xml").write_bytes(b"caf\xe9")
    rows = "".join(f"{key} = {value}\n" for key, value in (APPLICATION | changes).items())
    (line,) = complaints(tmp_path, f"{ACCOUNT}[[applications]]\n{rows}")
    assert line.startswith("my.toml:") and "applications[0]" in line
    assert said in line
    assert "hush-hush" not in line


def test_who_sends_calls_in_as_a_trunk_is_a_user_and_as_one_trunk(tmp_path: Path) -> None:
    users = '[[users]]\nname = "pbx"\npassword = "hush"\n'
    trunk = '[[trunks]]\nname = "{}"\nhost = "h"\ninbound_users = ["pbx"]\n'
    assert read(tmp_path, users + trunk.format("a")).trunks[0].inbound_users == ("pbx",)
    (line,) = complaints(tmp_path, trunk.format("a"))
    assert "trunks[0].inbound_users[0]: expected the name of one of [[users]]" in line
    (line,) = complaints(tmp_path, users + trunk.format("a") + trunk.format("b"))
    assert "trunks[1].inbound_users[0]: expected each user once" in line


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


@pytest.mark.parametrize(
    ("written", "said"),
    [("[]", ""), ('["PCMU", "PCMU"]', "[1]"), ('["G729"]', "[0]"), ('"PCMU"', ""), ('["pcmu"]', "[0]")],
)
def test_codecs_are_known_ones_each_once(tmp_path: Path, written: str, said: str) -> None:
    (line,) = complaints(tmp_path, f"[rtp]\ncodecs = {written}\n")
    assert line.startswith(f"my.toml:2: rtp.codecs{said}: expected ")


def test_a_trunks_codecs_and_encryption_may_be_those_of_all(tmp_path: Path) -> None:
    (trunk,) = read(tmp_path, '[[trunks]]\nname = "t"\nhost = "h"\n').trunks
    assert (trunk.codecs, trunk.srtp) == ((), "")


def test_required_encryption_needs_signalling_that_hides_its_keys(tmp_path: Path) -> None:
    trunk = '[[trunks]]\nname = "t"\nhost = "h"\nsrtp = "required"\n'
    (line,) = complaints(tmp_path, trunk)
    assert line == (
        'my.toml:4: trunks[0].srtp: expected transport = "tls" beside it, or sip.srtp_keys_in_clear'
    )
    user = '[[users]]\nname = "a"\npassword = "hush"\nsrtp = "required"\n'
    (line,) = complaints(tmp_path, user)
    assert line.startswith("my.toml:4: users[0].srtp: expected a tls: or wss: entry in sip.listen beside it")
    (line,) = complaints(tmp_path, '[sip]\nsrtp = "required"\n')
    assert line.startswith("my.toml:2: sip.srtp: expected a tls: or wss: entry in sip.listen beside it")
    allowed = read(tmp_path, '[sip]\nsrtp = "required"\nsrtp_keys_in_clear = true\n' + trunk)
    assert (allowed.sip.srtp, allowed.trunks[0].srtp) == ("required", "required")


@pytest.mark.parametrize(
    ("written", "said"),
    [("[]", ""), ('["MD5", "MD5"]', "[1]"), ('["SHA-1"]', "[0]"), ('"MD5"', "")],
)
def test_digest_algorithms_are_known_ones_each_once(tmp_path: Path, written: str, said: str) -> None:
    (line,) = complaints(tmp_path, f"[sip]\ndigest = {written}\n")
    assert line.startswith(f"my.toml:2: sip.digest{said}: expected ")


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


def test_a_floor_above_its_ceiling_is_refused_for_all_and_for_a_trunk(tmp_path: Path) -> None:
    (said,) = complaints(tmp_path, "[rtp]\ndelay_floor = 60\ndelay_ceiling = 40")
    assert said == "my.toml:2: rtp.delay_floor: expected at most delay_ceiling, which is 40"
    trunk = "[[trunks]]\nname = 'a'\nhost = 'a.example'\ndelay_ceiling = 3"
    (said,) = complaints(tmp_path, trunk)
    assert "delay_floor: expected at most delay_ceiling, which is 3" in said
