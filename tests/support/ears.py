"""What test phones hear of each other: each says a tone of its own, and tones decide who is heard."""

import time
from collections.abc import Iterable

import numpy as np

from tests.support.eventually import PATIENCE, eventually
from tests.support.phone import PhoneCall
from tests.support.sounds import Tone
from tests.support.tones import ABSENT, FREQUENCIES, PRESENT, levels, loudest_moment, tones

MEMORY = 15.0
"""Seconds for which the server remembers how late packets came, before it lets all wait less again."""

UNEVEN = 0.005
"""Seconds. Packets that are late by less are heard as they were said: they wait a little longer than this."""


def tone_of(call: PhoneCall) -> int:
    sound = call.line.sound
    assert isinstance(sound, Tone), f"{call} says no tone"
    return sound.frequency


async def hears(call: PhoneCall, others: Iterable[PhoneCall]) -> None:
    """Waits until `call` hears exactly the tones of `others`, over the last 0.3 s."""
    others = list(others)
    wanted = {tone_of(other) for other in others}

    def now() -> bool:
        there = call.line.there(last=0.3)
        heard = tones(call.line.pcm(last=0.3), there=there)
        sent = [len(other.line.sent) for other in others]
        assert heard == wanted, (
            f"{call} hears {sorted(heard)}, not {sorted(wanted)}, in {np.sum(there)} samples; "
            f"{len(call.line.received)} packets came, the others sent {sent}"
        )
        return True

    await eventually(now, what=call.story)


async def all_hear_the_others(calls: Iterable[PhoneCall]) -> None:
    calls = list(calls)
    for call in calls:
        await hears(call, [other for other in calls if other is not call])


async def keep_hearing(call: PhoneCall, others: Iterable[PhoneCall], *, seconds: float = 0.5) -> None:
    """For the next `seconds` `call` hears exactly the tones of `others`, in every piece of 0.25 s.

    A time in which the machine held up a phone, or made the server skip beats, says nothing and is taken
    again.
    """
    others = list(others)
    wanted = {tone_of(other) for other in others}
    for _ in range(30):
        problem = await _next_tones(call, wanted, seconds)
        if problem is None:
            return
        assert held_up([call], others), f"{problem}; nobody was held up"
    raise AssertionError(f"everybody is held up again and again; {problem}")


def held_up(listeners: Iterable[PhoneCall], speakers: Iterable[PhoneCall]) -> bool:
    """Whether the packets show that the machine kept speakers or server from their work lately.

    Then what was heard need not be what was said: in the place of a packet that is too late there is nothing,
    and when the server lets a phone's packets wait longer, or less long, what is heard of him leaps.
    """
    since = time.time() - MEMORY
    uneven = max((speaker.line.unevenness(since) for speaker in speakers), default=0.0)
    return uneven > UNEVEN or any(listener.line.skips(since) for listener in listeners)


async def _next_tones(call: PhoneCall, wanted: set[int], seconds: float) -> str | None:
    """What was wrong with the next `seconds`."""
    start = len(call.line.audio)
    needed = int(seconds * 8000)
    await eventually(
        lambda: len(call.line.pcm(since=start)) >= needed, within=seconds + PATIENCE, what=call.story
    )
    samples, there = call.line.pcm(since=start)[:needed], call.line.there(since=start)[:needed]
    for begin in range(0, needed - 1999, 2000):
        piece = slice(begin, begin + 2000)
        found = levels(samples[piece], FREQUENCIES, there[piece])
        if {tone for tone, value in found.items() if value >= PRESENT} != wanted or any(
            value >= ABSENT for tone, value in found.items() if tone not in wanted
        ):
            heard = {tone: round(value) for tone, value in found.items() if value >= ABSENT}
            return f"{call} hears {heard} at {begin / 8000} s, not {sorted(wanted)}"
    return None


def never_heard(call: PhoneCall, other: PhoneCall, *, since: int = 0, limit: float = 450.0) -> None:
    """Not in one frame since packet `since` did `call` hear the tone of `other`.

    20 ms tell tones apart only roughly: `other` wants a tone at least 400 Hz from all that `call` may hear.
    """
    loudest = loudest_moment(call.line.pcm(since=since), tone_of(other))
    assert loudest < limit, f"{call} heard {tone_of(other)} Hz at {loudest:.0f}"


def voices() -> list[Tone]:
    """Sounds that tell their phones apart."""
    return [Tone(frequency) for frequency in FREQUENCIES]
