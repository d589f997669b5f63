"""On which terms sound is exchanged: what the operator decided, for phones and for each trunk."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sip.access import Trunk
from sip.flow import Flow
from sip.sdp import Srtp

Reaches = Callable[[str], str]
"""Which address of ours reaches another one."""

Transfers = Literal["none", "users", "any"]
"""Whom the far end of a call may put in its place by REFER: nobody; users who are registered here; any
address and number that the account can call."""

_PRIVATE = ("tls", "wss")


@dataclass(frozen=True)
class Terms:
    """Those of one call.

    `address`: the one of ours to put into SDP; `reaches`: which of ours reaches an address of the other
    family (OSError: none), None where sound is received at `address` alone; `codecs`: names out of
    `sip.codecs.CODECS` in our order, which answers follow where `ours_first`; `srtp`: whether the stream is
    encrypted; `private`: SDP may carry keys; `hold_music`: what a far end that puts us on hold sends is let
    in; `leading_silence`: seconds from the answer to the first prompt; `delay_floor`, `delay_ceiling`: ms
    that packets wait, None: as for all calls.
    """

    address: str
    reaches: Reaches | None = None
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    ours_first: bool = False
    srtp: Srtp = "off"
    private: bool = False
    hold_music: bool = False
    leading_silence: float = 0.0
    delay_floor: float | None = None
    delay_ceiling: float | None = None


@dataclass(frozen=True)
class TermsPolicy:
    """What the operator decided. `keys_in_clear`: the keys of SRTP may go over signalling that can be read on
    the way."""

    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    ours_first: bool = False
    srtp: Srtp = "off"
    keys_in_clear: bool = False
    hold_music: bool = False

    def towards(
        self,
        flow: Flow,
        trunk: Trunk | None,
        address: str,
        *,
        reaches: Reaches | None = None,
        srtp: Srtp | Literal[""] = "",
    ) -> Terms:
        """The terms of a call that is signalled over this way, by a trunk or by none; `srtp`: what is said of
        the very user at its far end, empty: nothing."""
        return Terms(
            address=address,
            reaches=reaches,
            codecs=(trunk.codecs if trunk is not None else ()) or self.codecs,
            ours_first=self.ours_first,
            srtp=srtp or (trunk.srtp if trunk is not None else "") or self.srtp,
            private=self.keys_in_clear or flow.transport in _PRIVATE,
            hold_music=self.hold_music,
            leading_silence=0.0 if trunk is None else trunk.leading_silence / 1000,
            delay_floor=None if trunk is None else trunk.delay_floor or None,
            delay_ceiling=None if trunk is None else trunk.delay_ceiling or None,
        )
