"""What control and the media process say to each other.

Down go commands, up go reports. One message carries a list of either: a list of commands is applied
together, at one beat, before that beat's tick. Legs, rooms, prompts and plays are numbers that control
gives out; addresses are the 32-bit numbers of `rtp.addresses`, as the columns hold them.
"""

import msgspec


class Format(msgspec.Struct, frozen=True, array_like=True):
    """What the packets of one payload type carry.

    `codec`: "PCMU", "PCMA", "L16", "G722" or "OPUS"; `rate`: Hz of the sound (8000, 16000 or 48000); `clock`:
    Hz of the RTP clock (G722 says 8000, RFC 3551 section 4.5.2; OPUS 48000, RFC 7587 section 4.1; the others
    their rate). Of OPUS alone: the peer makes use of in-band FEC (`fec`), wants silence left out (`dtx`), and
    takes so many bit/s at most (`bitrate`, 0 = ours to choose).
    """

    codec: str
    rate: int
    clock: int
    fec: bool = False
    dtx: bool = False
    bitrate: int = 0


class Srtp(msgspec.Struct, frozen=True, array_like=True):
    """The keys of one leg (RFC 4568): `suite` by its name there or in RFC 7714, `send` and `receive` each a
    master key with its salt behind it."""

    suite: str
    send: bytes
    receive: bytes

    def __repr__(self) -> str:
        return f"Srtp(suite={self.suite!r})"


class Sound(msgspec.Struct, frozen=True, array_like=True):
    """What is done to the sound of all legs, where nothing else is said of one.

    `gate`: codecs whose legs have a gate (`mixer.gate`); `gain`: legs are brought to one level; `inband`:
    keys are looked for in the sound of legs without telephone-event; `keys_heard`: others hear the tones of
    keys; `floor`, `ceiling`: ms that packets wait at least, and the quickest ones at most.
    """

    gate: tuple[str, ...] = ("G722", "OPUS")
    gain: bool = False
    inband: bool = True
    keys_heard: bool = False
    floor: float = 6.0
    ceiling: float = 200.0


class Command(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of everything control asks for."""


class Setup(Command, frozen=True):
    """The first command of all. `rtp` and `rtcp` are descriptors of bound sockets, index by index;
    `shared` is the descriptor of the memory of `media.shared`."""

    rtp: list[int]
    rtcp: list[int]
    shared: int
    legs: int
    silence: float
    sound: Sound


class Open(Command, frozen=True):
    """Take a row for a leg; its packets come and go at the socket `port` (an index)."""

    leg: int
    port: int


class Name(Command, frozen=True):
    """The number by which commands and reports name an IPv6 address (16 bytes) from now on."""

    number: int
    address: bytes


class Connect(Command, frozen=True):
    """An SDP of the peer is known. `renew`: it came in a re-INVITE, so the source before it counts until
    the first packet from the new one. `learn`: a source that the SDP does not name may be learnt. `format`:
    of what we send, under `payload_type`; `accepts`: of what may come, by payload type; `dtmf`, `comfort`: of
    telephone-event and comfort noise, -1 for none; `rtcp_address`, `rtcp_port`: where the peer's RTCP goes, 0
    for nowhere; `rtcp_guessed`: the peer has not said so: see `media.reporting`."""

    leg: int
    address: int
    port: int
    signalling: int
    learn: bool
    renew: bool
    payload_type: int
    format: Format
    accepts: dict[int, Format]
    dtmf: int
    ptime: int
    sends: bool
    receives: bool
    dtmf_clock: int = 8000
    comfort: int = -1
    rtcp_address: int = 0
    rtcp_port: int = 0
    rtcp_mux: bool = False
    srtp: Srtp | None = None
    rtcp_guessed: bool = False


class Move(Command, frozen=True):
    leg: int
    port: int


class Close(Command, frozen=True):
    leg: int


class Treat(Command, frozen=True):
    """What is done to the sound of one leg, as `Sound` says it of all."""

    leg: int
    gain: bool
    floor: float
    ceiling: float


class Seat(Command, frozen=True):
    """`coaches`: the legs that alone hear this one, None if it is no coach; `coached_by`: the legs
    already seated that coach this one."""

    leg: int
    room: int
    mute: bool
    hold: bool
    coaches: list[int] | None
    coached_by: list[int]


class Unseat(Command, frozen=True):
    leg: int


class Flags(Command, frozen=True):
    leg: int
    mute: bool
    hold: bool


class Coach(Command, frozen=True):
    leg: int
    coaches: list[int] | None


class EndRoom(Command, frozen=True):
    room: int


class Load(Command, frozen=True):
    """A prompt of `size` bytes, 16-bit little-endian samples at 8 kHz; its descriptor travels beside."""

    prompt: int
    size: int


class Forget(Command, frozen=True):
    prompt: int


class PlayToLeg(Command, frozen=True):
    play: int
    prompt: int
    leg: int


class PlayToRoom(Command, frozen=True):
    play: int
    prompt: int
    room: int


class SendDigits(Command, frozen=True):
    """Press keys as `rtp.keys.plan` reads them; `tone` and `interval` in ms. It is a play like the others."""

    play: int
    leg: int
    digits: str
    tone: float
    interval: float

    def __repr__(self) -> str:
        return f"SendDigits(play={self.play}, leg={self.leg})"


class StopPlay(Command, frozen=True):
    play: int


AnyCommand = (
    Setup
    | Open
    | Name
    | Connect
    | Move
    | Close
    | Treat
    | Seat
    | Unseat
    | Flags
    | Coach
    | EndRoom
    | Load
    | Forget
    | PlayToLeg
    | PlayToRoom
    | SendDigits
    | StopPlay
)


class Event(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of everything the media process has to tell; none of it is ever dropped."""


class Ready(Event, frozen=True):
    """The beat runs. `buffer`: effective SO_RCVBUF in bytes; `batched`: recvmmsg is in use."""

    pid: int
    buffer: int
    batched: bool


class Pinned(Event, frozen=True):
    """The leg's packets come from here, and its own go here."""

    leg: int
    address: int
    port: int


class Digit(Event, frozen=True):
    leg: int
    digit: str
    duration: int  # ms
    inband: bool = False

    def __repr__(self) -> str:
        return f"Digit(leg={self.leg}, duration={self.duration})"


class Silent(Event, frozen=True):
    leg: int
    seconds: float


class Heard(Event, frozen=True):
    leg: int


class Played(Event, frozen=True):
    """The last packet of a play has left, and its ptime has passed; of keys, the interval after the last."""

    play: int


class Unplayed(Event, frozen=True):
    """A play that could not begin."""

    play: int
    reason: str


class Refused(Event, frozen=True):
    """A command could not be carried out, for a reason that is not a fault of this process."""

    command: str
    reason: str


AnyEvent = Ready | Pinned | Digit | Silent | Heard | Played | Unplayed | Refused


class Report(msgspec.Struct, frozen=True, array_like=True):
    """Events in order; `number` counts those that went before, so that a gap shows."""

    number: int
    events: list[AnyEvent]
