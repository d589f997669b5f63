"""What test phones hear of each other: each says a tone of its own, and tones decide who is heard."""

from collections.abc import Iterable

from tests.support.eventually import eventually
from tests.support.phone import PhoneCall
from tests.support.sounds import Tone
from tests.support.tones import FREQUENCIES, loudest_moment, tones


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
    """For the next `seconds` `call` hears exactly the tones of `others`, in every piece of 0.25 s."""
    wanted = {tone_of(other) for other in others}
    start = len(call.line.audio)
    needed = int(seconds * 8000)
    await eventually(lambda: len(call.line.pcm(since=start)) >= needed, within=seconds + 5, what=call.story)
    samples = call.line.pcm(since=start)[:needed]
    for begin in range(0, needed - 1999, 2000):
        heard = tones(samples[begin : begin + 2000])
        assert heard == wanted, f"{call} hears {sorted(heard)}, not {sorted(wanted)}"


def never_heard(call: PhoneCall, other: PhoneCall, *, since: int = 0, limit: float = 450.0) -> None:
    """Not in one frame since packet `since` did `call` hear the tone of `other`.

    20 ms tell tones apart only roughly: `other` wants a tone at least 400 Hz from all that `call` may hear.
    """
    loudest = loudest_moment(call.line.pcm(since=since), tone_of(other))
    assert loudest < limit, f"{call} heard {tone_of(other)} Hz at {loudest:.0f}"


def voices() -> list[Tone]:
    """Sounds that tell their phones apart."""
    return [Tone(frequency) for frequency in FREQUENCIES]
