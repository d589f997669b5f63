"""The settings as each part of the server takes them."""

import logging
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from api.auth import Account
from calls.admission import AccountLimits
from calls.application import BUILT_IN, Application
from calls.callbacks import Callback
from calls.conferences import Limits
from calls.routing import User
from calls.switchboard import Settings
from calls.terms import TermsPolicy
from media.client import MAX_PORTS, MediaConfig, Sound
from mixer import opus
from mixminus import config as configuration
from mixminus import descriptors
from sip.access import Access, Trunk
from sip.session_timer import TimerPolicy

logger = logging.getLogger(__name__)

# Without a packet for so many seconds a leg is reported as silent.
_SILENCE = 10.0


def access(config: configuration.Config) -> Access:
    """Who may call in, and by which trunk a number goes out."""
    return Access(
        allow=config.sip.allow,
        trunks=trunks(config),
        users=passwords(config),
        algorithms=config.sip.digest,
    )


def media(config: configuration.Config) -> MediaConfig:
    """How sound is received and what is done to it."""
    return MediaConfig(
        address=config.rtp.address,
        ports=config.rtp.ports,
        legs=config.rtp.legs,
        silence=min(_SILENCE, config.rtp.silence_hangup or _SILENCE),
        sound=Sound(
            gate=config.sound.gate,
            gain=config.sound.gain_control,
            inband=config.sound.inband_keys,
            keys_heard=config.sound.keys_heard,
            floor=config.rtp.delay_floor,
            ceiling=config.rtp.delay_ceiling,
        ),
    )


def connections(config: configuration.Config) -> int:
    """How many connections each kind of listener may hold with the open files that there are."""
    streams = {endpoint.transport for endpoint in config.sip.endpoints} - {"udp"}
    # A WebSocket counts as open from its handshake on, of which there may be as many again.
    kinds = 1 + len(streams) + len(streams & {"ws", "wss"})
    first, last = config.rtp.first_and_last
    ports = min(last + 1 - first, 2 * MAX_PORTS)
    return descriptors.connections(kinds, ports + len(config.sip.endpoints))


def switchboard(config: configuration.Config) -> Settings:
    """What the operator decided about calls."""
    return Settings(
        public_url=config.http.public_url,
        address=_sound_address(config),
        silence_hangup=config.rtp.silence_hangup,
        transfers=config.sip.transfers,
        limits=Limits(
            members=config.conference.members,
            coaches=config.conference.coaches,
            hours=config.conference.max_hours,
        ),
        terms=TermsPolicy(
            codecs=_codecs(config.rtp.codecs),
            ours_first=config.rtp.codec_order == "ours",
            srtp=config.sip.srtp,
            keys_in_clear=config.sip.srtp_keys_in_clear,
            hold_music=config.conference.far_hold_music,
        ),
        accounts=limits(config),
    )


def session_timers(config: configuration.Config) -> TimerPolicy:
    """When calls are refreshed (RFC 4028)."""
    return TimerPolicy(config.sip.session_expires, config.sip.session_minimum)


def passwords(config: configuration.Config) -> dict[str, str]:
    """Those of the users, by name."""
    return {user.name: user.password for user in config.users}


def users(config: configuration.Config) -> dict[str, User]:
    """By name."""
    return {user.name: User(user.account, user.srtp) for user in config.users}


def accounts(config: configuration.Config) -> list[Account]:
    """Who uses the API."""
    return [Account(account.id, account.username, account.password) for account in config.accounts]


def limits(config: configuration.Config) -> dict[str, AccountLimits]:
    """What each account may begin."""
    return {
        account.id: AccountLimits(account.calls_per_second, account.concurrent_calls)
        for account in config.accounts
    }


def named_hosts(config: configuration.Config) -> list[str]:
    """Hosts that the file names may be called by being named; BXML and REST reach what is allowed."""
    return [urlsplit(url).netloc for application in config.applications for url in application.urls.values()]


def trunks(config: configuration.Config) -> list[Trunk]:
    """In the order of the file."""
    return [_trunk(trunk) for trunk in config.trunks]


def _trunk(trunk: configuration.Trunk) -> Trunk:
    return Trunk(
        name=trunk.name,
        host=trunk.host,
        transport=trunk.transport,
        numbers=trunk.numbers,
        username=trunk.username,
        password=trunk.password,
        inbound=trunk.inbound,
        inbound_users=trunk.inbound_users,
        account=trunk.account,
        max_calls=trunk.max_calls,
        calls_per_second=trunk.calls_per_second,
        inbound_calls_per_second=trunk.inbound_calls_per_second,
        trusted=trunk.trusted,
        strip=trunk.strip,
        prefix=trunk.prefix,
        caller_strip=trunk.caller_strip,
        caller_prefix=trunk.caller_prefix,
        inbound_strip=trunk.inbound_strip,
        inbound_prefix=trunk.inbound_prefix,
        health_check=trunk.health_check,
        codecs=_codecs(trunk.codecs),
        srtp=trunk.srtp,
        leading_silence=trunk.leading_silence,
        delay_floor=trunk.delay_floor,
        delay_ceiling=trunk.delay_ceiling,
        register=trunk.register,
        register_expires=trunk.register_expires,
    )


def _codecs(names: tuple[str, ...]) -> tuple[str, ...]:
    """Of the configured codecs those that this machine has the libraries for."""
    try:
        opus.library()
    except opus.Missing as error:
        if "OPUS" in names:
            logger.warning("codec_missing", extra={"codec": "OPUS", "reason": str(error)})
        return tuple(name for name in names if name != "OPUS")
    return names


def applications(config: configuration.Config) -> list[Application]:
    """With their documents read. Raises OSError."""
    return [_application(application) for application in config.applications]


def _application(application: configuration.Application) -> Application:
    def callback(url: str, method: str, fallback_url: str = "", fallback_method: str = "POST") -> Callback:
        return Callback(
            url=url,
            method=method,
            fallback_url=fallback_url or None,
            fallback_method=fallback_method,
            username=application.username or None,
            password=application.password or None,
            fallback_username=application.fallback_username or None,
            fallback_password=application.fallback_password or None,
            timeout=application.callback_timeout,
        )

    initiated = application.call_initiated_url and callback(
        application.call_initiated_url,
        application.call_initiated_method,
        application.call_initiated_fallback_url,
        application.call_initiated_fallback_method,
    )
    status = application.call_status_url and callback(
        application.call_status_url, application.call_status_method
    )
    return Application(
        id=application.id,
        account=application.account,
        numbers=application.numbers,
        initiated=initiated or None,
        document=_document(application.bxml),
        status=status or None,
        callback_timeout=application.callback_timeout,
    )


def _document(path: Path | None) -> str:
    return BUILT_IN if path is None else path.read_text("utf-8")


def _sound_address(config: configuration.Config) -> str:
    """Where all sound is received; empty where that is every address and the one that fits is chosen."""
    return "" if ip_address(config.rtp.address).is_unspecified else config.rtp.address


def own_hosts(config: configuration.Config) -> frozenset[str]:
    """The names by which this server is called, as far as its configuration tells."""
    listening = {endpoint.address for endpoint in config.sip.endpoints}
    return frozenset(listening | {config.sip.advertise, "localhost"}) - {"", "0.0.0.0", "::"}
