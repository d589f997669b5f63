"""What PlayAudio takes: how a file's kind is told, how long an answer may be kept."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from speech.jobs import Kind

ACCEPT = "audio/wav, audio/x-wav, audio/mpeg, audio/mp3;q=0.9, */*;q=0.1"
_KINDS: dict[str, Kind] = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/mpeg": "mp3",
    "audio/mpeg3": "mp3",
    "audio/mp3": "mp3",
}
_LONGEST = 24 * 3600.0  # seconds an answer is kept at most
_DIRECTIVE = re.compile(r'([a-z-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,;]*)))?', re.IGNORECASE)


def kind(content_type: str, url: str) -> Kind:
    """By the Content-Type; when that is absent or another, by the path's extension; else WAV is tried."""
    listed = _KINDS.get(content_type.partition(";")[0].strip().lower())
    if listed is not None:
        return listed
    return "mp3" if PurePosixPath(urlsplit(url).path).suffix.lower() == ".mp3" else "wav"


def lifetime(headers: Mapping[str, str]) -> float:
    """For how many seconds from now the answer may be used again (RFC 7234 section 4.2); 0: not at all.

    max-age wins over Expires, and Age counts. There is no guessing where the server says nothing. Answers are
    kept per credentials, so `private` and Authorization do not stand against keeping one. `headers` ignores
    case.
    """
    directives = {
        match[1].lower(): match[2] or match[3] or ""
        for match in _DIRECTIVE.finditer(headers.get("Cache-Control", ""))
    }
    if directives.keys() & {"no-store", "no-cache"} or "*" in headers.get("Vary", ""):
        return 0.0
    if "max-age" in directives:
        fresh = float(_seconds(directives["max-age"]))
    else:
        fresh = _until_expiry(headers)
    return max(0.0, min(fresh - _seconds(headers.get("Age", "0")), _LONGEST))


def _seconds(text: str) -> int:
    """Delta-seconds; what is no number counts as stale."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else 0


def _until_expiry(headers: Mapping[str, str]) -> float:
    try:
        expires = _date(headers["Expires"])
        return (
            expires - (_date(headers["Date"]) if "Date" in headers else datetime.now(UTC))
        ).total_seconds()
    except (KeyError, ValueError):  # absent, or no date, which means "already expired"
        return 0.0


def _date(text: str) -> datetime:
    parsed = parsedate_to_datetime(text)
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
