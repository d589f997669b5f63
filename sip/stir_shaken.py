"""What a carrier says about a caller's number: whether it was verified, and who vouches for it.

Nothing is verified here: the Identity header (RFC 8224) is signed for whoever fetches its certificate, and
our carrier has done that. What it found stands in `verstat`, in P-Attestation-Indicator and P-Origination-ID
(3GPP TS 24.229; ATIS-1000074), else in the PASSporT itself (RFC 8588). Anybody can write these, so they
count only from a source that is trusted.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from contextlib import suppress

from sip.errors import SipError
from sip.headers import NameAddr
from sip.message import Request, usual_name
from sip.uri import Uri, readable

_ATTESTATION = usual_name("P-Attestation-Indicator")
_ORIGINATION = usual_name("P-Origination-ID")
_IDENTITY = usual_name("Identity")
_LONGEST = 8_192


def identity(invite: Request) -> str | None:
    """The Identity header, as it came; several with commas between them."""
    return readable(", ".join(invite.get_all(_IDENTITY))) or None


def vouched(invite: Request) -> dict[str, str]:
    """`verstat`, `attestationIndicator` and `originatingId`, each where the INVITE says it."""
    signed = _passport(invite)
    found = {
        "verstat": _verstat(invite),
        "attestationIndicator": invite.get(_ATTESTATION) or signed.get("attest"),
        "originatingId": invite.get(_ORIGINATION) or signed.get("origid"),
    }
    texts = {name: readable(value).strip() for name, value in found.items() if isinstance(value, str)}
    return {name: text for name, text in texts.items() if text}


def _verstat(invite: Request) -> str | None:
    """Of the asserted identity, else of From: a parameter of the number, of the URI or of the header."""
    for name in ("P-Asserted-Identity", "From"):
        with suppress(SipError):  # what cannot be read says nothing
            for value in invite.get_list(name):
                address = NameAddr.parse(value)
                of_number, of_uri = _number_parameter(address.uri), address.uri.parameter("verstat")
                if found := of_number or of_uri or address.parameter("verstat"):
                    return found
    return None


def _number_parameter(uri: Uri) -> str | None:
    """Parameters of a telephone number stand before the @ (RFC 3261 section 19.1.6)."""
    for each in (uri.opaque or uri.userinfo or "").split(";")[1:]:
        name, _, value = each.partition("=")
        if name.lower() == "verstat":
            return value
    return None


def _passport(invite: Request) -> Mapping[str, object]:
    """The claims of the first Identity header that has any (RFC 8225): header.claims.signature;info=..."""
    for value in invite.get_all(_IDENTITY):
        parts = value.partition(";")[0].strip().split(".")
        if len(parts) != 3 or len(parts[1]) > _LONGEST:
            continue
        with suppress(ValueError, RecursionError):  # not base64, not UTF-8, not JSON
            claims = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
            if isinstance(claims, dict):
                return claims
    return {}
