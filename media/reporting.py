"""RTCP and the figures of each leg: what the beat has them do, joined from `rtp`.

A leg's score is of what we hear of it, by loss and bursts of the last seconds (late packets are lost ones)
and by the delay of its way: half the round trip, its packet, the wait for the beat, the codec.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from media.messages import Connect
from mixer.formats import FORMATS
from rtp import quality
from rtp.datagrams import Inbox, Outbox, Transport
from rtp.demux import COMFORT, Demux
from rtp.packet import Headers
from rtp.reception import Reception
from rtp.reports import BATCH, WORDS, Goodbye, Reports, Sending
from rtp.rtcp import parse_compound, senders
from rtp.srtp import Srtp

READ: Final = 64
"""Compounds read in one beat; a thousand legs send four in one. Others are counted and dropped."""

FADE: Final = 0.8
"""What a second's losses count for in the next: those of five seconds make two thirds of the figure."""

_SLOT_BYTES: Final = 4 * WORDS
_REMOTE: Final = np.uint64(0xFFFF_FFFF_FFFF)  # of `rtp.demux.key_of`: address and port
_CLOCK: Final = np.zeros(256)  # Hz by kind of payload, 0 of what is no audio
_CLOCK[: len(FORMATS)] = [known.clock for known in FORMATS]


class Sender(Protocol):
    """What is to be known of the packets that leave."""

    outbox: Outbox

    def sending(self, rows: NDArray[np.intp]) -> Sending: ...


class Reporting:
    """The reports of all legs, and what is known of their quality. `ports`: how many RTP ports there are; the
    sockets' indexes from there on are RTCP ports.

    `mos`, `mean`, `loss` f8 by row: the score and its mean since the leg was opened, NaN before the first
    packets, and the share lost or late lately. `far`: the score of what the far end hears, by its own
    reports; how long it keeps packets is not told, and taken for twice its jitter.
    """

    def __init__(self, rows: int, ports: int, demux: Demux, sender: Sender, inbox: Inbox, srtp: Srtp) -> None:
        self.reports = Reports(rows)
        self.reception = Reception(rows)
        self.mos = np.full(rows, np.nan)
        self.mean = np.full(rows, np.nan)
        self.far = np.full(rows, np.nan)
        self.loss = np.zeros(rows)
        self.counts = dict.fromkeys(("rtcp_sent", "rtcp_malformed", "rtcp_unknown", "rtcp_byes"), 0)
        self._ports = ports
        self._demux = demux
        self._sender = sender
        self._inbox = inbox
        self._srtp = srtp
        self._local = np.zeros(rows, np.int32)
        self._mux = np.zeros(rows, bool)
        self._named = np.zeros((rows, 3), np.int64)  # address and port, and the signalling beside it
        self._guessed = np.zeros(rows, bool)  # that it takes reports there, and not heard from there yet
        self._equipment = np.zeros(rows)
        self._robustness = np.ones(rows)
        self._coding = np.zeros(rows)  # seconds of packet and lookahead
        self._scored = np.zeros(rows, np.int64)  # seconds with a score
        self._before = np.zeros((4, rows))  # expected, lost, late and breaks a second ago
        self._lately = np.zeros((3, rows))  # expected, lost or late, breaks

    # What becomes of legs

    def open(self, row: int, port: int) -> None:
        """A leg takes a row and a local port (an index)."""
        self.reports.open(row)
        self.reception.open(row)
        self._forget(row)
        self._local[row] = port
        self._named[row] = 0
        self._guessed[row] = False

    def connect(self, row: int, command: Connect, beat: int) -> None:
        """An SDP of the far end says where its RTCP goes, and how it sends."""
        self._mux[row] = command.rtcp_mux
        format = command.format
        self._equipment[row] = quality.EQUIPMENT[format.codec]
        bears = quality.ROBUSTNESS[format.codec]
        self._robustness[row] = quality.ROBUSTNESS_WITH_FEC if format.fec else bears
        self._coding[row] = command.ptime / 1000.0 + quality.LOOKAHEAD[format.codec]
        named = (command.rtcp_address, command.rtcp_port, command.signalling)
        address, port, _ = named
        if named != tuple(self._named[row].tolist()):
            self._guessed[row] = command.rtcp_guessed
        else:  # what it was found to be meanwhile stays
            address, port = int(self.reports.address[row]), int(self.reports.port[row])
        self._named[row] = named
        # Beside a port that is even there is its RTCP, by convention; beside an odd one may be anything (RFC
        # 3550 section 11).
        waits = command.rtcp_guessed and command.rtcp_port % 2 == 0
        self.reports.connect(row, address, port, self._socket(row), format.clock, beat, waits=waits)

    def move(self, row: int, port: int) -> None:
        self._local[row] = port
        self.reports.socket[row] = self._socket(row)

    def pinned(self, row: int, address: int, port: int) -> None:
        """Its RTP comes from here. If that is not the address its SDP names, its RTCP most likely comes from
        the port beside, until it is heard."""
        if self._mux[row] or not self.reports.port[row]:
            return
        if address != self._named[row, 0] and address != int(self.reports.address[row]):
            self.reports.address[row], self.reports.port[row] = address, min(port + 1, 65535)

    def leave(self, rows: NDArray[np.intp], wall: int) -> None:
        """These legs are closed: those that were sent reports are told so, in the beats that follow."""
        rows = self._sure(rows[self.reports.begun(rows)])
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            slots = self._write(part, wall, bye=True)
            outbox = self.reports.outbox
            for slot in slots.tolist():
                name = outbox.names[slot]
                data = outbox.slots[slot, : int(outbox.lengths[slot])].tobytes()
                socket = int(self.reports.socket[part[slot]])
                self.reports.goodbyes.append(Goodbye(data, int(name["address"]), int(name["port"]), socket))

    def close(self, row: int) -> None:
        self.reports.close(row)
        self.reception.open(row)
        self._forget(row)

    def _forget(self, row: int) -> None:
        self.mos[row] = self.mean[row] = self.far[row] = np.nan
        self.loss[row] = self._scored[row] = 0
        self._before[:, row] = self._lately[:, row] = 0.0

    # What the beat does

    def send(self, beat: int, wall: int, transport: Transport) -> None:
        """Write and send what is due."""
        rows = self._sure(self.reports.due(beat))
        goodbyes = self.reports.goodbyes
        if not len(rows) and not goodbyes:
            return
        outbox = self.reports.outbox
        slots = self._write(rows, wall, bye=False)
        sockets = self.reports.socket[rows[slots]].tolist()
        order = slots.tolist()
        for slot in range(len(rows), BATCH):
            if not goodbyes:
                break
            last = goodbyes.popleft()
            outbox.slots[slot, : len(last.data)] = np.frombuffer(last.data, np.uint8)
            outbox.lengths[slot] = len(last.data)
            outbox.names["address"][slot], outbox.names["port"][slot] = last.address, last.port
            order.append(slot)
            sockets.append(last.socket)
        by_socket = np.argsort(np.array(sockets), kind="stable")
        sorted_sockets = np.array(sockets)[by_socket]
        failed = transport.send(outbox, np.array(order, np.intp)[by_socket], _runs(sorted_sockets))
        self.counts["rtcp_sent"] += len(order) - len(failed)

    def receive(
        self,
        rows: NDArray[np.intp],
        kinds: NDArray[np.uint8],
        audio: NDArray[np.bool_],
        headers: Headers,
    ) -> None:
        """Count the packets of the batch that belong to legs; which of them are `audio`, of the format that
        `kinds` says."""
        strange = audio & (_CLOCK[kinds] != self.reception.clock[rows])
        if strange.any():
            self.reception.set_clock(rows[strange], _CLOCK[kinds[strange]])
        stream = (rows != 0) & (kinds <= COMFORT)
        self.reception.take(
            rows[stream],
            headers.ssrc[stream],
            headers.sequence[stream],
            headers.timestamp[stream],
            self._inbox.arrival[: len(rows)][stream],
            audio[stream],
        )

    def hear_beside(self, which: NDArray[np.intp], now: float) -> None:
        """RTCP on its own ports, by its place in the inbox: of the leg whose stream's SSRC and address it
        has, or to whose RTCP address it belongs. A sign of life, and never more."""
        inbox = self._inbox
        named, ssrc = senders(inbox.slots[which], inbox.length[which])
        self.counts["rtcp_malformed"] += int((~named).sum())
        which, ssrc = which[named], ssrc[named]
        port = inbox.port[which] - self._ports
        rows = self._demux.by_ssrc(port, inbox.address[which], ssrc)
        lost = np.flatnonzero(rows == 0)
        if len(lost):
            rows[lost] = self._by_source(which[lost])
        self.counts["rtcp_unknown"] += int((rows == 0).sum())
        which, rows = which[rows != 0], rows[rows != 0]
        for place, row in zip(which[:READ].tolist(), rows[:READ].tolist(), strict=True):
            if self._srtp.unprotect_rtcp(row, place) and self._read(place, row):
                self._demux.heard[row] = now
                if not self._mux[row]:
                    self.reports.address[row] = inbox.address[place]
                    self.reports.port[row] = inbox.source[place]
                    self._guessed[row] = False
                    self.reports.reported(row)
        self.counts["rtcp_unknown"] += max(0, len(which) - READ)

    def hear_among(self, which: NDArray[np.intp], rows: NDArray[np.intp]) -> None:
        """RTCP that came among a leg's RTP, already unprotected."""
        for place, row in zip(which[:READ].tolist(), rows[:READ].tolist(), strict=True):
            self._read(place, row)
        self.counts["rtcp_unknown"] += max(0, len(which) - READ)

    def assess(self, late: NDArray[np.int64], delay: NDArray[np.float64]) -> None:
        """Once a second: the scores. `late`: packets that came too late to be heard; `delay`: seconds from a
        packet's arrival to the beat that plays it."""
        reception = self.reception
        expected = reception.expected
        missing = np.maximum(expected - reception.received, 0)
        totals = np.array([expected, missing, late, reception.breaks], np.float64)
        grown = totals - self._before
        grown[:, grown[0] < 0] = 0.0  # another stream has begun
        self._before = totals
        self._lately *= FADE
        self._lately[0] += grown[0]
        self._lately[1] += grown[1] + grown[2]
        self._lately[2] += grown[3] + grown[2]
        of, gone, breaks = self._lately
        self.loss = np.clip(gone / np.maximum(of, 1.0), 0.0, 1.0)
        trip = np.nan_to_num(self.reports.round_trip)
        burst = quality.burst_ratio(gone, breaks, self.loss)
        rating = self._rating(trip / 2.0 + delay + self._coding, self.loss, burst)
        far_delay = trip / 2.0 + 2.0 * self.reports.far_jitter + self._coding
        far_loss = self.reports.far_loss
        self.far = quality.opinion(self._rating(far_delay, far_loss, np.ones(len(trip))))
        heard = of > 0.5
        self.mos = np.where(heard, quality.opinion(rating), np.nan)
        self._scored += heard
        total = np.nan_to_num(self.mean) * (self._scored - heard) + np.nan_to_num(self.mos)
        self.mean = np.where(self._scored > 0, total / np.maximum(self._scored, 1), np.nan)

    def publish(self, columns: NDArray[np.void], now: float) -> None:
        """Put the figures where control reads them: a column of `media.shared.QUALITY`."""
        self.reception.drift.advance(now)
        reports = self.reports
        columns["mos"], columns["mos_mean"], columns["loss"] = self.mos, self.mean, self.loss
        columns["jitter"], columns["round_trip"] = self.reception.jitter, reports.round_trip
        columns["far_loss"], columns["far_jitter"] = reports.far_loss, reports.far_jitter
        columns["far_lost"], columns["drift"] = reports.far_lost, self.reception.drift.ppm
        columns["rejected"], columns["far_mos"] = self._srtp.rejected, self.far

    # Within

    def _rating(
        self, delay: NDArray[np.float64], loss: NDArray[np.float64], burst: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        rating = quality.BEST - quality.delay_impairment(delay)
        return rating - quality.loss_impairment(loss, burst, self._equipment, self._robustness)

    def _sure(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """These rows without those whose place for reports is guessed and most likely wrong: another leg's
        sound is there, or a NAT is between, which has ports of its own."""
        guessed = self._guessed[rows]
        if not guessed.any():
            return rows
        pinned, named = (self._demux.state[name] & _REMOTE for name in ("pinned", "named"))
        moved = (pinned[rows] != 0) & (pinned[rows] != named[rows])
        reports = self.reports
        places = reports.address[rows].astype(np.uint64) << np.uint64(16) | reports.port[rows]
        taken = ((places[:, None] == pinned) | (places[:, None] == named)).any(axis=1)
        sure: NDArray[np.intp] = rows[~(guessed & (moved | taken))]
        return sure

    def _socket(self, row: int) -> int:
        return int(self._local[row]) + (0 if self._mux[row] else self._ports)

    def _write(self, rows: NDArray[np.intp], wall: int, *, bye: bool) -> NDArray[np.intp]:
        """Put these rows' compounds into the first slots of the outbox; the slots that may leave."""
        if not len(rows):
            return np.zeros(0, np.intp)
        reports, outbox = self.reports, self.reports.outbox
        data, length = reports.write(
            rows, wall, self._sender.sending(rows), self.reception.report(rows), bye=bye
        )
        count = len(rows)
        outbox.slots[:count, :_SLOT_BYTES] = data
        outbox.lengths[:count] = length
        names = self._sender.outbox.names[rows]
        mux = self._mux[rows]
        outbox.names["address"][:count] = np.where(mux, names["address"], reports.address[rows])
        outbox.names["port"][:count] = np.where(mux, names["port"], reports.port[rows])
        if len(self._srtp):
            self._srtp.protect_rtcp(outbox, rows)
        return np.flatnonzero(outbox.lengths[:count])

    def _by_source(self, which: NDArray[np.intp]) -> NDArray[np.intp]:
        """The rows to whose RTCP address these belong; 0 for none or several."""
        reports, inbox = self.reports, self._inbox
        rows = np.flatnonzero((reports.port != 0) & ~self._mux)
        if not len(rows):
            return np.zeros(len(which), np.intp)
        keys = _keys(reports.socket[rows], reports.address[rows], reports.port[rows])
        order = np.argsort(keys)
        keys, rows = keys[order], rows[order]
        mine = _keys(inbox.port[which], inbox.address[which], inbox.source[which])
        first, last = np.searchsorted(keys, mine), np.searchsorted(keys, mine, side="right")
        return np.where(last - first == 1, rows[np.minimum(first, len(rows) - 1)], 0)

    def _read(self, place: int, row: int) -> bool:
        inbox = self._inbox
        said = parse_compound(inbox.slots[place, : int(inbox.length[place])].tobytes())
        if said is None:
            self.counts["rtcp_malformed"] += 1
            return False
        ours = int(self._sender.sending(np.array([row])).ssrc[0])
        self.counts["rtcp_byes"] += bool(said.leaving)
        self.reports.hear(row, said, ours, int(inbox.arrival[place]))
        return True


def _keys(
    socket: NDArray[np.int32], address: NDArray[np.uint32], port: NDArray[np.uint16]
) -> NDArray[np.uint64]:
    keys = socket.astype(np.uint64) << np.uint64(48) | address.astype(np.uint64) << np.uint64(16)
    return keys | port


def _runs(sockets: NDArray[np.intp]) -> Sequence[tuple[int, int, int]]:
    starts = np.flatnonzero(np.diff(sockets, prepend=-1))
    stops = np.append(starts[1:], len(sockets))
    return list(zip(sockets[starts].tolist(), starts.tolist(), stops.tolist(), strict=True))
