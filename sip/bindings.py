"""Bindings as text, so that phones stay reachable over a restart of ours: they register again only hourly.

Times of the registrar's clock, which means nothing to the next process, become times of day and back.
Bindings that came over a connection, and by no proxy that named itself, are left out: it ends with the
process, and leads nowhere afterwards.
"""

import json
from typing import Any

from sip.flow import Address, Flow
from sip.registrar import Binding, Registrar

_FORM = 1


class BindingsError(ValueError):
    """A text that is not what `dump` writes; says what was expected."""


def dump(registrar: Registrar, *, now: float, wall: float) -> str:
    """All bindings that live at `now`; `wall` is the same moment in seconds since 1970."""
    rows = [
        {
            "user": user,
            "uri": binding.uri,
            "transport": binding.source.transport,
            "local": binding.source.local,
            "remote": binding.source.remote,
            "expires": round(wall + binding.expires_at - now, 3),
            "call_id": binding.call_id,
            "cseq": binding.cseq,
            "q": binding.q,
            "path": binding.path,
            "parameters": binding.parameters,
        }
        for user, binding in registrar.all(now)
        if isinstance(binding.source, Flow) and (binding.path or not binding.source.reliable)
    ]
    return json.dumps({"form": _FORM, "bindings": rows}, indent=1)


def load(registrar: Registrar, text: str, *, now: float, wall: float) -> int:
    """Put what `dump` wrote back, and return how many live bindings that were. Users who do not exist any
    more are left out. Raises BindingsError, of nothing done."""
    try:
        kept = json.loads(text)
        if kept["form"] != _FORM:
            raise BindingsError(f"expected form {_FORM}, got {kept['form']!r}")
        found = [(str(row["user"]), _binding(row, now - wall)) for row in kept["bindings"]]
    except (KeyError, TypeError, ValueError) as error:
        raise BindingsError(f"not a file of bindings: {error!r}") from error
    return sum(registrar.restore(user, binding, now) for user, binding in found)


def _binding(row: dict[str, Any], shift: float) -> Binding:
    return Binding(
        uri=str(row["uri"]),
        source=Flow(str(row["transport"]), _address(row["local"]), _address(row["remote"])),
        expires_at=float(row["expires"]) + shift,
        call_id=str(row["call_id"]),
        cseq=int(row["cseq"]),
        q=float(row["q"]),
        path=tuple(map(str, row.get("path", ()))),
        parameters=str(row.get("parameters", "")),
    )


def _address(pair: list[Any]) -> Address:
    host, port = pair
    return str(host), int(port)
