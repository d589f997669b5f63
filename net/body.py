"""A body collected up to a limit, decompressed on the way without ever holding more than the limit."""

import zlib

_CODINGS = {"gzip": 47, "x-gzip": 47, "deflate": 47}  # wbits: zlib finds out by itself which header there is


class BodyTooLarge(Exception):
    """More than the limit, as sent or decompressed."""


class BadCoding(Exception):
    """A content coding nobody asked for, or data that does not decompress."""


class Body:
    """Feed chunks as they arrive; `finish()` gives the whole. `coding` is the answer's Content-Encoding."""

    def __init__(self, limit: int, coding: str = "") -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._inflate: zlib._Decompress | None = None
        name = coding.strip().lower()
        if name not in ("", "identity"):
            if name not in _CODINGS:
                raise BadCoding(f"content coding {name[:40]!r}: expected none, gzip or deflate")
            self._inflate = zlib.decompressobj(_CODINGS[name])

    def feed(self, chunk: bytes) -> None:
        if self._inflate is None:
            self._keep(chunk)
            return
        try:
            # One byte over what is left is enough to know that it is too much.
            self._keep(self._inflate.decompress(chunk, self._limit - self._size + 1))
        except zlib.error as error:
            raise BadCoding(f"the body does not decompress: {error}") from None

    def finish(self) -> bytes:
        if self._inflate is not None and self._size and not self._inflate.eof:
            raise BadCoding("the compressed body ends too early")
        return b"".join(self._parts)

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            raise BodyTooLarge
        self._parts.append(part)
