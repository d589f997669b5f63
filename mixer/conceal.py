"""What is heard where samples are missing: the last pitch period goes on, fades, and gives way to what comes.

    spoken   ...speech | the period before it again, fading | crossed | speech...
                       ^ age 0                              ^ risen 0 ^ risen FADE

A row is *clean* (whole frames pass bit for bit), *silent* (there is nothing to continue), or *broken*: in a
gap, or so shortly behind one that its speech is still crossed with what concealed it. Only rows that are
broken, or become it in this tick, are touched, all of them together.

Waveform repetition, a relative of ITU-T G.711 Appendix I, but without that one's delay: the step from what
was said to its repetition rings out as it would in the speaker's own mouth (`_continued`).
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mixer.g711 import VALID
from mixer.rows import FRAME, Rows

FADE = 32
"""Samples at 8 kHz, 4 ms, in which speech rises out of silence or takes over from concealment."""

LONGEST = 800
"""Samples at 8 kHz, 100 ms, after which concealment has faded to nothing."""

BUDGET = 256
"""Rows at 8 kHz that are concealed in one tick, at 16 kHz half as many; what is missing of others just dies
away. When the host stalls all legs break at once, and must not cost the next beat too."""

_PLANES = 3  # frames remembered
_SHORTEST, _LONGEST = 40, 160  # samples at 8 kHz, as all below: of a pitch period
_MATCH = 52  # compared to find it
_SPOKEN, _LATEST = 240, 40  # from which his voice is predicted; of these, the last, at falling weight
_ORDER = 10  # of the prediction
_DAMPED = 0.98  # at each sample, so that it rings out
_QUIET = 100  # a sample's size, -50 dB: who stops behind less than that has said nothing that could break off
_AFTER_ONE = 0.7  # what is left of it after a frame
_RUNS = 4  # gaps in a frame; what comes behind more of them is dropped
_UNSURE = 20  # in which a decoder that missed something has not yet found back
_CLEAN, _SILENT, _BROKEN = 0, 1, 2
_FOUR_VALID = np.uint64(VALID * 0x0001_0001_0001_0001)


class Ahead(NamedTuple):
    """The next two frames of m rows: `sound` (m, 2 * frame), zeros where nothing is here; `here`: of which
    rows the first is, whole; `exact`: and is as it was said from its begin on, whatever was lost before it.
    """

    sound: NDArray[np.int16]
    here: NDArray[np.bool_]
    exact: NDArray[np.bool_]


class Following(Protocol):
    """Who knows what comes after a tick's frames."""

    def coming(self, rate: int, rows: NDArray[np.intp]) -> Ahead:
        """Of rows of a rate, Hz."""

    def amend(self, rows: NDArray[np.intp], sound: NDArray[np.int16]) -> None:
        """The next frames of rows that are not exact begin otherwise, (m, samples)."""


class _Places(NamedTuple):
    """Where each of m rows is in its story, at sample `start` of the frame."""

    start: NDArray[np.intp]
    age: NDArray[np.intp]  # samples since the gap began
    risen: NDArray[np.intp]  # samples since it ended; 0: it has not

    def only(self, which: NDArray[np.bool_]) -> "_Places":
        return _Places(*(column[which] for column in self))


class Concealment:
    """What each row said of late, and where in a gap it is; `frame` samples a tick at `rate`, 20 ms."""

    def __init__(self, rows: Rows, pausing: NDArray[np.bool_], rate: int = 8000) -> None:
        """`rate`: Hz, a multiple of 8000; `pausing`: by row, whether the sender has stopped on purpose."""
        self._pausing = pausing
        self._rate = rate
        self._scale = scale = rate // 8000
        self._frame = frame = scale * FRAME
        self._fade, self._longest = scale * FADE, scale * LONGEST
        self._budget = BUDGET // scale
        self._state: NDArray[np.uint8] = rows.column(np.uint8, _SILENT)
        self._age: NDArray[np.int32] = rows.column(np.int32, self._longest)
        self._risen: NDArray[np.int32] = rows.column(np.int32)
        self._lag: NDArray[np.int32] = rows.column(np.int32)  # the pitch period; 0: the last sample dies away
        self._model: NDArray[np.int16] = rows.column(np.int16, width=scale * _LONGEST)  # ends in that period
        self._past = np.zeros((_PLANES, rows.capacity, frame), np.int16)
        rows.adopt(self._past.transpose(1, 0, 2))
        self._frames = np.dtype((np.void, 2 * frame))
        self._planes = self._past.view(self._frames)[:, :, 0]
        self._plane = 0  # the oldest, to be written next
        self.gaps: NDArray[np.int64] = rows.column(np.int64)  # times that speech broke off
        self._at = np.arange(frame)
        rise, fall = scale * (_SPOKEN - _LATEST), np.arange(scale * _LATEST) / (scale * _LATEST)
        self._window = np.concatenate([np.hanning(2 * rise)[:rise], np.cos(fall * np.pi / 2)])
        ages = np.arange(self._longest + frame)
        self._gain = np.interp(ages, [0, frame, self._longest], [1, _AFTER_ONE, 0]).astype(np.float32)
        self._dying = np.clip(1 - ages / self._fade, 0, 1).astype(np.float32)

    def forget(self, row: int) -> None:
        """Nothing of what was said may be heard from now on, in no form."""
        self._state[row] = _SILENT
        self._age[row] = self._longest
        self._risen[row] = 0
        self._lag[row] = 0
        self._model[row] = 0
        self._past[:, row] = 0

    def cut(self, rows: NDArray[np.intp] | int) -> None:
        """The next frame does not continue the last one: cross from one to the other."""
        rows = np.atleast_1d(rows)
        rows = rows[(self._state[rows] == _CLEAN) | (self._risen[rows] > 0)]
        self._state[rows] = _BROKEN
        self._age[rows] = self._risen[rows] = 0

    def end(self, rows: NDArray[np.intp]) -> None:
        """What was said is over: its last sample dies away, and none of it is heard again."""
        rows = rows[self._state[rows] != _SILENT]
        heard = rows[(self._state[rows] == _CLEAN) | (self._risen[rows] > 0)]
        last = self._past[self._plane - 1, heard, -1]
        self._model[rows] = 0
        self._model[heard] = last[:, None]
        self._past[:, rows] = 0
        self._lag[rows] = 0
        self._state[rows] = _BROKEN
        self._age[rows], self._risen[rows] = 1, 0

    def clean(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Of which rows the next frame follows upon the last one."""
        clean: NDArray[np.bool_] = self._state[rows] == _CLEAN
        return clean

    def last(self, rows: NDArray[np.intp]) -> NDArray[np.int16]:
        """What these rows said in the last tick, shape (m, frame)."""
        last: NDArray[np.int16] = self._past[self._plane - 1, rows]
        return last

    def smooth(
        self,
        order: NDArray[np.intp],
        words: NDArray[np.uint16],
        speech: NDArray[np.int16],
        following: Following,
        public: NDArray[np.bool_] | None = None,
    ) -> None:
        """Fill and cross, in place, these rows' frames; `words` (n, frame) have VALID where a sample came.

        `public` (n,): those whose speech all may hear have the budget first, so that none of them is treated
        otherwise for what somebody else says in private; None for all.

        `following` is asked about rows whose whole frame is missing.
        """
        fours = words.view(np.uint64)
        whole = np.bitwise_and.reduce(fours, axis=1) & _FOUR_VALID == _FOUR_VALID
        empty = np.bitwise_or.reduce(fours, axis=1) & _FOUR_VALID == 0
        state = self._state[order]
        steady = whole & (state == _CLEAN) | empty & (state == _SILENT)
        if not steady.all():
            broken = np.flatnonzero(~steady)
            if broken.size > self._budget:
                if public is not None:
                    broken = broken[np.argsort(~public[broken], kind="stable")]
                rough, broken = broken[self._budget :], broken[: self._budget]
                speech[rough] = self._faded(order[rough], words[rough] & VALID != 0, speech[rough])
            rows, came = order[broken], words[broken] & VALID != 0
            said = self._concealed(rows, came, speech[broken])
            known = np.flatnonzero(~came.any(axis=1) & (self._lag[rows] > 0))
            if known.size:
                said[known] = self._bridged(rows[known], said[known], following)
            speech[broken] = np.clip(np.floor(said), -32768, 32767)
        self._planes[self._plane][order] = speech.view(self._frames)[:, 0]
        self._plane = (self._plane + 1) % _PLANES

    def _faded(
        self, rows: NDArray[np.intp], came: NDArray[np.bool_], speech: NDArray[np.int16]
    ) -> NDArray[np.int16]:
        """As `_concealed`, at a tenth of the cost: out of the last sample into what came, and no more."""
        fade = self._fade
        up = np.arange(1, fade + 1)
        last = self._past[self._plane - 1, rows, -1:].astype(np.int32)
        speech[:, :fade] = (speech[:, :fade] * up + last * (fade - up)) // fade
        self.gaps[rows] += (self._state[rows] == _CLEAN) & ~came.all(axis=1) & self._speaks(rows)
        self._state[rows] = np.where(came[:, -1], _CLEAN, _SILENT)
        self._age[rows], self._risen[rows] = self._longest, 0
        return speech

    def _concealed(
        self, rows: NDArray[np.intp], came: NDArray[np.bool_], speech: NDArray[np.int16]
    ) -> NDArray[np.float32]:
        """These rows' frames (m, frame) as they are heard; and where each row is afterwards."""
        planes = (self._plane + np.arange(_PLANES)) % _PLANES
        past = _PLANES * self._frame
        said = np.empty((rows.size, past + self._frame), np.float32)
        said[:, :past] = self._past[planes[:, None], rows].transpose(1, 0, 2).reshape(-1, past)
        said[:, past:] = speech
        clean = self._state[rows] == _CLEAN
        cut = (self._age[rows] == 0) & (self._risen[rows] == 0)
        anew = clean | (cut | (self._risen[rows] > 0)) & ~came[:, 0]
        self.gaps[rows] += anew & self._speaks(rows)
        places = _Places(
            np.where(clean, _next(~came, np.zeros(rows.size, np.intp)), 0),
            np.where(anew, 0, self._age[rows]),
            np.where(anew, 0, self._risen[rows]),
        )
        which = np.arange(rows.size)
        for run in range(_RUNS):
            mine, frame = came[which], said[which]
            if run == _RUNS - 1:
                mine &= self._at < places.start[:, None]
            again = self._episode(rows[which], mine, frame, places)
            said[which] = frame
            going = again.start < self._frame
            which, places = which[going], again.only(going)
            if not which.size:
                break
            self.gaps[rows[which]] += 1
        return said[:, past:]

    def _bridged(
        self, rows: NDArray[np.intp], said: NDArray[np.float32], following: Following
    ) -> NDArray[np.float32]:
        """Missing frames whose next one is here already: out of what led to them into what leads from it."""
        ahead = following.coming(self._rate, rows)
        for exact in (True, False):
            which = np.flatnonzero(ahead.here & (ahead.exact == exact))
            if not which.size:
                continue
            late = 0 if exact else self._scale * _UNSURE
            bridge = self._bridge(rows[which], said[which], ahead.sound[which], late)
            said[which] = bridge[:, : self._frame]
            self._state[rows[which]] = _CLEAN
            self._age[rows[which]], self._risen[rows[which]] = 0, self._fade
            if late:
                up = np.sin(np.arange(1, late + 1) * (np.pi / 2 / late)).astype(np.float32) ** 2
                begin = ahead.sound[which, :late] * up + bridge[:, self._frame :] * (1 - up)
                following.amend(rows[which], np.clip(begin, -32768, 32767).astype(np.int16))
        return said

    def _bridge(
        self, rows: NDArray[np.intp], said: NDArray[np.float32], coming: NDArray[np.int16], late: int
    ) -> NDArray[np.float32]:
        """This frame and `late` samples, between what leads to them and what comes behind them,
        (m, frame + late)."""
        size = self._frame + late
        after = np.zeros((rows.size, _PLANES * self._frame), np.float32)
        after[:, late - 2 * self._frame :] = coming[:, : late - 1 if late else None : -1]
        since = np.broadcast_to(np.arange(size), (rows.size, size))
        lag = _pitch(after, self._scale)
        back = _repeated(self._continued(after, lag), lag, since)[:, ::-1]
        age = np.minimum(self._age[rows, None] + np.arange(late), self._longest + self._frame - 1)
        forth = np.concatenate([said, self._conceal(rows, age)], axis=1)
        forth += (back - forth) * ((since + 1) / size).astype(np.float32)
        return forth

    def _episode(
        self, rows: NDArray[np.intp], came: NDArray[np.bool_], said: NDArray[np.float32], places: _Places
    ) -> _Places:
        """One gap and what follows it, in `said`; the places where the next ones begin, or `frame`."""
        start, age, risen = places
        size, fade, longest = self._frame, self._fade, self._longest
        fresh = age == 0
        if fresh.any():
            self._learn(rows[fresh], said[fresh], start[fresh])
        back = _next(came, start)
        over = _next(~came, back)
        at = self._at
        since = np.clip(at - start[:, None], 0, None) + age[:, None]
        conceal = self._conceal(rows, np.minimum(since, longest + size - 1))
        up = np.clip(at - (back - risen)[:, None] + 1, 0, fade).astype(np.float32) / fade
        frame = said[:, -size:]
        mine = (at >= start[:, None]) & (at < over[:, None])
        frame[...] = np.where(mine, frame * up + conceal * (1 - up), frame)

        age = age + size - start
        risen = np.where(back < size, np.minimum(risen + size - back, fade), 0)
        self._state[rows] = np.where(
            risen == fade, _CLEAN, np.where((back == size) & (age >= longest), _SILENT, _BROKEN)
        )
        self._age[rows] = np.minimum(age, longest + risen)
        self._risen[rows] = risen
        return _Places(over, np.zeros_like(age), np.zeros_like(age))

    def break_off(self, rows: NDArray[np.intp]) -> None:
        """Count a gap of these rows that somebody else fills."""
        self.gaps[rows] += self._speaks(rows)

    def _speaks(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Who was heard in the last tick, and has not said that he stops: his speech can break off."""
        loud: NDArray[np.bool_] = np.abs(self.last(rows)).max(axis=1) > _QUIET
        return loud & ~self._pausing[rows]

    def _learn(self, rows: NDArray[np.intp], said: NDArray[np.float32], start: NDArray[np.intp]) -> None:
        """Find the pitch of what these rows said before their gaps; keep a period that goes on from it."""
        before = np.take_along_axis(said, start[:, None] + np.arange(_PLANES * self._frame), axis=1)
        lag = self._lag[rows] = np.where(self._pausing[rows], 0, _pitch(before, self._scale))
        self._model[rows] = np.clip(self._continued(before, lag), -32768, 32767)

    def _continued(self, said: NDArray[np.float32], lag: NDArray[np.int32]) -> NDArray[np.float32]:
        """The end of each row, (m, _PLANES * frame) to (m, longest period), its last `lag` samples such that
        they follow upon themselves.

        Had what excited the speaker's mouth (a linear prediction) a period ago come again, he would have said
        the same again, plus what the difference between its state then and now rings out to.
        """
        order, size = _ORDER + 8 * (self._scale > 1), self._window.size
        weighted = said[:, -size:] * self._window
        products = [np.einsum("mi,mi->m", weighted[:, k:], weighted[:, : size - k]) for k in range(order + 1)]
        alike = np.stack(products, axis=1)
        alike[:, 0] = alike[:, 0] * 1.0001 + 1e4
        step = np.arange(order)
        mouth = np.linalg.solve(alike[:, np.abs(step[:, None] - step)], alike[:, 1:, None])[:, :, 0]
        mouth *= _DAMPED ** (step + 1)
        last = said.shape[1] - 1 - step
        apart = said[:, last] - np.take_along_axis(said, last - lag[:, None], axis=1)
        taps = np.zeros((lag.size, 2 * order))
        taps[:, :order] = mouth
        struck = np.einsum("mij,mj->mi", taps[:, step[:, None] + step], apart)
        longest, turns = self._scale * _LONGEST, self._scale * 512
        taps[:, 0], taps[:, 1 : order + 1] = 1, -mouth
        ringing = np.fft.irfft(np.fft.rfft(struck, turns) / np.fft.rfft(taps, turns), turns)
        at = np.arange(longest) - (longest - lag[:, None])
        rung = np.take_along_axis(ringing, np.maximum(at, 0), axis=1) * (at >= 0)
        period: NDArray[np.float32] = said[:, -longest:] + rung.astype(np.float32)
        return period

    def _conceal(self, rows: NDArray[np.intp], since: NDArray[np.intp]) -> NDArray[np.float32]:
        """What stands in for the samples that are `since` (m, frame) behind the begin of the gap."""
        lag = self._lag[rows]
        sound = _repeated(self._model[rows].astype(np.float32), lag, since)
        return sound * np.where(lag[:, None] > 0, self._gain[since], self._dying[since])


def _repeated(
    model: NDArray[np.float32], lag: NDArray[np.int32], since: NDArray[np.intp]
) -> NDArray[np.float32]:
    """The last `lag` samples of each row (m, n) over and over, at `since` (m, frame) behind its end."""
    loop = np.maximum(lag, 1)[:, None]
    period: NDArray[np.float32] = np.take_along_axis(model, model.shape[1] - loop + since % loop, axis=1)
    return period


def _next(marks: NDArray[np.bool_], start: NDArray[np.intp]) -> NDArray[np.intp]:
    """Per row (m, frame), where the first mark stands from `start` on; `frame` if there is none."""
    ahead = marks & (np.arange(marks.shape[1]) >= start[:, None])
    first: NDArray[np.intp] = np.where(ahead.any(axis=1), ahead.argmax(axis=1), marks.shape[1])
    return first


def _pitch(said: NDArray[np.float32], scale: int) -> NDArray[np.int32]:
    """The lag at which the last 6.5 ms of each row resemble what was before them most."""
    match, longest, size = scale * _MATCH, scale * _LONGEST, scale * 512
    reach = match + longest
    spectrum = np.fft.rfft(said[:, -reach:], size)
    spectrum *= np.fft.rfft(said[:, -match:], size).conj()
    likeness = np.fft.irfft(spectrum, size)[:, : longest + 1]  # [i]: to what lies longest - i before
    energy = np.cumsum(np.square(said[:, -reach:], dtype=np.float64), axis=1)
    window = energy[:, match - 1 :].copy()
    window[:, 1:] -= energy[:, :-match]
    likeness = likeness / np.sqrt(window + 1e3)
    lags = longest - np.arange(longest + 1)
    likeness[:, lags < scale * _SHORTEST] = -np.inf
    best: NDArray[np.int32] = lags[likeness.argmax(axis=1)].astype(np.int32)
    return best
