"""Comfort noise packets as columns: how loud a sender's silence is, and of which spectrum. Source: RFC 3389
section 3."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

ORDER: Final = 12
"""Reflection coefficients that are read, the most that senders tell of; what follows them is passed over."""

FLAT: Final = 127
"""The index of a coefficient that is zero."""


def read(
    slots: NDArray[np.uint8], offset: NDArray[np.int32], size: NDArray[np.int32]
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """(level in -dBov, indexes u8[n, ORDER] of reflection coefficients, `FLAT` where none is told) of
    payloads of at least a byte, in slots u8[n, SLOT]."""
    place = offset[:, None] + np.arange(1 + ORDER)
    inside = np.minimum(place, slots.shape[1] - 1)
    payload = np.take_along_axis(slots, inside.astype(np.intp), axis=1)
    told = np.arange(1, 1 + ORDER) < size[:, None]
    return (payload[:, 0] & 0x7F).astype(np.int16), np.where(told, payload[:, 1:], np.uint8(FLAT))
