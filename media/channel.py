"""Framed messages, with descriptors beside them, over one end of a socket pair.

A frame is four bytes of length, little-endian, and so many bytes. Nothing here waits: what does not fit
into the socket stays queued until `flush` is called again.
"""

import array
import os
import socket
import struct
from collections import deque
from collections.abc import Sequence

_LENGTH = struct.Struct("<I")
_CHUNK = 1 << 18
MAX_FRAME = 1 << 26
MAX_DESCRIPTORS = 64  # beside one frame; the kernel takes 253


class Broken(Exception):
    """The other end sent what is no frame; the channel cannot go on."""


class Channel:
    """One end. `closed` turns true when the other end is gone, in whatever way."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.closed = False
        self.descriptors: deque[int] = deque()
        self._inbox = bytearray()
        self._outbox: deque[tuple[memoryview, list[int]]] = deque()

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def queued(self) -> int:
        """Frames that wait for the other end to read."""
        return len(self._outbox)

    def push(self, frame: bytes, descriptors: Sequence[int] = ()) -> None:
        """Queue one frame. The descriptors are duplicated, so the caller may close his own."""
        if self.closed:
            return
        data = memoryview(_LENGTH.pack(len(frame)) + frame)
        self._outbox.append((data, [os.dup(descriptor) for descriptor in descriptors]))

    def flush(self) -> bool:
        """Send what can be sent at once; true when nothing is left to send."""
        while self._outbox and not self.closed:
            data, descriptors = self._outbox[0]
            beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
            try:
                sent = self.socket.sendmsg([data], beside if descriptors else [])
            except (BlockingIOError, InterruptedError):
                return False
            except OSError:
                self._lost()
                return True
            for descriptor in descriptors:
                os.close(descriptor)
            if sent == len(data):
                self._outbox.popleft()
            else:
                self._outbox[0] = (data[sent:], [])
        return True

    def pull(self) -> list[bytes]:
        """Every whole frame that has arrived. Raises Broken on a length no sender of ours writes."""
        while not self.closed:
            try:
                data, beside, _flags, _address = self.socket.recvmsg(
                    _CHUNK, socket.CMSG_SPACE(4 * MAX_DESCRIPTORS)
                )
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                self._lost()
                break
            for level, kind, payload in beside:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    received = array.array("i")
                    received.frombytes(payload[: len(payload) - len(payload) % received.itemsize])
                    self.descriptors.extend(received)
            if not data:
                self._lost()
                break
            self._inbox += data
        return self._frames()

    def close(self) -> None:
        """Close this end, and every descriptor that is still on its way."""
        self._lost()
        self.socket.close()
        while self.descriptors:
            os.close(self.descriptors.popleft())

    def _frames(self) -> list[bytes]:
        frames = []
        start = 0
        while len(self._inbox) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._inbox, start)
            if length > MAX_FRAME:
                raise Broken(f"a frame of {length} bytes was announced, at most {MAX_FRAME} are sent")
            end = start + _LENGTH.size + length
            if end > len(self._inbox):
                break
            frames.append(bytes(self._inbox[start + _LENGTH.size : end]))
            start = end
        del self._inbox[:start]
        return frames

    def _lost(self) -> None:
        self.closed = True
        while self._outbox:
            for descriptor in self._outbox.popleft()[1]:
                os.close(descriptor)
