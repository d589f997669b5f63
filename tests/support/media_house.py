"""A running media process as control has it, and phones: small UDP peers with tones."""

from media.client import (
    Leg,
    LegMedia,
    MediaClient,
    MediaConfig,
    MediaEvent,
)
from tests.support.eventually import eventually
from tests.support.free_ports import free_range
from tests.support.rtp_line import Line, MediaClock, MediaSocket
from tests.support.sounds import Sound, Tone
from tests.support.tones import tones
from tests.support.virtual_network import PCMA, PCMU

LAWS = {0: "PCMU", 8: "PCMA"}
ALL = {0: PCMU, 8: PCMA}


class Phone:
    """A UDP peer that says a tone, and the leg that belongs to it."""

    def __init__(
        self,
        house: "House",
        sound: Sound | None,
        *,
        law: str = "PCMU",
        ptime: int = 20,
        host: str = "127.0.0.1",
    ) -> None:
        self.socket = MediaSocket(host)
        kind = 0 if law == "PCMU" else 8
        self.line = Line(self.socket, sound=sound, law=law, payload_type=kind, ptime=ptime)
        self.line.laws = LAWS
        self.line.dtmf = 101
        self._house = house
        self.leg: Leg | None = None

    def dial(
        self, *, sdp: tuple[str, int] | None = None, signalling: str = "127.0.0.1", **changes: object
    ) -> Leg:
        """Open and connect; `sdp` is what the phone says of itself."""
        named = sdp or self.socket.address
        media = self._house.media
        leg = media.open_leg(signalling=signalling, remote=named)
        fields: dict[str, object] = {
            "remote": named,
            "format": ALL[self.line.payload_type],
            "payload_type": self.line.payload_type,
            "accepts": ALL,
            "dtmf": 101,
            "ptime": self.line.ptime,
        }
        assert media.connect(leg, LegMedia(**{**fields, **changes}))  # type: ignore[arg-type]
        self.leg = leg
        self.line.remote = (leg.address, leg.port)
        self.line.sending = True
        self._house.clock.add(self.line)
        return leg

    def hears(self, last: float = 0.3) -> set[int]:
        return tones(self.line.pcm(last=last), there=self.line.there(last=last))


class House:
    """A running MediaClient, what it told, and the phones of a test."""

    def __init__(self, **config: object) -> None:
        self.events: list[MediaEvent] = []
        ports = str(config.pop("ports", "") or free_range(64))
        self.media = MediaClient(MediaConfig(ports=ports, **config), self.events.append)  # type: ignore[arg-type]
        self.clock = MediaClock()
        self.phones: list[Phone] = []

    async def __aenter__(self) -> "House":
        await self.media.start()
        self.clock.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.clock.stop()
        for phone in self.phones:
            phone.socket.close()
        await self.media.close()

    def phone(self, sound: Sound | int | None = None, **changes: object) -> Phone:
        said = Tone(sound) if isinstance(sound, int) else sound
        phone = Phone(self, said, **changes)  # type: ignore[arg-type]
        self.phones.append(phone)
        return phone

    def told(self, kind: type) -> list[MediaEvent]:
        return [event for event in self.events if isinstance(event, kind)]


async def hears_exactly(phone: Phone, frequencies: set[int]) -> None:
    def now() -> bool:
        heard = phone.hears()
        assert heard == frequencies, f"hears {heard}, not {frequencies}"
        return True

    await eventually(now)
