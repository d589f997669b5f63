"""Configuration files, and what is said about them."""

from pathlib import Path

import pytest

from mixminus.config import Config, ConfigError, load

EVERYTHING = """
[sip]
listen = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]   # also tls:, ws:, wss:
advertise = ""
local_networks = []
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
codecs = ["OPUS", "G722", "PCMU", "PCMA", "L16/16000", "L16/8000"]
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
srtp = ""

[[trunks]]
name = "carrier"
host = "127.0.0.1:5070"
transport = "udp"
numbers = ["*"]
username = ""
password = ""
inbound = ["203.0.113.0/24"]
inbound_users = []
account = ""
max_calls = 0
calls_per_second = 0
inbound_calls_per_second = 0
trusted = true
strip = ""
prefix = ""
caller_strip = ""
caller_prefix = ""
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
