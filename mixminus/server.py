"""The wiring: a configuration in, a running server out. Nothing is decided here."""

import asyncio
import logging
import os
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from importlib.metadata import version

from api.app import create_app
from api.auth import Credentials
from api.server import CONNECTIONS, HttpServer
from api.webhooks import Courier
from calls.routing import Routing
from calls.switchboard import Switchboard
from media.client import MediaClient
from mixminus import config as configuration
from mixminus import garbage, translation
from mixminus.metrics import exposition
from mixminus.registrations import Registrations
from net.http import HttpClient
from net.policy import Policy
from sip.endpoint import EndpointConfig
from sip.hep import Hep
from sip.registrar import Registrar
from sip.shell import SipServer
from sip.tcp import StreamLimits
from sip.trace import Trace
from sip.trunk_care import TrunkCare
from sip.trunks import Trunks
from sip.uri import host_port
from speech.speech import Speech

logger = logging.getLogger(__name__)

VERSION = version("mixminus")

# How long the answers to the last BYEs are waited for.
_LAST_BYES = 1.0


class Server:
    """One MixMinus, from its configuration. `start`, then `stop`, each once."""

    def __init__(self, config: configuration.Config) -> None:
        self._config = config
        self._ready = self._stopping = False
        self._stack = AsyncExitStack()
        self._access = translation.access(config)
        self._registrar = Registrar(tuple(translation.passwords(config)))
        self._registrations = Registrations(self._registrar, config.data.directory)
        self._trunks = Trunks(self._access.trunks)
        most = translation.connections(config)
        self._hep = Hep(collector, config.sip.hep_id) if (collector := config.sip.hep) else None
        self.sip = SipServer(
            EndpointConfig(
                user_agent=f"MixMinus/{VERSION}",
                advertise=config.sip.advertise,
                local_networks=config.sip.local_networks,
                access=self._access,
                registrar=self._registrar,
                stranger_rate=config.sip.stranger_rate,
                session_timers=translation.session_timers(config),
            ),
            lambda event: self.switchboard.on_sip(event),
            StreamLimits(connections=min(most, StreamLimits.connections)),
            tls=config.sip.tls_files,
            origins=config.sip.origins,
            watchers=[watcher for watcher in (Trace() if config.sip.trace else None, self._hep) if watcher],
        )
        self._care = TrunkCare(self._trunks, self.sip)
        self.media = MediaClient(
            translation.media(config),
            lambda event: self.switchboard.on_media(event),
        )
        self._policy = Policy(
            config.webhooks.allow,
            translation.named_hosts(config),
            require_https=config.webhooks.require_https,
        )
        self._web = HttpClient(self._policy, user_agent=f"MixMinus/{VERSION}")
        self.speech = Speech(config.data.directory / "prompts", self._web)
        self.courier = Courier(self._web, signing_key=config.webhooks.signing_key)
        self._routing = Routing(
            self._access,
            self._registrar,
            self._trunks,
            users=translation.users(config),
            hosts=translation.own_hosts(config),
        )
        self.switchboard = Switchboard(
            settings=translation.switchboard(config),
            applications=translation.applications(config),
            routing=self._routing,
            sip=self.sip,
            trunks=self._trunks,
            media=self.media,
            speech=self.speech,
            courier=self.courier,
        )
        self._credentials = Credentials(translation.accounts(config))
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
        self.http = HttpServer(app, host_port(*config.http.listen), connections=min(most, CONNECTIONS))

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
        applications = translation.applications(config)
        trunks = translation.trunks(config)
        self.sip.reload_certificate()
        self.switchboard.adopt(applications, translation.limits(config))
        self._policy.name(translation.named_hosts(config))
        self._access.adopt(trunks, translation.passwords(config))
        self._registrar.admit(tuple(translation.passwords(config)))
        self._routing.adopt(translation.users(config))
        self.switchboard.gallery.dismiss(self._credentials.adopt(translation.accounts(config)))
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

    def expect_stop(self) -> None:
        """Say at /healthz that the server stops, which it may have to start for: whoever is started after it
        waits for its addresses."""
        self._stopping = True

    def hurry(self) -> None:
        """End the drain of a stop that is under way."""
        self.switchboard.hurry()

    async def stop(self) -> None:
        """Take no new calls, end the live ones, deliver what has to be told, stop everything."""
        self.expect_stop()
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
        accepts = self._ready and self.media.ready
        status = "stopping" if self._stopping else "ok" if accepts else "starting"
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
