"""The asyncio side of the media process: legs, rooms and prompts as control sees them.

Nothing here waits but `start` and `close`. What is asked for in one pass of the event loop leaves in one
message and takes hold together, at one beat. Ports are chosen here (`rtp.ports`), so that an SDP can be
written at once; everything else happens over there.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from media import messages
from media.addresses import Addresses, AddressNotSupported
from media.figures import LegStatistics, Voice, leg_figures, leg_voices
from media.leg import (
    DigitReceived,
    Leg,
    LegHeard,
    LegMedia,
    LegSilent,
    MediaEvent,
    MediaLost,
    MediaReady,
    Playback,
    PlaybackLost,
    Room,
)
from media.library import Library
from media.messages import AnyEvent, Format, Sound, Srtp
from media.shared import COUNTERS, cumulative, quantile, spread
from media.supervisor import Supervisor
from rtp.ports import NoPort, Placing, Remote

logger = logging.getLogger(__name__)

MAX_PORTS = 256  # of a long range the first so many even ones are used; more would only cost descriptors

__all__ = [
    "AddressNotSupported",
    "DigitReceived",
    "Format",
    "Full",
    "Leg",
    "LegHeard",
    "LegMedia",
    "LegSilent",
    "LegStatistics",
    "MediaClient",
    "MediaConfig",
    "MediaDown",
    "MediaEvent",
    "MediaLost",
    "MediaReady",
    "NoPort",
    "Playback",
    "PlaybackLost",
    "Room",
    "Sound",
    "Srtp",
    "Voice",
]


class Full(NoPort):
    """As many legs as configured are open."""


class MediaDown(NoPort):
    """The media process has died and its successor is not ready yet."""


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """`address` and `ports` are the keys of `[rtp]`; `silence`: seconds without a packet until LegSilent;
    `legs`: the most legs at once; `sound`: what is done to what they say."""

    address: str = "127.0.0.1"
    ports: str = "20000-20127"
    silence: float = 10.0
    legs: int = 1000
    sound: Sound = field(default_factory=Sound)


class MediaClient:
    """The media process. `on_event` is called in the event loop, once per event, in order."""

    def __init__(self, config: MediaConfig, on_event: Callable[[MediaEvent], None]) -> None:
        self._config = config
        self._on_event = on_event
        self._numbers = _rtp_ports(config.ports)
        self._placing = Placing(len(self._numbers))
        self._legs: dict[int, Leg] = {}
        self._playbacks: dict[int, Playback] = {}
        self._library = Library()
        self._addresses = Addresses(
            config.address, lambda command: self._supervisor.send(command), self._held
        )
        self._next_leg = 1
        self._next_play = 1
        self._supervisor = Supervisor(
            address=config.address,
            ports=self._numbers,
            legs=config.legs,
            silence=config.silence,
            sound=config.sound,
            on_event=self._handle,
            on_lost=self._lost,
        )

    async def start(self) -> None:
        """Returns when the media process sends and receives. Raises OSError, naming the key, where the
        address or a port of the range cannot be had, and ChildProcessError where the process does not run."""
        await self._supervisor.start()
        ready = self._supervisor.ready
        assert ready is not None
        logger.info(
            "media_started",
            extra={
                "pid": ready.pid,
                "ports": len(self._numbers),
                "receive_buffer": ready.buffer,
                "batched": ready.batched,
                # One datagram of a 20 ms G.711 packet costs the kernel about 768 bytes of buffer.
                "legs_per_port": ready.buffer // 768,
            },
        )

    async def close(self) -> None:
        """End the media process, and with it every leg."""
        await self._supervisor.close()
        for playback in list(self._playbacks.values()):
            playback.lose("the media process is closed")
        self._playbacks.clear()
        self._legs.clear()

    @property
    def pids(self) -> list[int]:
        return self._supervisor.pids

    @property
    def ready(self) -> bool:
        """Whether legs can be opened: a media process runs, and its beat has begun."""
        return self._supervisor.ready is not None

    def carries(self, address: str) -> bool:
        """Whether sound can go to this IP address and come from it: its family is that of `rtp.address`."""
        return self._addresses.carries(address)

    # Legs

    def open_leg(self, *, signalling: str | None, remote: Remote | None) -> Leg:
        """A leg and its port. `signalling`: the IP address of the far end's SIP, if known; `remote`: what
        its SDP names, None before its answer. Raises Full and MediaDown, which are NoPort, and
        AddressNotSupported."""
        if not self._supervisor.ready:
            raise MediaDown("the media process is being started")
        if remote is not None:
            self._addresses.number(remote[0])
        if len(self._legs) >= self._config.legs:
            raise Full(f"all {self._config.legs} legs are in use")
        signalling = self._carried(signalling)
        number = self._next_leg
        port = self._placing.place(number, signalling=signalling, remote=remote, now=time.monotonic())
        self._next_leg += 1
        leg = Leg(number, self._config.address, self._numbers[port], signalling)
        sound = self._config.sound
        leg.gain, leg.floor, leg.ceiling = sound.gain, sound.floor, sound.ceiling
        self._legs[number] = leg
        self._supervisor.send(messages.Open(number, port))
        return leg

    def connect(self, leg: Leg, media: LegMedia) -> bool:
        """An SDP of the far end is known: packets leave for it from the next beat on, and its own count.
        What an earlier SDP named counts no more. False: another leg of this port has that address; nothing
        was done, use `move`, tell the far end the new port, connect again. Raises AddressNotSupported."""
        return self._connect(leg, media, renew=False)

    def update(self, leg: Leg, media: LegMedia) -> bool:
        """As `connect`, for what a re-INVITE has agreed: the source before it counts as well until the first
        packet from the new one."""
        return self._connect(leg, media, renew=True)

    def commit(self) -> None:
        """All that was asked for is with the media process when this returns, and takes hold before any
        packet that somebody sends because of what he is told afterwards. For the moment before a far end
        learns where to send: until its leg is connected, its packets may look like those of another phone of
        its address."""
        self._supervisor.commit()

    def treat(
        self,
        leg: Leg,
        *,
        gain: bool | None = None,
        floor: float | None = None,
        ceiling: float | None = None,
    ) -> None:
        """What is done to the sound of this leg, as far as it is said: gain control; the ms that its packets
        wait at least, and the quickest at most."""
        leg.gain = leg.gain if gain is None else gain
        leg.floor = leg.floor if floor is None else floor
        leg.ceiling = leg.ceiling if ceiling is None else ceiling
        self._send(leg, messages.Treat(leg.id, leg.gain, leg.floor, leg.ceiling))

    def readdress(self, leg: Leg, signalling: str | None) -> None:
        """The leg is to get another far end, whose SIP comes from there; `connect` follows."""
        leg.signalling = self._carried(signalling)
        self._placing.readdress(leg.id, leg.signalling)

    def move(self, leg: Leg) -> Leg:
        """Take another port, whose number is then in `leg.port`. Raises NoPort when none is better."""
        if leg.id in self._legs:
            port = self._placing.move(leg.id, time.monotonic())
            leg.port = self._numbers[port]
            self._supervisor.send(messages.Move(leg.id, port))
        return leg

    def close_leg(self, leg: Leg) -> None:
        """Give everything back. Its playbacks are lost; closing twice does nothing."""
        if self._legs.pop(leg.id, None) is None:
            return
        self._placing.close(leg.id, time.monotonic())
        self._supervisor.send(messages.Close(leg.id))
        self._lose_playbacks(lambda target: target is leg, "its leg was closed")

    # Rooms

    def seat(
        self,
        leg: Leg,
        room: Room,
        *,
        mute: bool = False,
        hold: bool = False,
        coaches: Iterable[Leg] | None = None,
        coached_by: Iterable[Leg] = (),
    ) -> None:
        """Put a leg into a room. `coaches`: the legs that alone hear it, None for no coach; `coached_by`:
        the legs that coach it, as far as they are seated."""
        self._send(
            leg,
            messages.Seat(leg.id, room, mute, hold, _ids(coaches), [other.id for other in coached_by]),
        )

    def unseat(self, leg: Leg) -> None:
        self._send(leg, messages.Unseat(leg.id))

    def flags(self, leg: Leg, *, mute: bool, hold: bool) -> None:
        self._send(leg, messages.Flags(leg.id, mute, hold))

    def coach(self, leg: Leg, coaches: Iterable[Leg] | None) -> None:
        self._send(leg, messages.Coach(leg.id, _ids(coaches)))

    def end_room(self, room: Room) -> None:
        """Unseat everybody and stop what plays to the room, at one beat."""
        self._supervisor.send(messages.EndRoom(room))
        self._lose_playbacks(lambda target: target == room, "its room has ended")

    def play(self, target: Leg | Room, prompt: bytes) -> Playback:
        """Play 16-bit little-endian mono samples at 8 kHz, from the next beat on."""
        playback = self._playback(target)
        if playback.done.done():
            return playback
        number, crossing = self._library.find(prompt)
        if crossing is not None:
            self._supervisor.send(crossing.command, crossing.descriptor)
        if isinstance(target, Leg):
            self._supervisor.send(messages.PlayToLeg(playback.id, number, target.id))
        else:
            self._supervisor.send(messages.PlayToRoom(playback.id, number, target))
        for command in self._library.excess():
            self._supervisor.send(command)
        return playback

    def leg_statistics(self, leg: Leg) -> LegStatistics | None:
        """What is known of one leg; None while nothing is: it is closed, or was opened a moment ago."""
        shared = self._supervisor.shared
        if shared is None or leg.id not in self._legs:
            return None
        return leg_figures(shared, leg.id, self._addresses.text)

    def voices(self, legs: Iterable[Leg]) -> dict[int, Voice]:
        """What is heard of these legs, by id; those of which nothing is known yet are left out."""
        shared = self._supervisor.shared
        wanted = [leg.id for leg in legs if leg.id in self._legs]
        return leg_voices(shared, wanted) if shared is not None and wanted else {}

    def send_digits(self, leg: Leg, digits: str, *, tone: float, interval: float) -> Playback:
        """Send keys as telephone events, from the next beat on: a tone of `tone` ms each and `interval` ms of
        silence after it; a comma or w (0.5 s) and W (1 s) take the interval's place. To be asked only of a
        leg with a payload type for them, once at a time; it is done after the last interval."""
        playback = self._playback(leg)
        if not playback.done.done():
            self._supervisor.send(messages.SendDigits(playback.id, leg.id, digits, tone, interval))
        return playback

    def statistics(self) -> dict[str, float]:
        """The counters of `media.shared`, and in milliseconds the quantiles of how late beats began
        (`lateness_p50`, `_p99`, `_max`) and of how long they took (`duration_…`). Of the legs whose figures
        are known: `mos_min` and `_p50`, `far_mos_…`, and the same quantiles of `loss`, `jitter`, `round_trip`
        and `far_loss`."""
        shared = self._supervisor.shared
        if shared is None:
            return {}
        figures: dict[str, float] = {name: shared.count(name) for name in COUNTERS}
        figures["restarts"] = self._supervisor.restarts
        for name, bins in (("lateness", shared.lateness), ("duration", shared.duration)):
            for label, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
                figures[f"{name}_{label}"] = quantile(bins, share)
        return figures | spread(shared.quality[shared.legs["leg"] != 0])

    def histograms(self) -> dict[str, list[tuple[float, int]]]:
        """The same two, `lateness` and `duration`, as Prometheus has them: bounds in seconds, each with the
        number of beats below it."""
        shared = self._supervisor.shared
        if shared is None:
            return {}
        return {"lateness": cumulative(shared.lateness), "duration": cumulative(shared.duration)}

    # Within

    def _connect(self, leg: Leg, media: LegMedia, *, renew: bool) -> bool:
        address, port = self._in_numbers(media.remote)
        leg.reports = media.rtcp[0] if media.rtcp else None
        rtcp_address, rtcp_port = self._in_numbers(media.rtcp)
        guessed = media.rtcp is None and not media.rtcp_mux
        if media.remote is not None and media.rtcp is None:
            rtcp_address, rtcp_port = address, port if media.rtcp_mux else (port + 1) % 65536  # 0: nowhere
        if leg.id not in self._legs:
            return True
        stays, learns = self._placing.connect(leg.id, media.remote, time.monotonic())
        if not stays:
            return False
        self._supervisor.send(
            messages.Connect(
                leg=leg.id,
                address=address,
                port=port,
                signalling=self._addresses.number(leg.signalling) if leg.signalling else 0,
                learn=learns,
                renew=renew,
                payload_type=media.payload_type,
                format=media.format,
                accepts=media.accepts,
                dtmf=-1 if media.dtmf is None else media.dtmf,
                ptime=media.ptime,
                sends=media.sends,
                receives=media.receives,
                dtmf_clock=media.dtmf_clock,
                comfort=-1 if media.comfort is None else media.comfort,
                rtcp_address=rtcp_address,
                rtcp_port=rtcp_port,
                rtcp_mux=media.rtcp_mux,
                rtcp_guessed=guessed,
                srtp=media.srtp,
            )
        )
        return True

    def _in_numbers(self, remote: Remote | None) -> tuple[int, int]:
        """Address and port as media takes them, zeros for nowhere. Raises AddressNotSupported."""
        return (0, 0) if remote is None else (self._addresses.number(remote[0]), remote[1])

    def _carried(self, address: str | None) -> str | None:
        """Signalling may come over the other family or by name; then it says nothing of where media comes
        from."""
        return address if address is not None and self._addresses.carries(address) else None

    def _held(self) -> set[str]:
        """The addresses of all that has to do with live legs."""
        reports = {leg.reports for leg in self._legs.values() if leg.reports is not None}
        return self._placing.addresses() | reports

    def _playback(self, target: Leg | Room) -> Playback:
        """A new one; it is lost at once where nothing can be played."""
        playback = Playback(self._next_play, target, self._stop)
        self._next_play += 1
        if not self._supervisor.ready or (isinstance(target, Leg) and target.id not in self._legs):
            playback.lose("its leg is closed" if self._supervisor.ready else "the media process is away")
        else:
            self._playbacks[playback.id] = playback
        return playback

    def _send(self, leg: Leg, command: messages.Command) -> None:
        if leg.id in self._legs:
            self._supervisor.send(command)

    def _stop(self, play: int) -> None:
        if self._playbacks.pop(play, None) is not None:
            self._supervisor.send(messages.StopPlay(play))

    def _lose_playbacks(self, chosen: Callable[[Leg | Room], bool], reason: str) -> None:
        for playback in [playback for playback in self._playbacks.values() if chosen(playback.target)]:
            del self._playbacks[playback.id]
            playback.lose(reason)

    def _handle(self, event: AnyEvent) -> None:
        """News of the media process; what it says of a leg that is closed by now concerns nobody."""
        match event:
            case messages.Ready():
                self._on_event(MediaReady(event.pid))
            case messages.Played():
                playback = self._playbacks.pop(event.play, None)
                if playback is not None and not playback.done.done():
                    playback.done.set_result(True)
            case messages.Unplayed():
                logger.error("media_unplayed", extra={"reason": event.reason})
                playback = self._playbacks.pop(event.play, None)
                if playback is not None:
                    playback.lose(event.reason)
            case messages.Pinned():
                self._placing.pin(event.leg, (self._addresses.text(event.address), event.port))
            case messages.Refused():
                logger.error("media_refused", extra={"command": event.command, "reason": event.reason})
            case messages.Digit() if event.leg in self._legs:
                self._on_event(DigitReceived(event.leg, event.digit, event.duration, event.inband))
            case messages.Silent() if event.leg in self._legs:
                self._on_event(LegSilent(event.leg, event.seconds))
            case messages.Heard() if event.leg in self._legs:
                self._on_event(LegHeard(event.leg))

    def _lost(self, reason: str) -> None:
        legs = tuple(self._legs)
        self._addresses.forget()
        now = time.monotonic()
        for leg in legs:
            self._placing.close(leg, now)
        self._legs.clear()
        self._library.clear()
        self._lose_playbacks(lambda _: True, "the media process was lost")
        self._on_event(MediaLost(legs, reason))


def _rtp_ports(text: str) -> list[int]:
    """The even ports of a range, each with an odd one beside it. Raises NoPort where there is none."""
    first, _, last = text.partition("-")
    try:
        low, high = int(first), int(last)
    except ValueError:
        raise NoPort(f'rtp.ports: expected a range such as "20000-20127", got "{text}"') from None
    numbers = [number for number in range(low, high) if number % 2 == 0]
    if not numbers or low < 1 or high > 65535:
        raise NoPort(f'rtp.ports: expected at least an even port and the odd one after it, got "{text}"')
    return numbers[:MAX_PORTS]


def _ids(legs: Iterable[Leg] | None) -> list[int] | None:
    return None if legs is None else [leg.id for leg in legs]
