"""The wiring: a configuration in, a running server out. Nothing is decided here."""

import asyncio
import logging
import os
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from api.app import create_app
from api.auth import Account, Credentials
from api.server import HttpServer
from api.webhooks import Courier
from calls.admission import AccountLimits
from calls.application import BUILT_IN, Application
from calls.callbacks import Callback
from calls.conferences import Limits
from calls.routing import Routing, User
from calls.switchboard import Settings, Switchboard
from calls.terms import TermsPolicy
from media.client import MediaClient, MediaConfig, Sound
from mixer import opus
from mixminus import config as configuration
from mixminus import garbage
from mixminus.metrics import exposition
from mixminus.registrations import Registrations
from net.http import HttpClient
from net.policy import Policy
from sip.access import Access, Trunk
from sip.endpoint import EndpointConfig
from sip.hep import Hep
from sip.registrar import Registrar
from sip.session_timer import TimerPolicy
from sip.shell import SipServer
from sip.trace import Trace
from sip.trunk_care import TrunkCare
from sip.trunks import Trunks
from sip.uri import host_port
from speech.speech import Speech

logger = logging.getLogger(__name__)

VERSION = version("mixminus")

# Without a packet for so many seconds a leg is reported as silent.
_SILENCE = 10.0

# How long the answers to the last BYEs are waited for.
_LAST_BYES = 1.0


class Server:
    """One MixMinus, from its configuration. `start`, then `stop`, each once."""

    def __init__(self, config: configuration.Config) -> None:
        self._config = config
        self._ready = False
        self._stack = AsyncExitStack()
        self._access = Access(
            allow=config.sip.allow,
            trunks=[_trunk(trunk) for trunk in config.trunks],
            users=_passwords(config),
            algorithms=config.sip.digest,
        )
        self._registrar = Registrar(tuple(_passwords(config)))
        self._registrations = Registrations(self._registrar, config.data.directory)
        self._trunks = Trunks(self._access.trunks)
        self._hep = Hep(collector, config.sip.hep_id) if (collector := config.sip.hep) else None
        self.sip = SipServer(
            EndpointConfig(
                user_agent=f"MixMinus/{VERSION}",
                advertise=config.sip.advertise,
                local_networks=config.sip.local_networks,
                access=self._access,
                registrar=self._registrar,
                stranger_rate=config.sip.stranger_rate,
                session_timers=TimerPolicy(config.sip.session_expires, config.sip.session_minimum),
            ),
            lambda event: self.switchboard.on_sip(event),
            tls=config.sip.tls_files,
            origins=config.sip.origins,
            watchers=[watcher for watcher in (Trace() if config.sip.trace else None, self._hep) if watcher],
        )
        self._care = TrunkCare(self._trunks, self.sip)
        self.media = MediaClient(
            MediaConfig(
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
            ),
            lambda event: self.switchboard.on_media(event),
        )
        self._policy = Policy(
            config.webhooks.allow, _named(config), require_https=config.webhooks.require_https
        )
        self._web = HttpClient(self._policy, user_agent=f"MixMinus/{VERSION}")
        self.speech = Speech(config.data.directory / "prompts", self._web)
        self.courier = Courier(self._web, signing_key=config.webhooks.signing_key)
        self._routing = Routing(
            self._access,
            self._registrar,
            self._trunks,
            users=_users(config),
            hosts=_own_hosts(config),
        )
        self.switchboard = Switchboard(
            settings=Settings(
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
                accounts=_limits(config),
            ),
            applications=[_application(application) for application in config.applications],
            routing=self._routing,
            sip=self.sip,
            trunks=self._trunks,
            media=self.media,
            speech=self.speech,
            courier=self.courier,
        )
        self._credentials = Credentials(_accounts(config))
        app = create_app(
            self.switchboard,
            self._credentials,
            courier=self.courier,
            health=self.health,
            metrics=exposition(
                self.switchboard,
                self._trunks,
                {
                    "media": self.media.statistics,
                    "sip": self._sip_statistics,
                    "webhooks": lambda: (
                        self.courier.statistics
                        | {"waiting": self.courier.waiting, "undelivered": len(self.courier.undelivered)}
                    ),
                },
                self.media.histograms,
            ),
            public_url=config.http.public_url,
            version=VERSION,
        )
        self.http = HttpServer(app, host_port(*config.http.listen))

    async def start(self) -> None:
        """Start everything. What listens is bound first, so that an address in use is known before
        anything else has begun; until all is ready, calls get 503 and so does /healthz.

        Raises OSError naming the key and the address that cannot be had; what was started is stopped.
        """
        try:
            self._stack.push_async_callback(self._web.close)
            await self._registrations.start()
            self._stack.push_async_callback(self._registrations.close)
            if self._hep is not None:
                self._hep.start()
                self._stack.push_async_callback(self._hep.close)
            await self._listen()
            self._stack.push_async_callback(self.sip.close)
            await self.http.start()
            self._stack.push_async_callback(self.http.close)
            self._stack.push_async_callback(self.speech.close)
            self._stack.push_async_callback(self.media.close)
            await _together(self.speech.start(), self.media.start())
            await self._care.start()
            self._stack.push_async_callback(self._care.close)
        except BaseException:
            await self._stack.aclose()
            raise
        garbage.settle()
        tidying = asyncio.create_task(garbage.tidy(), name="garbage")
        self._stack.callback(tidying.cancel)
        self._ready = True
        logger.info("server_started", extra={"version": VERSION, "pids": self.pids})

    async def adopt(self, config: configuration.Config) -> tuple[str, ...]:
        """Take accounts, applications, users, trunks and the files of the certificate from another
        configuration; live calls go on. Returns the names of other sections that are different, which wait
        for a restart. Raises OSError, of nothing done."""
        applications = [_application(application) for application in config.applications]
        trunks = [_trunk(trunk) for trunk in config.trunks]
        self.sip.reload_certificate()
        self.switchboard.adopt(applications, _limits(config))
        self._policy.name(_named(config))
        self._access.adopt(trunks, _passwords(config))
        self._registrar.admit(tuple(_passwords(config)))
        self._routing.adopt(_users(config))
        self.switchboard.gallery.dismiss(self._credentials.adopt(_accounts(config)))
        self._trunks.adopt(trunks)
        await self._care.renew()
        return tuple(
            section
            for section in configuration.TABLES
            if getattr(config, section) != getattr(self._config, section)
        )

    async def _listen(self) -> None:
        try:
            await self.sip.start(self._config.sip.listen)
        except OSError as error:
            raise OSError(error.errno, f"sip.listen {error.strerror}") from error

    def hurry(self) -> None:
        """End the drain of a stop that is under way."""
        self.switchboard.hurry()

    async def stop(self) -> None:
        """Take no new calls, end the live ones, deliver what has to be told, stop everything."""
        self._ready = False
        logger.info("server_stopping", extra={"calls": len(self.switchboard.live_calls)})
        await self.switchboard.stop(self._config.server.drain)
        await self.sip.settled(_LAST_BYES)
        await self.courier.close()
        await self._stack.aclose()
        logger.info("server_stopped")

    def _sip_statistics(self) -> dict[str, int]:
        return self.sip.statistics if self._hep is None else self.sip.statistics | self._hep.statistics

    @property
    def pids(self) -> dict[str, object]:
        return {"control": os.getpid(), "media": self.media.pids, "speech": self.speech.pids}

    def health(self) -> Mapping[str, object]:
        """The body of /healthz. Source: the fixed interface; `status` is "ok" when calls are taken."""
        accepts = self._ready and not self.switchboard.stopping and self.media.ready
        status = "ok" if accepts else "stopping" if self.switchboard.stopping else "starting"
        return {"status": status, "version": VERSION, "pids": self.pids}


async def _together(*starts: Coroutine[object, object, None]) -> None:
    """Processes that are loaded side by side. Where one cannot be started, none goes on."""
    tasks = [asyncio.create_task(start) for start in starts]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _passwords(config: configuration.Config) -> dict[str, str]:
    return {user.name: user.password for user in config.users}


def _users(config: configuration.Config) -> dict[str, User]:
    return {user.name: User(user.account, user.srtp) for user in config.users}


def _accounts(config: configuration.Config) -> list[Account]:
    return [Account(account.id, account.username, account.password) for account in config.accounts]


def _limits(config: configuration.Config) -> dict[str, AccountLimits]:
    return {
        account.id: AccountLimits(account.calls_per_second, account.concurrent_calls)
        for account in config.accounts
    }


def _named(config: configuration.Config) -> list[str]:
    """Hosts that the file names may be called by being named; BXML and REST reach what is allowed."""
    return [urlsplit(url).netloc for application in config.applications for url in application.urls.values()]


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


def _own_hosts(config: configuration.Config) -> frozenset[str]:
    """The names by which this server is called, as far as its configuration tells."""
    listening = {endpoint.address for endpoint in config.sip.endpoints}
    return frozenset(listening | {config.sip.advertise, "localhost"}) - {"", "0.0.0.0", "::"}
