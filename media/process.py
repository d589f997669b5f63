"""The media process: `python -m media.process --fd N`, N being its end of the socket pair to control.

It sleeps to the beat and listens to control in between. It ends when control's end closes, and at nothing
else: signals that reach the whole process group are control's to understand.
"""

import argparse
import gc
import os
import select
import signal
import socket
import sys
import time

import msgspec

from media.beat import PERIOD, Beat
from media.channel import Channel
from media.engine import Engine, mixer_for
from media.messages import AnyCommand, AnyEvent, Ready, Report, Setup
from media.shared import Shared, histogram_bin, rows_for
from rtp.addresses import Book
from rtp.datagrams import Inbox, Transport
from rtp.demux import Demux
from rtp.outgoing import Outgoing
from rtp.sockets import receive_buffer, transport

STALE_BATCHES = 100
TIDY_BEATS = 500
WAKE = 0.001  # seconds before a deadline: epoll waits in whole milliseconds, the rest is slept


class MediaProcess:
    """The loop around the engine."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._poll = select.poll()
        self._poll.register(channel.fileno(), select.POLLIN)
        self._commands: list[AnyCommand] = []
        self._decoder = msgspec.msgpack.Decoder(list[AnyCommand | Setup])
        self._encoder = msgspec.msgpack.Encoder()
        self._reported = 0

    def run(self) -> None:
        """Until control is gone."""
        setup = self._await_setup()
        if setup is None:
            return
        rows = rows_for(setup.legs)
        shared = Shared(setup.shared, rows)
        demux = Demux(rows, shared.sources, shared.tombstones)
        demux.inherit(time.monotonic())
        outgoing = Outgoing(rows)
        inbox = Inbox(max(2048, 4 * setup.legs))
        sockets = [socket.socket(fileno=descriptor) for descriptor in (*setup.rtp, *setup.rtcp)]
        book = Book()
        network = transport(sockets, inbox, outgoing.outbox, book)
        mixer = mixer_for(rows, setup.sound)
        mixer.rehearse()
        engine = Engine(
            mixer=mixer,
            demux=demux,
            outgoing=outgoing,
            inbox=inbox,
            transport=network,
            shared=shared,
            ports=len(setup.rtp),
            silence=setup.silence,
            sound=setup.sound,
            book=book,
        )
        _discard(network, inbox)
        # What exists by now exists for good; garbage that comes later is swept between beats, never within.
        gc.collect()
        gc.freeze()
        gc.disable()
        self._report([Ready(os.getpid(), receive_buffer(sockets[0]), network.batched)])
        self._beat(engine, shared)
        network.close()

    def _beat(self, engine: Engine, shared: Shared) -> None:
        beat = Beat(time.monotonic())
        beats = 0
        while self._wait(beat.deadline):
            now = time.monotonic()
            lateness = now - beat.deadline
            deadline, skipped = beat.begin(now)
            # The beat's own moment on the wall clock: what comes after it belongs to the next.
            wall = time.time_ns() - int((now - deadline) * 1e9)
            commands, self._commands = self._commands, []
            engine.beat(
                deadline, wall, skipped=skipped, commands=commands, descriptors=self._channel.descriptors
            )
            if engine.events or self._channel.queued:
                self._report(engine.events)
                engine.events = []
            shared.lateness[histogram_bin(lateness * 1e6)] += 1
            shared.duration[histogram_bin((time.monotonic() - now) * 1e6)] += 1
            beats += 1
            if beats % TIDY_BEATS == 0 and time.monotonic() < beat.deadline - PERIOD / 2:
                gc.collect()

    def _wait(self, deadline: float) -> bool:
        """Sleep until the deadline, taking in commands as they come; false when control is gone."""
        while (left := deadline - time.monotonic()) > WAKE:
            if self._poll.poll(int((left - WAKE) * 1000)) and not self._pull():
                return False
            if left < 2 * WAKE:
                break
        time.sleep(max(0.0, deadline - time.monotonic()))
        return self._pull()

    def _pull(self) -> bool:
        for frame in self._channel.pull():
            for command in self._decoder.decode(frame):
                assert not isinstance(command, Setup), "a second Setup"
                self._commands.append(command)
        return not self._channel.closed

    def _await_setup(self) -> Setup | None:
        while not self._channel.closed:
            self._poll.poll(1000)
            for frame in self._channel.pull():
                first, *rest = self._decoder.decode(frame)
                assert isinstance(first, Setup), "the first command must be Setup"
                self._commands.extend(command for command in rest if not isinstance(command, Setup))
                return first
        return None

    def _report(self, events: list[AnyEvent]) -> None:
        if events:
            self._channel.push(self._encoder.encode(Report(self._reported, events)))
            self._reported += len(events)
        self._channel.flush()


def _discard(network: Transport, inbox: Inbox) -> None:
    """Drop what arrived while nobody listened; it was meant for legs that are gone."""
    for _ in range(STALE_BATCHES):
        network.receive(inbox)
        if not inbox.count:
            return


def main(argv: list[str]) -> int:
    """Run until control closes its end."""
    parser = argparse.ArgumentParser(prog="media.process")
    parser.add_argument("--fd", type=int, required=True)
    options = parser.parse_args(argv)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    MediaProcess(Channel(socket.socket(fileno=options.fd))).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
