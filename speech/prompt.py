"""Sound, ready to be played."""

from dataclasses import dataclass, field

RATE = 8000  # what G.711 legs hear


@dataclass(frozen=True)
class Prompt:
    """Mono sound: `samples` are int16, little-endian, `rate` a second.

    `name` says which sound it is: equal names mean equal samples.
    """

    samples: bytes = field(repr=False)
    rate: int = RATE
    name: str = ""

    @property
    def seconds(self) -> float:
        return len(self.samples) / 2 / self.rate
