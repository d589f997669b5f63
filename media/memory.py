"""Anonymous memory that crosses to the other process as a descriptor.

On Linux a memfd; elsewhere a file without a name. A prompt is sealed where the kernel can seal, and the
reader maps it only if it is: a mapping of a file that somebody may still shorten kills its process.
Sealed or not, its pages are touched before the first sample plays, because a cold page stalls a beat.
"""

import fcntl
import mmap
import os
import tempfile

import numpy as np
from numpy.typing import NDArray

# Named here because the fcntl module has these names only on Linux.
_ADD_SEALS = getattr(fcntl, "F_ADD_SEALS", None)
_GET_SEALS = getattr(fcntl, "F_GET_SEALS", None)
_SEALS: int = (
    getattr(fcntl, "F_SEAL_SHRINK", 0) | getattr(fcntl, "F_SEAL_GROW", 0) | getattr(fcntl, "F_SEAL_WRITE", 0)
)


MAPPED = 1 << 20
"""Bytes from which on a prompt is mapped and not copied. A mapping keeps a descriptor, and copying less than
this takes less than a millisecond."""


def anonymous(name: str) -> int:
    """A descriptor of empty memory without a name in any directory; the caller closes it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    descriptor, path = tempfile.mkstemp(prefix=f"{name}-")
    os.unlink(path)
    return descriptor


def shared(descriptor: int, size: int) -> mmap.mmap:
    """Map `size` bytes of memory that both processes read and write, every page present."""
    mapping = mmap.mmap(descriptor, size)
    # A read of one byte a page brings it in; Linux does the same at once when asked to.
    np.frombuffer(mapping, np.uint8)[:: mmap.PAGESIZE].sum()
    return mapping


def sealed(data: bytes) -> int:
    """A descriptor of memory that holds `data` and, where the kernel can, never changes again."""
    descriptor = anonymous("prompt")
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if _ADD_SEALS is not None and hasattr(os, "memfd_create"):
            fcntl.fcntl(descriptor, _ADD_SEALS, _SEALS)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def samples(descriptor: int, size: int) -> NDArray[np.int16]:
    """The int16[size / 2] samples behind a descriptor, all in memory. Raises ValueError if it holds less."""
    length = os.fstat(descriptor).st_size
    if size % 2 or length < size:
        raise ValueError(f"a prompt of {size} bytes was announced, its memory holds {length}")
    if size == 0:
        return np.zeros(0, np.int16)
    if size < MAPPED or not _is_sealed(descriptor):
        return np.frombuffer(os.pread(descriptor, size, 0), "<i2").astype(np.int16, copy=False)
    flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
    mapping = mmap.mmap(descriptor, size, flags=flags, prot=mmap.PROT_READ)
    return np.frombuffer(mapping, "<i2").astype(np.int16, copy=False)


def _is_sealed(descriptor: int) -> bool:
    if _GET_SEALS is None:
        return False
    try:
        return bool(fcntl.fcntl(descriptor, _GET_SEALS) & _SEALS == _SEALS)
    except OSError:  # not a memfd
        return False
