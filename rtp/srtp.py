"""SRTP and SRTCP of those legs that have keys, in place, one call of libsrtp a packet. Source: RFC 3711, RFC
4568, RFC 7714.

A packet counts for a leg with keys only once it has passed: what does not pass is counted, and changes
nothing. New keys are sent under and accepted at once; packets under the old ones until the first under the
new. By RFC 3711 section 3.3.1 a source goes on with its rollover counter under a new key, while those who
make another session of libsrtp for it begin at zero: either is understood, and what is sent under a new key
is another source, of which all begin at zero.

pylibsrtp's own methods copy each packet twice; its binding is called instead, on the slots themselves.
"""

import ctypes
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pylibsrtp import Policy, Session, _binding
from pylibsrtp._binding import ffi, lib

from rtp.datagrams import OUT_SLOT, Inbox, Outbox
from rtp.packet import SLOT, Headers, parse
from rtp.rtcp import is_rtcp, parse_compound, read_among_rtp

SUITES: Final = {
    "AES_CM_128_HMAC_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "AES_CM_128_HMAC_SHA1_32": (Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 30),
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
}
"""libsrtp's profile, and the bytes of master key and salt."""

MAX_SOURCES: Final = 64
"""SSRCs that one key is good for. libsrtp keeps a state for each, and none may be forgotten: its packets
could be played again."""

_OK: Final = 0
_REPLAYED: Final = (9, 10)  # srtp_err_status_replay_fail, srtp_err_status_replay_old


_counters: Final = ctypes.CDLL(_binding.__file__)  # the same libsrtp, of which pylibsrtp declares no counters
_counters.srtp_get_stream_roc.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32)]
_counters.srtp_set_stream_roc.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32]


class _Context:
    """One direction under one master key."""

    __slots__ = ("_address", "_session", "handle", "key", "sources", "suite")

    def __init__(self, suite: str, key: bytes, direction: int) -> None:
        profile, size = SUITES[suite]
        if len(key) != size:
            raise ValueError(f"{suite} takes {size} bytes of key and salt, got {len(key)}")
        self._session = Session(Policy(key=key, ssrc_type=direction, srtp_profile=profile))
        self.handle = self._session._srtp[0]
        self._address = int(ffi.cast("uintptr_t", self.handle))
        self.suite, self.key = suite, key
        self.sources: set[int] = set()

    def __repr__(self) -> str:
        return f"_Context({self.suite!r})"

    def has(self, suite: str, key: bytes) -> bool:
        return (self.suite, self.key) == (suite, key)

    def rollovers(self, source: int) -> int:
        """How often the sequence numbers of a source have wrapped; 0 of one that is not known."""
        counter = ctypes.c_uint32()
        _counters.srtp_get_stream_roc(self._address, source, ctypes.byref(counter))
        return counter.value

    def expect(self, source: int, rollovers: int) -> None:
        """The next packet of this source has wrapped so often; 0: as if nothing had been said of it."""
        if source not in self.sources:
            if rollovers == 0:
                self._session.remove_stream(source)
                return
            profile, _ = SUITES[self.suite]
            policy = Policy(
                key=self.key, ssrc_type=Policy.SSRC_SPECIFIC, ssrc_value=source, srtp_profile=profile
            )
            self._session.add_stream(policy)
        _counters.srtp_set_stream_roc(self._address, source, rollovers)


class _Leg:
    """The contexts of one leg. `former`: of the key before, until the first packet under the new one."""

    __slots__ = ("former", "inbound", "outbound")

    def __init__(self, suite: str, send: bytes, receive: bytes) -> None:
        self.outbound = _Context(suite, send, Policy.SSRC_ANY_OUTBOUND)
        self.inbound = _Context(suite, receive, Policy.SSRC_ANY_INBOUND)
        self.former: _Context | None = None


class Srtp:
    """The keys of legs, by the mixer's rows. `secure` bool by row: which have some (`rtp.demux` looks at it).

    `counts`: what came to legs with keys and was `srtp_rejected` (another key, altered, or not protected at
    all), what was `srtp_replayed`; reports that were not protected at all, `rtcp_in_clear`, which tell of no
    attack: some phones open their way through a NAT with one before they use their keys. What could not be
    protected and therefore did not leave, `srtp_unsent`.
    """

    def __init__(self, secure: NDArray[np.bool_], inbox: Inbox) -> None:
        self.secure = secure
        self.rejected = np.zeros(len(secure), np.int64)
        self.counts = dict.fromkeys(("srtp_rejected", "srtp_replayed", "rtcp_in_clear", "srtp_unsent"), 0)
        self.inbox = inbox
        self._legs: dict[int, _Leg] = {}
        self._size = ffi.new("int *")
        self._slots = ffi.cast("unsigned char *", inbox.slots.ctypes.data)

    def __len__(self) -> int:
        """How many legs have keys."""
        return len(self._legs)

    def set_keys(self, row: int, suite: str, send: bytes, receive: bytes, *, renew: bool = True) -> bool:
        """The leg's keys from now on, each a master key with its salt behind it; what is as before goes on as
        it was. `renew`: of the same far end, which may go on under its old key for a moment. Returns whether
        what is sent is under another key than before. Raises ValueError, without the key in it."""
        if suite not in SUITES:
            raise ValueError(f"expected a suite out of {', '.join(SUITES)}, got {suite}")
        leg = self._legs.get(row)
        if leg is None:
            self._legs[row] = _Leg(suite, send, receive)
            self.secure[row] = True
            return True
        another = not leg.outbound.has(suite, send)
        if another:
            leg.outbound = _Context(suite, send, Policy.SSRC_ANY_OUTBOUND)
        if leg.former is not None and leg.former.has(suite, receive):
            leg.inbound, leg.former = leg.former, leg.inbound
        elif not leg.inbound.has(suite, receive):
            fresh = _Context(suite, receive, Policy.SSRC_ANY_INBOUND)
            leg.inbound, leg.former = fresh, leg.former or leg.inbound  # the one that packets came under
        if not renew:
            leg.former = None
        return another

    def drop_keys(self, row: int) -> None:
        """The leg is a plain one from now on, or no more."""
        self._legs.pop(row, None)
        self.secure[row] = False
        self.rejected[row] = 0

    # In

    def unprotect(self, rows: NDArray[np.intp], places: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Unprotect what came to these legs, by its place in the inbox, whose length is then the plain one;
        which passed. RTCP among it is told by its packet type (RFC 5761)."""
        inbox = self.inbox
        rtcp = is_rtcp(inbox.slots[places, 1] & 0x7F)
        fields = inbox.slots[places, :12].view(">u4")
        sources = np.where(rtcp, fields[:, 1], fields[:, 2])
        plain = [
            self._open(lib.srtp_unprotect_rtcp if kind else lib.srtp_unprotect, row, place, source, length)
            for row, place, kind, source, length in zip(
                rows.tolist(),
                places.tolist(),
                rtcp.tolist(),
                sources.tolist(),
                inbox.length[places].tolist(),
                strict=True,
            )
        ]
        passed = np.array(plain) > 0
        inbox.length[places[passed]] = np.array(plain)[passed]
        return passed

    def unprotect_rtcp(self, row: int, place: int) -> bool:
        """The same of one packet that came to an RTCP port; a leg without keys has nothing to unprotect."""
        if not self.secure[row]:
            return True
        source = int.from_bytes(self.inbox.slots[place, 4:8].tobytes(), "big")
        length = self._open(lib.srtp_unprotect_rtcp, row, place, source, int(self.inbox.length[place]))
        if length:
            self.inbox.length[place] = length
        return length > 0

    def _open(self, call: Any, row: int, place: int, source: int, length: int) -> int:
        """The plain length; 0 if the packet does not pass."""
        leg = self._legs[row]
        context = leg.inbound
        report = self.inbox.slots[place, :length].tobytes() if call is lib.srtp_unprotect_rtcp else b""
        if leg.former is None and source in context.sources:
            self._size[0] = length
            status = call(context.handle, self._slots + SLOT * place, self._size)
        else:
            status = self._open_first(call, leg, place, source, length)
        if status == _OK:
            return int(self._size[0])
        if parse_compound(report) is not None:
            self.counts["rtcp_in_clear"] += 1
        else:
            self.counts["srtp_replayed" if status in _REPLAYED else "srtp_rejected"] += 1
            self.rejected[row] += 1
        return 0

    def _open_first(self, call: Any, leg: _Leg, place: int, source: int, length: int) -> int:
        """Where the source is not known yet, or the key is new; libsrtp's status."""
        if leg.former is None:
            return self._try(call, leg.inbound, place, source, length)
        sound = call is lib.srtp_unprotect
        packet = self.inbox.slots[place, :length].copy()  # which a failure may leave altered
        status = self._try(call, leg.inbound, place, source, length)
        if status != _OK:
            self.inbox.slots[place, :length] = packet
            status = self._try(call, leg.former, place, source, length)
            if status in (_OK, *_REPLAYED) or not sound or source not in leg.former.sources:
                return status
            status = self._try_on(leg, leg.former, place, source, packet)
        if status == _OK and sound:
            leg.former = None
        return status

    def _try_on(self, leg: _Leg, former: _Context, place: int, source: int, packet: NDArray[np.uint8]) -> int:
        """Where a source goes on counting its rollovers under the new key; one may have come between."""
        counted, status = former.rollovers(source), -1
        for rollovers in range(max(counted, 1), counted + 2):
            leg.inbound.expect(source, rollovers)
            self.inbox.slots[place, : len(packet)] = packet
            status = self._try(lib.srtp_unprotect, leg.inbound, place, source, len(packet))
            if status == _OK:
                break
            leg.inbound.expect(source, 0)
        return status

    def _try(self, call: Any, context: _Context, place: int, source: int, length: int) -> int:
        known = source in context.sources
        if not known and len(context.sources) >= MAX_SOURCES:
            return -1
        self._size[0] = length
        status: int = call(context.handle, self._slots + SLOT * place, self._size)
        if status == _OK and not known:
            context.sources.add(source)
        return status

    # Out

    def protect(self, outbox: Outbox, slots: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
        """Protect what lies in those of these slots that are of legs with keys (slot modulo rows is the row),
        in the order given. Returns (the slots, their plain lengths): `outbox.lengths` are to be brought back
        to them once all has been sent. What cannot be protected has no length."""
        if not self._legs:
            return slots[:0], outbox.lengths[:0]
        secure = slots[self.secure[slots % len(self.secure)]]
        plain = outbox.lengths[secure]
        base = ffi.cast("unsigned char *", outbox.slots.ctypes.data)
        rows = secure % len(self.secure)
        lengths = [
            self._seal(lib.srtp_protect, row, base + OUT_SLOT * slot, length)
            for row, slot, length in zip(rows.tolist(), secure.tolist(), plain.tolist(), strict=True)
        ]
        outbox.lengths[secure] = lengths
        return secure, plain

    def protect_rtcp(self, outbox: Outbox, rows: NDArray[np.intp]) -> None:
        """Protect the compounds in the first slots of `outbox`, slot by slot for these rows."""
        base = ffi.cast("unsigned char *", outbox.slots.ctypes.data)
        for slot in np.flatnonzero(self.secure[rows]).tolist():
            length = int(outbox.lengths[slot])
            outbox.lengths[slot] = self._seal(
                lib.srtp_protect_rtcp, int(rows[slot]), base + OUT_SLOT * slot, length
            )

    def _seal(self, call: Any, row: int, packet: Any, length: int) -> int:
        self._size[0] = length
        if call(self._legs[row].outbound.handle, packet, self._size) != _OK:
            self.counts["srtp_unsent"] += 1
            return 0
        return int(self._size[0])


class Admission:
    """Which packets of a batch count as whose, where legs have keys.

    `rows` intp: by packet, the leg whose keys it has passed, 0 for none. `refused` bool: it came from where a
    leg with keys is heard, and did not pass.
    """

    def __init__(self, srtp: Srtp, rows: NDArray[np.intp]) -> None:
        """`rows`: the leg with keys at each packet's source, 0 for none. Before headers are read."""
        self.rows = np.zeros(len(rows), np.intp)
        self.refused = np.zeros(len(rows), bool)
        self._srtp = srtp
        self._headers: Headers | None = None
        places = np.flatnonzero(rows)
        if len(places):
            passed = srtp.unprotect(rows[places], places)
            self.rows[places[passed]] = rows[places[passed]]
            self.refused[places[~passed]] = True

    def read(self, headers: Headers) -> None:
        """The batch's headers, in which what was refused is not valid from now on."""
        headers.valid &= ~self.refused
        self._headers = headers

    def admits(self, row: int, packet: int) -> bool:
        """Whether a packet that came from elsewhere is this leg's; asked once, for the only leg it may belong
        to. Its header is read anew: what comes at its end was not to be seen before."""
        assert self._headers is not None
        if self.rows[packet] or self.refused[packet]:
            return bool(self.rows[packet] == row)
        if self._srtp.unprotect(np.array([row]), np.array([packet]))[0]:
            self.rows[packet] = row
            inbox = self._srtp.inbox
            slot, length = inbox.slots[packet : packet + 1], inbox.length[packet : packet + 1]
            own = parse(slot, length)
            read_among_rtp(own, slot, length)
            self._headers.put(packet, own)
        else:
            self.refused[packet] = True
            self._headers.valid[packet] = False
        return bool(self._headers.valid[packet])
