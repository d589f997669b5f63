"""Legs that should be heard and are not: reported, counted, and ended where the operator wants that."""

import asyncio
import logging

from calls.call import Call

logger = logging.getLogger(__name__)


class SilenceWatch:
    """What becomes of calls from which no packet comes. `hang_up_after`: seconds, 0 = never."""

    def __init__(self, hang_up_after: float) -> None:
        self._hang_up_after = hang_up_after
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._before_ack: dict[str, float] = {}
        self.total = 0

    def __len__(self) -> int:
        """Silences that something may still come of."""
        return len(self._timers) + len(self._before_ack)

    def fell_silent(self, call: Call, seconds: float) -> None:
        """So long nothing has come. Before its answer and its ACK a call is nobody's concern: many never get
        one."""
        if call.awaits_ack or call.state != "answered":
            self._before_ack[call.id] = seconds
            return
        self.total += 1
        logger.warning("leg_silent", extra={"call_id": call.id, "seconds": seconds})
        if self._hang_up_after:
            left = max(self._hang_up_after - seconds, 0.0)
            self._timers[call.id] = asyncio.get_running_loop().call_later(left, self._end, call)

    def answered(self, call: Call) -> None:
        """The answer to a call of ours came, or the ACK to ours: a silence from before it counts now."""
        seconds = self._before_ack.pop(call.id, None)
        if seconds is not None:
            self.fell_silent(call, seconds)

    def over(self, call: Call) -> None:
        """A packet came, or the call has ended."""
        self._before_ack.pop(call.id, None)
        timer = self._timers.pop(call.id, None)
        if timer is not None:
            timer.cancel()

    def _end(self, call: Call) -> None:
        call.end("hangup", f"No packet for {self._hang_up_after:g} s (silence_hangup)")
