"""Every setting there is: sections, keys, defaults, and what each key means.

A section is a frozen dataclass, a key one of its fields. `setting` gives the field its kind, its description
and its default, so this file is the one place that knows a key: `mixminus.config` reads by it, and the
documentation of the keys is made from it.
"""

from dataclasses import MISSING, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from calls.terms import Transfers
from mixminus import kinds
from mixminus.kinds import Kind, Network
from sip.codecs import CODECS
from sip.sdp import Srtp
from sip.tls import TlsFiles


def setting(kind: Kind, doc: str, default: Any = MISSING, *, secret: bool = False) -> Any:
    """A field of a section. `default` is written as in TOML and passes through `kind`; without one the key is
    required. A secret one stays out of reprs and messages."""
    return field(
        default=default if default is MISSING else kind(default),
        repr=not secret,
        metadata={"kind": kind, "doc": doc, "secret": secret, "written": default},
    )


SRTP = get_args(Srtp)
NETWORKS = kinds.each(kinds.network, '["192.168.1.0/24", "::1"]')
PATTERNS = kinds.each(kinds.word, '["+1919*", "*"]', some=True)
CODEC = kinds.choice(*CODECS)
METHOD = kinds.choice("POST", "GET")
SECONDS_A_DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Sip:
    """Signalling."""

    listen: tuple[str, ...] = setting(
        kinds.each(kinds.listening, '["udp:127.0.0.1:5060"]', some=True, once=True),
        "Where SIP is received: transport (udp, tcp, tls, ws or wss), address and port; [::] is IPv6 alone",
        ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"],
    )
    advertise: str = setting(
        kinds.optional_host,
        "Address in Contact and SDP for peers of its family; empty: the one that reaches the peer",
        "",
    )
    local_networks: tuple[Network, ...] = setting(
        NETWORKS,
        "Who is told the address that reaches him, not `advertise`: phones beside a server behind a NAT",
        [],
    )
    allow: tuple[Network, ...] = setting(
        NETWORKS,
        "Who may call in without credentials; others: a trunk's inbound list, a user's digest, else 403",
        ["127.0.0.0/8", "::1"],
    )
    certificate: Path | None = setting(  # noqa: RUF009 (a field)
        kinds.optional_path, "PEM file with our certificate and those above it; tls and wss need it", ""
    )
    private_key: Path | None = setting(  # noqa: RUF009 (a field)
        kinds.optional_path, "PEM file with its key, without a password; empty: in the same file", ""
    )
    client_authorities: Path | None = setting(  # noqa: RUF009 (a field)
        kinds.optional_path,
        "PEM file: who connects by tls or wss needs a certificate of these; empty: none",
        "",
    )
    authorities: Path | None = setting(  # noqa: RUF009 (a field)
        kinds.optional_path,
        "PEM file: whose certificates we believe when we connect; empty: the system's",
        "",
    )
    origins: tuple[str, ...] = setting(
        kinds.each(kinds.origin, '["https://phone.example.com"]'),
        'Web pages whose scripts may connect by ws and wss, such as "https://phone.example.com", or "*"; '
        "programs that are no browsers always may",
        [],
    )
    stranger_rate: float = setting(
        kinds.number(0, 100_000),
        "Requests a second that are looked at from one address which may not call in without credentials, "
        "five times as many at once; 0: no limit",
        20,
    )
    session_expires: int = setting(
        kinds.whole(0, SECONDS_A_DAY),
        "Seconds that an outbound call asks to be refreshed within (RFC 4028); 0: it does not ask",
        1800,
    )
    session_minimum: int = setting(
        kinds.whole(90, SECONDS_A_DAY), "Seconds below which a caller who asks for that is refused (422)", 90
    )

    digest: tuple[str, ...] = setting(
        kinds.each(kinds.choice("MD5", "SHA-256"), '["MD5", "SHA-256"]', some=True, once=True),
        "Digest algorithms that users are challenged with, in this order (many phones read the first only)",
        ["MD5", "SHA-256"],
    )
    srtp: Srtp = setting(  # noqa: RUF009 (a field)
        kinds.choice(*SRTP),
        "Whether sound is encrypted: off: never; optional: where the far end can, and offered where the "
        "signalling is encrypted too; required: always, a call in the clear gets 488",
        "optional",
    )
    srtp_keys_in_clear: bool = setting(
        kinds.flag,
        "SRTP's keys may go over udp, tcp and ws, where anybody on the way can read them, so that they are "
        "offered there and `required` is content; for networks that are secured by other means",
        False,
    )
    transfers: Transfers = setting(  # noqa: RUF009 (a field)
        kinds.choice(*get_args(Transfers)),
        "Whom a phone may put in its place within a call (REFER, its transfer key): none; users: those who "
        "are registered here; any: whatever the account can call, at its cost",
        "none",
    )
    trace: bool = setting(
        kinds.flag, "Write every SIP message of a call into the log, without secrets and digits", False
    )
    hep: tuple[str, int] | None = setting(
        kinds.optional_collector,
        'Where a copy of every SIP message goes by HEP version 3, such as "udp:192.0.2.20:9060"; without '
        "secrets and digits; empty: nowhere",
        "",
    )
    hep_id: int = setting(kinds.whole(0, 2**32 - 1), "As which capture agent", 0)

    @property
    def endpoints(self) -> tuple[kinds.Endpoint, ...]:
        """`listen`, taken apart."""
        return tuple(map(kinds.endpoint, self.listen))

    @property
    def tls_files(self) -> TlsFiles | None:
        """What TLS is made of, None without a certificate."""
        if self.certificate is None:
            return None
        return TlsFiles(
            certificate=str(self.certificate),
            private_key=str(self.private_key or ""),
            client_authorities=str(self.client_authorities or ""),
            authorities=str(self.authorities or ""),
        )


@dataclass(frozen=True, kw_only=True)
class Rtp:
    """Sound on the network."""

    address: str = setting(kinds.address, "Where RTP is received; :: for both families", "127.0.0.1")
    ports: str = setting(
        kinds.port_range,
        "First and last port: even ones carry RTP, the odd ones beside them RTCP; legs share them",
        "20000-20127",
    )
    codecs: tuple[str, ...] = setting(
        kinds.each(CODEC, '["PCMU", "PCMA"]', some=True, once=True),
        "Codecs that are agreed to, in the order of our offers: OPUS, G722, PCMU, PCMA, L16/16000, L16/8000",
        ["OPUS", "G722", "PCMU", "PCMA", "L16/16000", "L16/8000"],
    )
    codec_order: str = setting(
        kinds.choice("theirs", "ours"), "Whose order of codecs our answers follow", "theirs"
    )
    legs: int = setting(
        kinds.whole(1, 5_000),
        "Calls at a time, in and out; above that a caller gets 503 and a call out fails",
        1000,
    )
    delay_floor: float = setting(
        kinds.number(0, 100),
        "Milliseconds that the quickest of a leg's packets wait at least for the beat",
        6,
    )
    delay_ceiling: float = setting(
        kinds.number(20, 500),
        "Milliseconds that the quickest of a leg's packets wait at most, however late others are",
        200,
    )
    silence_hangup: int = setting(
        kinds.whole(0, SECONDS_A_DAY), "Seconds without a packet after which a leg is ended; 0: never", 0
    )

    @property
    def first_and_last(self) -> tuple[int, int]:
        """The two ends of `ports`."""
        first, _, last = self.ports.partition("-")
        return int(first), int(last)


@dataclass(frozen=True, kw_only=True)
class Sound:
    """What is heard in the sound of calls, and done to it."""

    gate: tuple[str, ...] = setting(
        kinds.each(kinds.choice(*kinds.GATED), '["G722", "OPUS"]', once=True),
        "Codecs whose calls are made exactly silent while nobody speaks there",
        ["G722", "OPUS"],
    )
    gain_control: bool = setting(
        kinds.flag, "Bring everybody who speaks to one level; of single members by REST", False
    )
    inband_keys: bool = setting(
        kinds.flag, "Listen for the tones of keys in calls that have agreed on no telephone-event", True
    )
    keys_heard: bool = setting(
        kinds.flag,
        "Let others hear the tones of keys; false: while one is recognised, or told by telephone-event, its "
        "call is silent",
        False,
    )


@dataclass(frozen=True, kw_only=True)
class Http:
    """The REST API, its documentation and health."""

    listen: tuple[str, int] = setting(
        kinds.address_port, "Where HTTP is received: address and port", "127.0.0.1:8080"
    )
    public_url: str = setting(
        kinds.optional_base, "What clients are told to call; empty: made from `listen`", ""
    )


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is kept on disk."""

    directory: Path = setting(kinds.path, "Where it is kept", "var")  # noqa: RUF009 (a field)


@dataclass(frozen=True, kw_only=True)
class Conference:
    """Bounds of a conference."""

    members: int = setting(kinds.whole(0, 100_000), "Members of a conference; 0: no limit", 0)
    coaches: int = setting(kinds.whole(0, 100_000), "Coaches of a conference; 0: any number", 1)
    far_hold_music: bool = setting(
        kinds.flag,
        "What a phone sends after it has put us on hold, music as a rule, is heard in the room",
        False,
    )
    max_hours: float = setting(kinds.number(0.01, 8760), "Hours after which a conference is ended", 24)


@dataclass(frozen=True, kw_only=True)
class Server:
    """The process."""

    drain: int = setting(kinds.whole(0, SECONDS_A_DAY), "Seconds that live calls may go on after SIGTERM", 0)


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """Requests to applications."""

    allow: tuple[Network, ...] = setting(
        NETWORKS,
        "Private ranges that URLs from BXML and REST may reach; hosts named in this file always may",
        ["127.0.0.0/8"],
    )
    require_https: bool = setting(kinds.flag, "Send credentials over https only", False)
    signing_key: str = setting(
        kinds.text, "Signs each webhook (HMAC-SHA256); empty: no signature", "", secret=True
    )


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who uses the REST API."""

    id: str = setting(kinds.identifier, "The accountId in the API's paths")
    username: str = setting(kinds.username, "User of the API and client id for a token")
    password: str = setting(kinds.word, "Password of the API and client secret", secret=True)
    calls_per_second: float = setting(
        kinds.number(0, 100_000), "Outbound calls a second; 0: no limit, else a queue of 300 times as many", 0
    )
    concurrent_calls: int = setting(kinds.whole(0, 1_000_000), "Calls at a time; 0: no limit", 0)


@dataclass(frozen=True, kw_only=True)
class Application:
    """Answers inbound calls by a webhook or by a document. With no application a built-in document does."""

    id: str = setting(kinds.identifier, "The applicationId in events and requests")
    account: str = setting(kinds.word, "The id of the account that it belongs to")
    numbers: tuple[str, ...] = setting(
        PATTERNS, "Shell patterns on the called user; the first match wins", ["*"]
    )
    call_initiated_url: str = setting(kinds.optional_url, "Asked for the first BXML of an inbound call", "")
    call_initiated_method: str = setting(METHOD, "POST or GET", "POST")
    call_initiated_fallback_url: str = setting(kinds.optional_url, "Asked when that one fails", "")
    call_initiated_fallback_method: str = setting(METHOD, "POST or GET", "POST")
    bxml: Path | None = setting(  # noqa: RUF009 (a field)
        kinds.optional_path, "A BXML file that answers instead of a webhook; `{user}` is the called user", ""
    )
    call_status_url: str = setting(kinds.optional_url, "Told of the end of inbound calls", "")
    call_status_method: str = setting(METHOD, "POST or GET", "POST")
    username: str = setting(kinds.text, "User for these webhooks; empty: none", "")
    password: str = setting(kinds.text, "Its password", "", secret=True)
    fallback_username: str = setting(kinds.text, "User for the fallback URL; empty: none", "")
    fallback_password: str = setting(kinds.text, "Its password", "", secret=True)
    callback_timeout: float = setting(kinds.number(1, 25), "Seconds until a webhook has failed", 15)

    @property
    def urls(self) -> dict[str, str]:
        """Its webhooks by key, without the empty ones."""
        keys = ("call_initiated_url", "call_initiated_fallback_url", "call_status_url")
        return {key: getattr(self, key) for key in keys if getattr(self, key)}


@dataclass(frozen=True, kw_only=True)
class User:
    """A softphone that registers."""

    name: str = setting(kinds.user_name, "The user name that it registers with")
    password: str = setting(kinds.word, "The password that it registers with", secret=True)
    account: str = setting(kinds.text, "The account that may ring it; empty: any", "")
    srtp: Srtp | Literal[""] = setting(  # noqa: RUF009 (a field)
        kinds.choice("", *SRTP), "Whether its calls are encrypted, as `sip.srtp`, which empty stands for", ""
    )


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """A carrier or another telephone system."""

    name: str = setting(kinds.word, "Its name in logs and messages")
    host: str = setting(
        kinds.trunk_host, "Where calls are sent: a host name or address, with or without a port"
    )
    transport: str = setting(kinds.transport, "udp, tcp or tls", "udp")
    numbers: tuple[str, ...] = setting(
        PATTERNS,
        "Shell patterns on the called number; the first trunk that matches takes the call",
        ["*"],
    )
    username: str = setting(kinds.text, "User for its digest challenges; empty: none", "")
    password: str = setting(kinds.text, "Its password", "", secret=True)
    inbound: tuple[Network, ...] = setting(NETWORKS, "Who may send calls in as this trunk", [])
    inbound_users: tuple[str, ...] = setting(
        kinds.each(kinds.user_name, '["office"]'),
        "Names of `[[users]]` who send calls in as this trunk, once their digest has proved them: from "
        "addresses outside of `sip.allow`, no faster than `sip.stranger_rate`",
        [],
    )
    account: str = setting(kinds.text, "The account that may use it; empty: any", "")
    max_calls: int = setting(kinds.whole(0, 100_000), "Its calls at a time, in and out; 0: no limit", 0)
    calls_per_second: float = setting(
        kinds.number(0, 100_000),
        "Calls a second that go out by it; above that the next that matches is taken, else a call waits; 0: "
        "no limit",
        0,
    )
    inbound_calls_per_second: float = setting(
        kinds.number(0, 100_000),
        "Calls a second that may come in by it, a second's worth at once; those above get 503 with "
        "Retry-After; 0: no limit",
        0,
    )
    trusted: bool = setting(
        kinds.flag,
        "It heeds Privacy and asserts what it has verified (RFC 3325): P-Asserted-Identity is the `from` of "
        "its calls, and it is told numbers that are withheld",
        True,
    )
    strip: str = setting(
        kinds.text, 'Taken from the front of a called number that begins with it, such as "+"', ""
    )
    prefix: str = setting(kinds.text, 'Then put in front of a called number, such as "00"', "")
    caller_strip: str = setting(
        kinds.text, "Taken from the front of the calling number of calls that go out by it", ""
    )
    caller_prefix: str = setting(kinds.text, "Then put in front of it", "")
    inbound_strip: str = setting(
        kinds.text, 'What numbers of its own calls, called and calling, begin with, such as "00"', ""
    )
    inbound_prefix: str = setting(
        kinds.text, 'Put in its place, such as "+"; numbers with a + stay as they are', ""
    )
    health_check: int = setting(
        kinds.whole(0, 3600),
        "Seconds between OPTIONS that ask whether it is there; while it is not, the next that matches is "
        "taken; 0: it is not asked",
        0,
    )
    codecs: tuple[str, ...] = setting(
        kinds.each(CODEC, '["PCMU", "PCMA"]', once=True),
        "Codecs of its calls, as `rtp.codecs`, which empty stands for",
        [],
    )
    srtp: Srtp | Literal[""] = setting(  # noqa: RUF009 (a field)
        kinds.choice("", *SRTP), "Whether its calls are encrypted, as `sip.srtp`, which empty stands for", ""
    )
    leading_silence: float = setting(
        kinds.number(0, 5000),
        "Milliseconds from the answer to the first prompt, for trunks that swallow its first words",
        0,
    )
    delay_floor: float = setting(
        kinds.number(0, 100), "As `rtp.delay_floor`, for its calls; 0: what that says", 0
    )
    delay_ceiling: float = setting(
        kinds.number(0, 500), "As `rtp.delay_ceiling`, for its calls; 0: what that says", 0
    )
    register: bool = setting(kinds.flag, "Register there with `username` and `password`", False)
    register_expires: int = setting(kinds.whole(60, 86_400), "Seconds that a registration asks for", 3600)


DEMO_ACCOUNT = Account(id="9900000", username="demo", password="")
"""The account of a configuration without any; its password is made at the first start."""

BUILT_IN_APPLICATION = "3f1d4c4e-7b1b-4d0c-8f7e-000000000001"
"""The id of the application of a configuration without any."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings. From `mixminus.config.load` paths come absolute and `http.public_url` filled in."""

    sip: Sip = Sip()
    rtp: Rtp = Rtp()
    sound: Sound = Sound()
    http: Http = Http()
    data: Data = Data()
    conference: Conference = Conference()
    server: Server = Server()
    webhooks: Webhooks = Webhooks()
    accounts: tuple[Account, ...] = (DEMO_ACCOUNT,)
    applications: tuple[Application, ...] = (Application(id=BUILT_IN_APPLICATION, account=DEMO_ACCOUNT.id),)
    users: tuple[User, ...] = ()
    trunks: tuple[Trunk, ...] = ()
    warnings: tuple[str, ...] = ()
    """What is allowed and yet likely a mistake, a line each."""

    @property
    def needs_password(self) -> bool:
        """True while the demo account has no password: see `with_password`."""
        return self.accounts == (DEMO_ACCOUNT,)

    def with_password(self, password: str) -> "Config":
        """The same with the demo account's password."""
        return replace(self, accounts=(replace(DEMO_ACCOUNT, password=password),))
