"""What test phones hear of each other: each says a tone of its own, and tones decide who is heard."""

import time
from collections.abc import Iterable

from tests.support.eventually import eventually
from tests.support.phone import PhoneCall
from tests.support.sounds import Tone
from tests.support.tones import ABSENT, FREQUENCIES, PRESENT, level, loudest_moment, tones

HELD_UP = 0.035  # seconds between two packets of 20 ms


def tone_of(call: PhoneCall) -> int:
    sound = call.line.sound
    assert isinstance(sound, Tone), f"{call} says no tone"
    return sound.frequency


async def hears(call: PhoneCall, others: Iterable[PhoneCall], *, within: float = 6.0) -> None:
    """Waits until `call` hears exactly the tones of `others`, over the last 0.3 s."""
    wanted = {tone_of(other) for other in others}

    def now() -> bool:
        heard = tones(call.line.pcm(last=0.3))
        assert heard == wanted, f"{call} hears {sorted(heard)}, not {sorted(wanted)}"
        return True

    await eventually(now, within=within, what=call.story)


async def all_hear_the_others(calls: Iterable[PhoneCall], *, within: float = 6.0) -> None:
    calls = list(calls)
    for call in calls:
        await hears(call, [other for other in calls if other is not call], within=within)


async def keep_hearing(call: PhoneCall, others: Iterable[PhoneCall], *, seconds: float = 0.5) -> None:
    """For the next `seconds` `call` hears exactly the tones of `others`, in every piece of 0.25 s.

    A time in which the machine held up a phone, or made the server skip beats, says nothing and is taken
    again; both show in the packets.
    """
    others = list(others)
    for _ in range(8):
        since = time.time() - 0.2  # what was said then may be heard now
        problem = await _next_tones(call, {tone_of(other) for other in others}, seconds)
        if problem is None:
            return
        held_up = max((other.line.longest_pause(since) for other in (call, *others)), default=0.0)
        skipped = call.line.skips(since)
        assert held_up > HELD_UP or skipped, f"{problem}; no phone paused for longer than {held_up:.3f} s"
    raise AssertionError(f"everybody is held up again and again; {problem}")


async def _next_tones(call: PhoneCall, wanted: set[int], seconds: float) -> str | None:
    """What was wrong with the next `seconds`."""
    start = len(call.line.audio)
    needed = int(seconds * 8000)
    await eventually(lambda: len(call.line.pcm(since=start)) >= needed, within=seconds + 5, what=call.story)
    samples = call.line.pcm(since=start)[:needed]
    for begin in range(0, needed - 1999, 2000):
        levels = {tone: level(samples[begin : begin + 2000], tone) for tone in FREQUENCIES}
        if {tone for tone, value in levels.items() if value >= PRESENT} != wanted or any(
            value >= ABSENT for tone, value in levels.items() if tone not in wanted
        ):
            heard = {tone: round(value) for tone, value in levels.items() if value >= ABSENT}
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
