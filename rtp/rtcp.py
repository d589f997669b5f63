"""Which packets are RTCP, and whose; what they report is not read. Source: RFC 3550 section 6, RFC 5761."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

FIRST_TYPE: Final = 72
LAST_TYPE: Final = 76
"""RTCP packet types 200 to 204 (SR, RR, SDES, BYE, APP) read as an RTP marker and these payload types
(RFC 5761 section 4), which no RTP stream may therefore use."""

_SSRC: Final = np.dtype({"names": ["ssrc"], "formats": [">u4"], "offsets": [4], "itemsize": 8})


def is_rtcp(payload_type: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which packets that arrived among RTP are RTCP."""
    return (payload_type >= FIRST_TYPE) & (payload_type <= LAST_TYPE)


def senders(
    slots: NDArray[np.uint8], length: NDArray[np.int32]
) -> tuple[NDArray[np.bool_], NDArray[np.uint32]]:
    """(whole enough to name a sender, SSRC of the sender) of RTCP packets in slots u8[n, SLOT]."""
    named = (length >= 8) & (slots[:, 0] >> 6 == 2)
    return named, np.ascontiguousarray(slots[:, :8]).view(_SSRC)[:, 0]["ssrc"].astype(np.uint32)
