"""One beat: packets in, a tick of the mixer, packets out. No clock and no waiting of its own.

What there is to tell is left in `events`. A leg is the mixer's row in every column here.
"""

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from media import messages
from media.messages import AnyCommand, AnyEvent
from media.plays import Plays
from media.reporting import Reporting
from media.shared import COUNTERS, PEAK_DECAY, Shared
from mixer import Full, Handle, Mixer, Room, Tuning, formats, opus
from rtp.addresses import Book
from rtp.comfort import read as read_comfort
from rtp.datagrams import Inbox, Transport
from rtp.demux import COMFORT, EVENT, RTCP, UNWANTED, Demux
from rtp.dtmf import KeyReceivers
from rtp.outgoing import Outgoing
from rtp.packet import Headers, keep_alives, parse
from rtp.rtcp import read_among_rtp
from rtp.srtp import Admission, Srtp

SWEEP_BEATS = 10
MAX_AGE = 32_000  # samples; an older arrival time is a wall clock that was set
COMFORT_TYPE = 13  # RFC 3551 table 4
_LEAST_BITRATE = 6000  # of Opus (RFC 7587 section 6.1)
_PLAYS = (messages.PlayToLeg, messages.PlayToRoom, messages.SendDigits)
_OF_LEGS = (messages.Open, messages.Name, messages.Connect, messages.Treat, messages.Move, messages.Close)


class Engine:
    """The legs of one media process.

    `ports`: how many RTP ports there are (the transport's indexes from there on are RTCP ports); `silence`:
    seconds without a packet until a leg is reported, 0 for never.
    """

    def __init__(
        self,
        *,
        mixer: Mixer,
        demux: Demux,
        outgoing: Outgoing,
        inbox: Inbox,
        transport: Transport,
        shared: Shared,
        ports: int,
        silence: float,
        sound: messages.Sound | None = None,
        book: Book | None = None,
    ) -> None:
        rows = len(mixer.heard)
        self.events: list[AnyEvent] = []
        self._mixer = mixer
        self._demux = demux
        self._outgoing = outgoing
        self._inbox = inbox
        self._transport = transport
        self._shared = shared
        self._ports = ports
        self._silence = silence
        self._sound = sound or messages.Sound()
        self._book = book or Book()
        self._srtp = Srtp(demux.secure, inbox)
        self._reporting = Reporting(rows, ports, demux, outgoing, inbox, self._srtp)
        self._beats = 0
        self._assessed = 0.0
        self._counts: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self._handles: dict[int, Handle] = {}
        self._closed: set[int] = set()  # by the commands of this beat
        self._descriptors: deque[int] = deque()
        self._leg = np.zeros(rows, np.int64)
        self._keys = KeyReceivers(rows)
        self._receives = np.zeros(rows, bool)
        self._loudest = np.zeros(rows, np.float32)  # mean square of a frame, since it was last told
        self._since = np.zeros(rows)
        self._silent = np.zeros(rows, bool)
        self._received = np.zeros(rows, np.int64)
        # Of legs that are closed: the mixer's columns end with them, the totals must not.
        self._gone = {"packets_lost": 0, "packets_late": 0, "packets_doubled": 0}
        self._plays = Plays(mixer, outgoing)

    # Commands

    def _apply(self, commands: Iterable[AnyCommand], now: float) -> None:
        for command in commands:
            self._counts["commands"] += 1
            try:
                self._do(command, now)
            except (LookupError, ValueError, OSError, Full) as error:
                self._counts["refused_commands"] += 1
                name = type(command).__name__
                if isinstance(command, _PLAYS):
                    self.events.append(messages.Unplayed(command.play, f"{error!r}"))
                else:
                    self.events.append(messages.Refused(name, f"{error!r}"))

    def _do(self, command: AnyCommand, now: float) -> None:
        mixer, handles = self._mixer, self._handles
        if self._closed and getattr(command, "leg", None) in self._closed:
            return  # closed by the same message
        match command:
            case messages.Open():
                self._open(command)
            case messages.Name():
                self._book.enter(command.number, command.address)
            case messages.Connect():
                self._connect(command, now)
            case messages.Move():
                row = handles[command.leg] & 0xFFFF
                self._demux.move(row, command.port)
                self._outgoing.move(row, command.port)
                self._reporting.move(row, command.port)
            case messages.Close():
                self._close(command.leg, now)
            case messages.Treat():
                handle = handles[command.leg]
                mixer.control_gain(handle, command.gain)
                mixer.bound_delay(handle, _samples(command.floor), _samples(command.ceiling))
            case messages.Seat():
                mixer.seat(
                    handles[command.leg],
                    command.room,
                    mute=command.mute,
                    hold=command.hold,
                    coaches=self._known(command.coaches),
                    coached_by=self._known(command.coached_by) or (),
                )
            case messages.Unseat():
                mixer.unseat(handles[command.leg])
            case messages.Flags():
                mixer.flags(handles[command.leg], mute=command.mute, hold=command.hold)
            case messages.Coach():
                mixer.coach(handles[command.leg], self._known(command.coaches))
            case messages.EndRoom():
                mixer.end_room(command.room)
                self._plays.drop(Room(command.room))
            case messages.Load():
                self._plays.load(command.prompt, self._descriptors.popleft(), command.size)
            case messages.Forget():
                self._plays.unload(command.prompt)
            case messages.PlayToLeg():
                self._plays.start(command.play, command.prompt, handles[command.leg], self._beats)
            case messages.PlayToRoom():
                self._plays.start(command.play, command.prompt, Room(command.room), self._beats)
            case messages.SendDigits():
                row = handles[command.leg] & 0xFFFF
                self._outgoing.press(
                    row, command.play, command.digits, tone=command.tone, interval=command.interval
                )
            case messages.StopPlay():
                self._plays.stop(command.play)

    def _open(self, command: messages.Open) -> None:
        handle = self._mixer.open()
        row = handle & 0xFFFF
        self._handles[command.leg] = handle
        self._leg[row] = command.leg
        self._received[row] = 0
        self._receives[row] = self._silent[row] = False
        self._mixer.control_gain(handle, self._sound.gain)
        self._demux.open(row, command.port)
        self._outgoing.open(row, command.port)
        self._reporting.open(row, command.port)

    def _connect(self, command: messages.Connect, now: float) -> None:
        handle = self._handles[command.leg]
        row = handle & 0xFFFF
        if command.srtp is None:
            self._srtp.drop_keys(row)
        else:
            srtp = command.srtp
            if self._srtp.set_keys(row, srtp.suite, srtp.send, srtp.receive, renew=command.renew):
                self._outgoing.begin_source(row)
        kinds = {COMFORT_TYPE: COMFORT}
        for number, format in command.accepts.items():
            kinds[number] = formats.number(format.codec, format.rate)
        if command.comfort >= 0:
            kinds[command.comfort] = COMFORT
        if command.dtmf >= 0:
            kinds[command.dtmf] = EVENT
        named = self._demux.connect(
            row,
            address=command.address,
            port=command.port,
            signalling=command.signalling,
            kinds=kinds,
            learn=command.learn,
            renew=command.renew,
            now=now,
        )
        if named:
            self._outgoing.send_to(row, command.address, command.port)
        sends = command.sends and command.port != 0
        self._keys.set_clock(row, command.dtmf_clock)
        hears = formats.number(command.format.codec, command.format.rate)
        self._outgoing.send_as(
            row,
            command.payload_type,
            _ptime(command.format, command.ptime),
            sends,
            command.dtmf,
            clock=command.format.clock,
            events_clock=command.dtmf_clock,
            coded=hears > formats.PLAIN,
        )
        self._mixer.set_format(handle, hears, _tuning(command.format))
        sound = self._sound
        keys = sound.inband and command.dtmf < 0
        self._mixer.analyse(handle, gate=command.format.codec in sound.gate, keys=keys)
        self._reporting.connect(row, command, self._beats)
        if command.receives and not self._receives[row]:
            self._since[row] = now
        self._receives[row] = command.receives

    def _close(self, leg: int, now: float) -> None:
        handle = self._handles.pop(leg)
        self._closed.add(leg)
        row = handle & 0xFFFF
        for name, column in self._stream_columns():
            self._gone[name] += int(column[row])
        self._mixer.close(handle)
        self._demux.close(row, now)
        self._outgoing.close(row)
        self._reporting.close(row)
        self._srtp.drop_keys(row)
        self._receives[row] = self._silent[row] = False
        self._leg[row] = 0
        self._shared.legs[row] = 0
        self._keys.forget(row)
        self._plays.drop(row)

    def _known(self, legs: list[int] | None) -> list[Handle] | None:
        """The handles of those legs that are open; None stays None."""
        if legs is None:
            return None
        return [self._handles[leg] for leg in legs if leg in self._handles]

    # The beat

    def beat(
        self,
        now: float,
        wall: int,
        *,
        skipped: int = 0,
        commands: Sequence[AnyCommand] = (),
        descriptors: deque[int] | None = None,
    ) -> None:
        """One beat. `now`: seconds of the monotonic clock; `wall`: the same moment in ns of the wall clock,
        in which packets say when they arrived; `skipped`: the beats left out just before; `commands`: what is
        to hold from this beat on; `descriptors`: those of the prompts among them, which are taken over.

        What concerns the mixer is done after the packets of the beat were pushed: an audience that grows
        hears what is said from then on."""
        if skipped:
            self._counts["skipped_beats"] += skipped
            self._outgoing.skip(skipped)
            self._mixer.skip(skipped)
        self._beats += 1 + skipped
        if commands:
            # First of all, so that the packets which came after them find their leg, or a closed door.
            self._closed.clear()
            self._take_leave(commands, wall)
            self._apply((command for command in commands if isinstance(command, _OF_LEGS)), now)
        self._reporting.send(self._beats, wall, self._transport)  # while `wall` is the time
        self._transport.receive(self._inbox)
        if self._inbox.count:
            self._receive(now, wall)
        if commands:
            if descriptors is not None:
                self._descriptors.extend(descriptors)
                descriptors.clear()
            self._apply((command for command in commands if not isinstance(command, _OF_LEGS)), now)
        self._mixer.tick()
        for row, key, duration in self._mixer.analysis.keys:
            self._press(row, key, duration, inband=True)
        self._hear_talk()
        slots, runs = self._outgoing.gather(self._mixer.heard, self._mixer.sent, self._mixer.sent_size)
        if runs:
            outbox = self._outgoing.outbox
            protected, plain = self._srtp.protect(outbox, slots)
            failed = self._transport.send(outbox, slots, runs)
            outbox.lengths[protected] = plain
            self._counts["send_errors"] += len(failed)
            self._counts["packets_sent"] += len(slots) - len(failed)
        self.events.extend(messages.Played(play) for play in self._plays.played(self._beats))
        if self._beats % SWEEP_BEATS <= skipped:
            self._sweep(now)

    def _receive(self, now: float, wall: int) -> None:
        inbox, count = self._inbox, self._inbox.count
        slots, length, port = inbox.slots[:count], inbox.length[:count], inbox.port[:count]
        address = inbox.address[:count]
        source, truncated = inbox.source[:count], inbox.truncated[:count]
        gate: Admission | None = None
        if len(self._srtp):
            unread = truncated | keep_alives(slots, length)
            gate = Admission(self._srtp, self._demux.secured(port, address, source, now) * ~unread)
        headers = parse(slots, length)
        read_among_rtp(headers, slots, length)
        headers.valid &= ~truncated
        counts = self._counts
        counts["packets_received"] += count
        beside = port >= self._ports
        if beside.any():
            headers.valid &= ~beside
            counts["rtcp_received"] += int(beside.sum())
            which = np.flatnonzero(beside & ~truncated)
            alive = keep_alives(slots[which, :8], length[which])
            counts["keep_alives"] += int(alive.sum())
            self._reporting.hear_beside(which[~alive], now)
        if not headers.valid.all():
            counts["dropped_truncated"] += int(truncated.sum())
            bad = np.flatnonzero(~(headers.valid | truncated | beside))
            alive = keep_alives(slots[bad, :8], length[bad])
            counts["keep_alives"] += int(alive.sum())
            counts["dropped_malformed"] += int((~alive).sum())
        if gate is not None:
            gate.read(headers)
        rows, kinds = self._demux.match(port, address, source, headers, now, gate)
        if self._demux.pinned:
            self._pin()
        self._received += np.bincount(rows, minlength=len(self._received))
        theirs = rows != 0
        audio = theirs & (kinds < EVENT) & (headers.size > 0) & self._receives[rows]
        if not audio.all():
            self._hear_others(np.where(theirs, kinds, UNWANTED), rows, headers, now)
        self._reporting.receive(rows, kinds, audio, headers)
        age = np.clip((wall - inbox.arrival[:count]) // 125_000, 0, MAX_AGE).astype(np.int32)
        self._mixer.push(
            np.where(audio, rows, 0),  # of row 0 the mixer takes nothing
            headers.sequence,
            headers.timestamp,
            headers.ssrc,
            np.where(audio, kinds, 0),
            age,
            slots,
            headers.offset,
            headers.size,
        )
        if not audio.all():
            mute = theirs & (kinds <= COMFORT) & ~audio & self._receives[rows]
            self._note(np.flatnonzero(mute), rows, kinds, headers)

    def _hear_others(
        self, kinds: NDArray[np.uint8], rows: NDArray[np.intp], headers: Headers, now: float
    ) -> None:
        """Telephone events and RTCP among the packets."""
        events = np.flatnonzero(kinds == EVENT)
        if events.size:
            self._mixer.tell_keys(rows[events])
            for row, key, duration in self._keys.receive(events, rows, headers, self._inbox.slots, now):
                self._press(row, key, duration)
        among = np.flatnonzero(kinds == RTCP)
        if among.size:
            self._counts["rtcp_received"] += among.size
            self._reporting.hear_among(among, rows[among])

    def _note(
        self, which: NDArray[np.intp], rows: NDArray[np.intp], kinds: NDArray[np.uint8], headers: Headers
    ) -> None:
        """Packets without audio, some of them comfort noise."""
        if not which.size:
            return
        level, spectrum = read_comfort(self._inbox.slots[which], headers.offset[which], headers.size[which])
        level[(kinds[which] != COMFORT) | (headers.size[which] <= 0)] = -1
        self._mixer.note(rows[which], headers.sequence[which], headers.ssrc[which], level, spectrum)

    def _pin(self) -> None:
        for row, address, port in self._demux.pinned:
            self._outgoing.send_to(row, address, port)
            self._reporting.pinned(row, address, port)
            self.events.append(messages.Pinned(int(self._leg[row]), address, port))
        self._demux.pinned.clear()

    def _take_leave(self, commands: Sequence[AnyCommand], wall: int) -> None:
        """Say BYE to those whose legs are to be closed, while what is known of them is there."""
        closing = [command.leg for command in commands if isinstance(command, messages.Close)]
        rows = [self._handles[leg] & 0xFFFF for leg in dict.fromkeys(closing) if leg in self._handles]
        if rows:
            self._reporting.leave(np.array(rows, np.intp), wall)

    def _press(self, row: int, digit: str, duration: int, *, inband: bool = False) -> None:
        self._counts["digits_inband" if inband else "digits"] += 1
        self.events.append(messages.Digit(int(self._leg[row]), digit, duration, inband))

    def _hear_talk(self) -> None:
        """Who talks is told at once, how loud with the other figures."""
        talk = self._mixer.analysis.talk
        self._shared.legs["talking"] = talk.talking
        np.maximum(self._loudest, talk.level, out=self._loudest)

    # Now and then

    def _sweep(self, now: float) -> None:
        self._demux.expire(now)
        if self._demux.pinned:
            self._pin()
        for row, key, duration in self._keys.expire(now):
            self._press(row, key, duration)
        if self._silence > 0.0:
            self._report_silence(now)
        if now >= self._assessed + 1.0:
            self._assessed = now
            self._reporting.assess(self._mixer.late, self._mixer.delay / 8000.0)
        self._publish()
        self._reporting.publish(self._shared.quality, now)

    def _report_silence(self, now: float) -> None:
        quiet = now - np.maximum(self._demux.heard, self._since)
        silent = self._receives & (quiet >= self._silence)
        for row in np.flatnonzero(silent & ~self._silent):
            self.events.append(messages.Silent(int(self._leg[row]), round(float(quiet[row]), 1)))
        for row in np.flatnonzero(self._silent & ~silent):
            if self._receives[row]:
                self.events.append(messages.Heard(int(self._leg[row])))
        self._silent = silent

    def _publish(self) -> None:
        """Put the figures where control reads them."""
        counts, drops = self._counts, self._demux.drops
        counts["dropped_unknown_source"] = drops.unknown
        counts["dropped_ambiguous"] = drops.ambiguous
        counts["dropped_late"] = drops.late
        counts["dropped_payload_type"] = drops.payload_type
        counts["dropped_kernel"] = self._transport.overflowed
        counts["rebindings"] = self._demux.rebindings
        counts["system_calls"] = self._transport.system_calls
        counts["legs"] = len(self._handles)
        counts["sent_to"] = self._outgoing.active
        counts["plays"] = len(self._plays)
        counts["talking"] = int(self._mixer.analysis.talk.talking.sum())
        counts["beats"] = self._beats
        counts |= self._reporting.counts | self._srtp.counts
        counts["srtp_legs"] = len(self._srtp)
        for name, column in self._stream_columns():
            # A packet that comes after it was counted as lost is taken back; the total waits for the next.
            counts[name] = max(counts[name], self._gone[name] + int(column.sum()))
        self._shared.counters[:] = list(counts.values())
        legs = self._shared.legs
        legs["leg"] = self._leg
        legs["received"] = self._received
        legs["sent"] = self._outgoing.sent
        legs["lost"], legs["late"] = self._mixer.lost, self._mixer.late
        legs["duplicate"], legs["delay"] = self._mixer.duplicate, self._mixer.delay
        talk, gain = self._mixer.analysis.talk, self._mixer.analysis.gain
        legs["level"], legs["noise"], legs["gain"] = self._loudest, talk.noise, gain.gain
        self._loudest[:] = 0
        legs["peak"] = np.maximum(self._mixer.level, legs["peak"] * PEAK_DECAY)

    def _stream_columns(self) -> tuple[tuple[str, NDArray[np.int64]], ...]:
        """The mixer's columns whose totals are counters, by the counter's name."""
        mixer = self._mixer
        return (
            ("packets_lost", mixer.lost),
            ("packets_late", mixer.late),
            ("packets_doubled", mixer.duplicate),
        )


def mixer_for(rows: int, sound: messages.Sound) -> Mixer:
    """A mixer of so many rows whose legs wait as `sound` says."""
    return Mixer(
        rows, slack=_samples(sound.floor), ceiling=_samples(sound.ceiling), keys_heard=sound.keys_heard
    )


def _samples(milliseconds: float) -> int:
    return round(milliseconds * 8)


def _tuning(format: messages.Format) -> Tuning:
    """How Opus is encoded for a far end that takes it so."""
    usual = opus.BITRATE.get(format.rate, 0)
    bitrate = max(_LEAST_BITRATE, min(usual, format.bitrate)) if format.bitrate else usual
    return Tuning(bitrate=bitrate, fec=format.fec, dtx=format.dtx)


def _ptime(format: messages.Format, asked: int) -> int:
    """Milliseconds of a packet: Opus is encoded 20 at a time, and L16 must fit into a frame of Ethernet."""
    if format.codec == "OPUS":
        return 20
    return min(asked, 40) if format.codec == "L16" and format.rate > 8000 else asked
