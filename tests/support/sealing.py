"""SRTP on a test phone's side: its own key, and the server's once its SDP has come (RFC 4568)."""

import base64
import re
import secrets

from pylibsrtp import Error, Policy, Session

SUITES = {
    "AES_CM_128_HMAC_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "AES_CM_128_HMAC_SHA1_32": (Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 30),
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
}


class Sealing:
    """The keys of one call under one suite. What does not pass is in `refused`."""

    def __init__(self, suite: str) -> None:
        self.suite = suite
        self.refused: list[bytes] = []
        self._theirs = ""
        self._inbound: Session | None = None
        self.renew()
        self._outbound = self._next

    def renew(self) -> None:
        """Offer another key, and send under it as soon as the answer is here."""
        profile, size = SUITES[self.suite]
        self._ours = secrets.token_bytes(size)
        self._next = Session(Policy(self._ours, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))

    def line(self) -> str:
        """For our SDP."""
        return f"a=crypto:1 {self.suite} inline:{base64.b64encode(self._ours).decode()}"

    def adopt(self, sdp: str) -> None:
        """The server's key is in its SDP."""
        found = re.search(r"a=crypto:1 (\S+) inline:([^|\s]+)", sdp)
        assert found is not None and found[1] == self.suite, f"no crypto line of {self.suite}:\n{sdp}"
        self._outbound = self._next
        if found[2] != self._theirs:
            self._theirs = found[2]
            key, profile = base64.b64decode(found[2]), SUITES[self.suite][0]
            self._inbound = Session(Policy(key, Policy.SSRC_ANY_INBOUND, srtp_profile=profile))

    def protect(self, packet: bytes) -> bytes:
        return self._outbound.protect(packet)

    def protect_report(self, packet: bytes) -> bytes:
        return self._outbound.protect_rtcp(packet)

    def unprotect(self, packet: bytes, *, report: bool = False) -> bytes | None:
        """None for what does not pass, and for what has overtaken the answer that brings its key."""
        if self._inbound is None:
            return None
        try:
            return self._inbound.unprotect_rtcp(packet) if report else self._inbound.unprotect(packet)
        except Error:
            self.refused.append(packet)
            return None
