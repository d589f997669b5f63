"""The prompts the media process holds: each crosses once, and the least used are forgotten."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator

from media import memory
from media.messages import Command, Forget, Load

MAX_BYTES = 64 << 20


class Library:
    """What the media process of the moment has been given, least used first."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._next = 1
        self._held: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def find(self, samples: bytes) -> tuple[int, "Crossing | None"]:
        """The number of a prompt, and what must be sent before it is used, if anything."""
        digest = hashlib.blake2b(samples, digest_size=16).digest()
        held = self._held.get(digest)
        if held is not None:
            self._held.move_to_end(digest)
            return held[0], None
        number = self._next
        crossing = Crossing(Load(number, len(samples)), memory.sealed(samples))
        self._next += 1
        self._held[digest] = (number, len(samples))
        self._bytes += len(samples)
        return number, crossing

    def excess(self) -> Iterator[Command]:
        """Forget the least used until the rest fits; what still plays is kept by the player."""
        while self._bytes > self._max_bytes and len(self._held) > 1:
            _, (number, size) = self._held.popitem(last=False)
            self._bytes -= size
            yield Forget(number)

    def clear(self) -> None:
        """A new media process holds nothing."""
        self._held.clear()
        self._bytes = 0


class Crossing:
    """A prompt under way: the command that announces it and the descriptor that goes beside."""

    def __init__(self, command: Load, descriptor: int) -> None:
        self.command = command
        self.descriptor = descriptor
