"""A leg as control has it: what was agreed for it, what plays to it, and what there is to tell of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from media.messages import Format, Srtp
from rtp.ports import Remote

Room = int


class PlaybackLost(Exception):
    """The prompt will not be played to its end: its leg was closed, its room ended, or media was lost."""


@dataclass(frozen=True, slots=True)
class LegMedia:
    """What an offer and its answer have agreed for one leg, seen from here.

    `remote`: where the far end's SDP wants packets, None for nowhere; `format`, `payload_type`, `ptime` (ms:
    10, 20, 40 or 60): of what we send; `accepts`: payload type -> format of what may come; `dtmf`,
    `dtmf_clock`: the payload type of telephone-event and the Hz of its durations; `comfort`: the payload type
    of comfort noise (RFC 3389); `sends`, `receives`: whether audio flows from us, and to us; `srtp`: its
    keys, None for plain RTP; `rtcp`: where the far end's RTCP goes, None for the port beside `remote`;
    `rtcp_mux`: RTCP comes and goes on the port of RTP (RFC 5761).
    """

    remote: Remote | None
    format: Format
    payload_type: int
    accepts: dict[int, Format]
    dtmf: int | None = None
    ptime: int = 20
    sends: bool = True
    receives: bool = True
    dtmf_clock: int = 8000
    comfort: int | None = None
    srtp: Srtp | None = None
    rtcp: Remote | None = None
    rtcp_mux: bool = False


@dataclass(eq=False, slots=True)
class Leg:
    """One call's place in the media process; `address` and `port` belong into our SDP; `reports`: where the
    far end's SDP says that its RTCP is. `gain`, `floor`, `ceiling`: see `MediaClient.treat`."""

    id: int
    address: str
    port: int
    signalling: str | None
    learns: bool = True
    reports: str | None = None
    gain: bool = False
    floor: float = 0.0
    ceiling: float = 0.0


class Playback:
    """A prompt, or digits, on the way to one leg or room.

    `done` gives True when the last packet that carries it has had its time to be played out, False after
    `stop`, and raises PlaybackLost when its leg is closed, its room ends or the media process dies.
    """

    def __init__(self, number: int, target: Leg | Room, stop: Callable[[int], None]) -> None:
        self.id = number
        self.target = target
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._stop = stop

    def stop(self) -> None:
        """Silence it at the next beat; nothing happens once it is done."""
        if not self.done.done():
            self._stop(self.id)
            self.done.set_result(False)

    def lose(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(PlaybackLost(reason))
            self.done.exception()  # seen: nobody has to wait for a prompt


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """One key, pressed once: told by RFC 4733, or heard (`inband`). `duration_ms` is the far end's word, 0 if
    its end was lost at once; of a tone, how long it was heard."""

    leg_id: int
    digit: str
    duration_ms: int
    inband: bool = False

    def __repr__(self) -> str:  # a digit may be part of a PIN
        return f"DigitReceived(leg_id={self.leg_id}, duration_ms={self.duration_ms})"


@dataclass(frozen=True, slots=True)
class LegSilent:
    """A leg that should be heard has sent nothing for so many seconds. Once per silence."""

    leg_id: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LegHeard:
    """A leg that was reported silent sends again."""

    leg_id: int


@dataclass(frozen=True, slots=True)
class MediaLost:
    """The media process died. `legs` are the ids that went with it; they are closed already."""

    legs: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class MediaReady:
    """A media process runs: after `start`, and again after each MediaLost."""

    pid: int


MediaEvent = DigitReceived | LegSilent | LegHeard | MediaLost | MediaReady
