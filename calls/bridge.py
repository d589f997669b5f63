"""The Bridge verb: a call takes another one out of whatever it does and talks to it.

Source: contract, Bridge; bridgeComplete event.
"""

import asyncio
from dataclasses import dataclass

from bxml import Document, verbs
from calls import ids
from calls.call import Call
from calls.callbacks import Event, named
from calls.ended import EndedCall
from calls.errors import Conflict
from calls.joining import Pair


@dataclass(frozen=True)
class _Failure:
    """Why two calls could not be bridged. `cause` is one of the contract's."""

    cause: str
    message: str

    @property
    def fields(self) -> Event:
        return {"cause": self.cause, "errorMessage": self.message, "errorId": ids.error_id()}


async def bridge(call: Call, verb: verbs.Bridge) -> Document | None:
    """Join the two until either leaves; returns what `call` performs next, None for its next verb."""
    found = call.services.find(call.account, verb.call_id)
    failure = _refusal(call, found, verb.call_id)
    target = None if isinstance(found, EndedCall) else found
    if target is not None and failure is None:
        failure = await _talk(call, target, verb)
    callback = named(verb, "bridge_complete", call.callback_timeout)
    if callback is None:
        return None
    return await call.ask(callback, call.event("bridgeComplete", **(failure.fields if failure else {})))


def _refusal(call: Call, target: "Call | EndedCall | None", call_id: str) -> _Failure | None:
    if target is None:
        return _Failure("unknown", f"Call {call_id} not found")
    if target is call:
        return _Failure("rejected", "A call cannot be bridged with itself")
    if not target.live:
        return _Failure("rejected", f"Call {call_id} has ended")
    if target.direction == "outbound" and target.state != "answered":
        return _Failure("rejected", f"Call {call_id} has not been answered")
    if target.pair is not None and target.pair.verb == "Forward":
        return _Failure("rejected", f"Call {call_id} is being forwarded")
    if target.pair is not None:
        return _Failure("busy", f"Call {call_id} is already bridged with another call")
    return None


async def _talk(call: Call, target: Call, verb: verbs.Bridge) -> _Failure | None:
    """Returns when the target has left; cancelling it is this call's leaving."""
    pair = Pair(call, target, "Bridge", call.services.conferences.next_room())
    pair.hold()
    # The target's script is replaced in a task of its own: were it cancelled with ours half way, the target
    # would be left with nothing to do.
    taking = asyncio.create_task(_take(pair, target, verb), name=f"bridge {target.id}")
    try:
        failure = await asyncio.shield(taking)
        if failure is None:
            pair.seat(call)
            await pair.over.wait()
        return failure
    finally:
        pair.leave(call)


async def _take(pair: Pair, target: Call, verb: verbs.Bridge) -> _Failure | None:
    """Cancel what the target performs, and let it be in the pair instead."""

    async def source() -> Document:
        await target.answer()
        pair.seat(target)
        await pair.over.wait()
        return await _following(target, verb)

    try:
        script = await target.replace(source)
    except Conflict:
        script = None
    if script is None:
        return _Failure("rejected", f"Call {target.id} has ended")
    pair.leave_with(target, script)
    return None


async def _following(target: Call, verb: verbs.Bridge) -> Document:
    """What the target performs when the other one has left; without a URL for it, it is hung up."""
    callback = named(verb, "bridge_target_complete", target.callback_timeout)
    if callback is None:
        return Document()
    return await target.ask(callback, target.event("bridgeTargetComplete"))
