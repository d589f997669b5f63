"""The sound of every leg at once: jitter, codecs, routing, mix-minus and prompts, in numpy.

Passive: no clock, no thread, no sockets. Whoever owns the beat calls, once per 20 ms and in this order:
`Mixer.skip` (only when beats were missed), `Mixer.push` with everything received since the last beat, then
the verbs (`seat`, `flags`, `coach`, `play`, ...), then `Mixer.tick`; afterwards `Mixer.heard` holds each
leg's frame. Verbs after packets: an audience that grows hears from the newest sample pushed by then.
"""

from mixer.encode import Tuning
from mixer.engine import Mixer
from mixer.formats import ALAW, ULAW
from mixer.play import Room
from mixer.routing import NotSeated
from mixer.rows import FRAME, Full, Handle, StaleHandle

__all__ = ["ALAW", "FRAME", "ULAW", "Full", "Handle", "Mixer", "NotSeated", "Room", "StaleHandle", "Tuning"]
