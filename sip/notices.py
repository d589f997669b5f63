"""What is logged of those who come from outside: who is refused and why, and what cannot be read. Each line
names its source, and neither a flood nor a phone that tries for ever fills the disk."""

import logging
from collections.abc import Hashable

from sip.flow import Flow
from sip.gate import Refusal
from sip.limits import LogRate, source
from sip.message import REASONS, Request
from sip.uri import readable

logger = logging.getLogger(__name__)

AGAIN = 60.0
"""Seconds until the same refusal of the same source is logged once more."""
MAX_REFUSED = 1_000
"""Refusals of which that is remembered, the newest."""
MAX_NAME = 100
"""Characters of a name that a peer gives himself."""

_NEGOTIATION = frozenset({422, 423, 481, 482})
"""Statuses that are a part of ordinary signalling."""


class Notices:
    """The lines of one endpoint."""

    def __init__(self) -> None:
        self._rate = LogRate()
        self._refused: dict[Hashable, tuple[float, int]] = {}

    def malformed(self, flow: Flow, fault: str, now: float) -> None:
        """A message that cannot be read."""
        if self._rate.takes(now):
            logger.info("sip_malformed", extra={"source": _named(flow), "fault": fault})

    def calls_without_ack(self, ip: str, calls: int, now: float) -> None:
        """One source has too many calls that nobody has acknowledged."""
        if self._rate.takes(now):
            logger.warning("sip_calls_without_ack", extra={"source": ip, "calls": calls})

    def refused(self, request: Request, flow: Flow, refusal: Refusal, now: float) -> None:
        """A request from outside of our calls that is not done, once a minute; `times`: how often since. A
        challenge to who has not tried any credentials is no refusal, nor is what both sides settle among
        themselves."""
        status = refusal.status
        if status < 400 or status in _NEGOTIATION or refusal.expected:
            return
        method = request.method[:MAX_NAME]
        key = (source(flow.remote[0]), method, status)
        until, times = self._refused.get(key, (now, 0))
        if until > now:
            self._refused[key] = (until, times + 1)
            return
        if not self._rate.takes(now):
            return
        self._refused.pop(key, None)
        if len(self._refused) >= MAX_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[key] = (now + AGAIN, 0)
        who = request.to if request.method == "REGISTER" else request.from_
        logger.info(
            "sip_refused",
            extra={
                "source": _named(flow),
                "method": readable(method),
                "user": readable((who.uri.user or "")[:MAX_NAME]),
                "status": status,
                "reason": refusal.reason or REASONS.get(status, ""),
                "times": times + 1,
            },
        )


def _named(flow: Flow) -> str:
    return f"{flow.transport}:{flow.remote[0]}:{flow.remote[1]}"
