"""The types of values: what an attribute or a text may say, and what is made of it.

A verb declares its fields with the aliases at the end of this file; a rule inside the alias reads the text
of the document. The parser puts "expected" before `rule.expected` when `rule.read` refuses.
"""

import math
import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol
from urllib.parse import urlsplit

from bxml.errors import quoted
from bxml.voices import LOCALES, VOICES

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

E164 = re.compile(r"\+[1-9][0-9]{1,14}")
"""A telephone number (ITU-T E.164)."""

WITHHELD = ("Restricted", "Anonymous", "Private", "Unavailable")
"""The words for a number that the other side must not know (contract, Transfer, transferCallerId)."""

DIALLED = "a SIP URI such as sip:alice@example.com, without password and headers"
"""What `can_be_dialled` expects, in words."""

# RFC 3261 section 19.1.1. No headers, which would reach into the INVITE; no password, which would be logged.
_DIALLED = re.compile(
    r"sips?:(?:[a-z0-9\-_.!~*'()%&=+$,;/#]+@)?(?:[a-z0-9._\-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?"
    r"(?:;[a-z0-9\-_.!~*'()%\[\]/:&+$=]+)*",
    re.IGNORECASE,
)


def can_be_dialled(uri: str) -> bool:
    """Whether this is a SIP URI as a call can be placed to."""
    found = _DIALLED.fullmatch(uri)
    return found is not None and (found[1] is None or 0 < int(found[1]) < 1 << 16)


class Rule(Protocol):
    """Reads one value."""

    @property
    def expected(self) -> str:
        """What would have been right, to follow the word "expected"."""

    @property
    def secret(self) -> bool:
        """Whether the value must not be shown in an error."""

    def read(self, text: str) -> object:
        """The value; `ValueError` when `text` is none."""


@dataclass(frozen=True)
class Text:
    """Any characters, so many at most; `printable`: it ends up in a header, so without control characters."""

    most: int | None = None
    least: int = 0
    printable: bool = False
    secret: bool = False

    @property
    def expected(self) -> str:
        if self.most is None:
            size = "some text" if self.least else "text"
        elif self.least:
            size = f"{self.least} to {self.most} characters"
        else:
            size = f"at most {self.most} characters"
        return f"{size} without control characters" if self.printable else size

    def read(self, text: str) -> str:
        too_long = self.most is not None and len(text) > self.most
        if too_long or len(text) < self.least or (self.printable and _CONTROL.search(text)):
            raise ValueError
        return text


@dataclass(frozen=True)
class Pattern:
    """Text of one shape, blanks around it trimmed."""

    pattern: re.Pattern[str]
    expected: str
    secret: bool = False

    def read(self, text: str) -> str:
        value = text.strip()
        if not self.pattern.fullmatch(value):
            raise ValueError
        return value


@dataclass(frozen=True)
class Choice:
    """One of a few words, compared without case and given back as the contract spells them."""

    words: tuple[str, ...]
    noun: str = ""
    secret: ClassVar[bool] = False

    @property
    def expected(self) -> str:
        return self.noun or " or ".join((", ".join(self.words[:-1]), self.words[-1]))

    def read(self, text: str) -> str:
        wanted = text.strip().lower()
        word = next((word for word in self.words if word.lower() == wanted), None)
        if word is None:
            raise ValueError
        return word


@dataclass(frozen=True)
class Flag:
    """true or false, in any case: older SDKs write Python's True and False."""

    expected: ClassVar[str] = "true or false"
    secret: ClassVar[bool] = False

    def read(self, text: str) -> bool:
        word = text.strip().lower()
        if word not in ("true", "false"):
            raise ValueError
        return word == "true"


@dataclass(frozen=True)
class Number:
    """A decimal number within bounds, both included. `whole`: an integer, which may be written 5.0."""

    least: float
    most: float | None = None
    whole: bool = False
    secret: ClassVar[bool] = False

    @property
    def expected(self) -> str:
        noun = "a whole number" if self.whole else "a number"
        if self.most is None:
            return f"{noun} not below {self.least:g}"
        return f"{noun} from {self.least:.10g} to {self.most:.10g}"

    def read(self, text: str) -> float | int:
        written = text.strip()
        if not _DECIMAL.fullmatch(written):
            raise ValueError
        value = float(written)
        fits = math.isfinite(value) and value >= self.least and (self.most is None or value <= self.most)
        if not fits or (self.whole and not value.is_integer()):
            raise ValueError
        return int(value) if self.whole else value


@dataclass(frozen=True)
class UserName:
    """A name for HTTP Basic, which a colon would end (RFC 7617 section 2)."""

    expected: ClassVar[str] = "a user name without colons and control characters"
    secret: ClassVar[bool] = True

    def read(self, text: str) -> str:
        if ":" in text:
            raise ValueError
        return Text(printable=True).read(text)


@dataclass(frozen=True)
class UserToUserText:
    """The value of a User-To-User header (RFC 7433), or several with commas; so many characters together."""

    most: int
    secret: ClassVar[bool] = False

    @property
    def expected(self) -> str:
        return f"{Text(self.most, printable=True).expected}, its encoding base64 or jwt"

    def read(self, text: str) -> str:
        encodings = re.findall(r";\s*encoding\s*=\s*([^;,\s]*)", text, re.IGNORECASE)
        if any(encoding.lower() not in ("base64", "jwt") for encoding in encodings):
            raise ValueError
        return Text(self.most, printable=True).read(text)


@dataclass(frozen=True)
class DestinationText:
    """A telephone number (ITU-T E.164), or a SIP URI that can be dialled."""

    expected: ClassVar[str] = f"a number in E.164 form or {DIALLED}"
    secret: ClassVar[bool] = False

    def read(self, text: str) -> str:
        value = text.strip()
        if not E164.fullmatch(value) and not can_be_dialled(value):
            raise ValueError
        return value


@dataclass(frozen=True)
class CallerIdText:
    """A telephone number (ITU-T E.164), or one of the words for a withheld one, in any case."""

    expected: ClassVar[str] = f"a number in E.164 form, or one of {', '.join(WITHHELD)}"
    secret: ClassVar[bool] = False

    def read(self, text: str) -> str:
        value = text.strip()
        return value if E164.fullmatch(value) else Choice(WITHHELD).read(value)


@dataclass(frozen=True)
class Words:
    """A list separated by commas; blanks and empty places in it are dropped."""

    expected: ClassVar[str] = "words separated by commas"
    secret: ClassVar[bool] = False

    def read(self, text: str) -> tuple[str, ...]:
        return tuple(word for word in (part.strip() for part in text.split(",")) if word)


@dataclass(frozen=True)
class Address:
    """A URL (RFC 3986): absolute with one of `schemes`, or a relative reference where that is allowed.

    Credentials belong in attributes of their own: they are refused in a URL, where they end up in logs. An
    empty one is taken for an absent one.
    """

    schemes: tuple[str, ...] = ("http", "https")
    relative: bool = True
    secret: ClassVar[bool] = False

    @property
    def expected(self) -> str:
        kinds = "an absolute or relative" if self.relative else "an absolute"
        return f"{kinds} {' or '.join(self.schemes)} URL without credentials"

    def read(self, text: str) -> str:
        url = text.strip()
        if not url or _CONTROL.search(url) or re.search(r"[\s\\<>\"]", url):
            raise ValueError
        parts = urlsplit(url)
        if parts.username is not None or parts.password is not None:
            raise ValueError
        if parts.scheme or not self.relative:
            if parts.scheme not in self.schemes or not parts.hostname or parts.port == 0:
                raise ValueError
        elif ":" in parts.path.partition("/")[0] or (url.startswith("//") and not parts.hostname):
            raise ValueError
        return url


def got(rule: Rule, text: str) -> str:
    """How an error about `text` ends: the value, unless it is secret; without credentials, if it is a URL."""
    if rule.secret:
        return ""
    if isinstance(rule, Address) and "@" in text:
        text = "…@" + text.rpartition("@")[2]
    return f", got {quoted(text)}"


class Content:
    """Marks the field that an element's text fills."""


class Markup(Content):
    """Marks the field that an element's inside fills, its elements written out with the text."""


@dataclass(frozen=True, kw_only=True)
class Children:
    """Marks the field that an element's child elements fill, and says how many there must be."""

    least: int = 0
    most: int

    @property
    def expected(self) -> str:
        return f"exactly {self.most}" if self.least == self.most else f"{self.least} to {self.most}"

    def fits(self, count: int) -> bool:
        return self.least <= count <= self.most


Boolean = Annotated[bool, Flag()]
Method = Annotated[str, Choice(("GET", "POST"))]
Url = Annotated[str, Address()]
WebSocketUrl = Annotated[str, Address(("ws", "wss"), relative=False)]
Username = Annotated[str, UserName()]
Password = Annotated[str, Text(printable=True, secret=True)]
TagText = Annotated[str, Text(256)]
Phrase = Annotated[str, Text()]
StreamName = Annotated[str, Text(least=1)]
ParameterName = Annotated[str, Text(256, least=1)]
ParameterValue = Annotated[str, Text(2048)]
CallIds = Annotated[tuple[str, ...], Words()]
Locales = Annotated[tuple[str, ...], Words()]

ConferenceName = Annotated[
    str, Pattern(re.compile(r"[A-Za-z0-9_.-]{1,100}"), "a name of 1 to 100 letters, digits, -, _ and .")
]
CallId = Annotated[str, Pattern(re.compile(r"\S{1,256}"), "a call id")]
EndpointId = Annotated[str, Pattern(re.compile(r"\S{1,256}"), "an endpoint id")]
PauseSeconds = Annotated[float, Number(0.1, 86_400)]
RingingSeconds = Annotated[float, Number(1, 300)]
ToneMilliseconds = Annotated[float, Number(50, 5_000)]

_SIP = r"[sS][iI][pP][sS]?:(?:[^\s@<>\"\x00-\x1f\x7f]+@)?[^\s@<>\"\x00-\x1f\x7f]+"
PhoneNumberText = Annotated[str, Pattern(E164, "a number in E.164 form, such as +15551234567")]
SipUriText = Annotated[str, Pattern(re.compile(_SIP), "a SIP URI, such as sip:alice@example.com")]
Destination = Annotated[str, DestinationText()]
CallerId = Annotated[str, CallerIdText()]
DisplayName = Annotated[str, Text(256, printable=True)]
UserToUser = Annotated[str, UserToUserText(256)]
PhoneNumberUserToUser = Annotated[str, UserToUserText(350)]

Digits = Annotated[str, Pattern(re.compile(r"[0-9*#A-Da-d]*"), "digits out of 0-9, *, # and A-D")]
TonesToSend = Annotated[
    str,
    Pattern(
        re.compile(r"[0-9*#A-Da-d,wW]{1,50}"),
        "1 to 50 digits out of 0-9, *, #, A-D, comma, w and W",
        secret=True,
    ),
]
DiversionTreatment = Annotated[str, Choice(("none", "propagate", "stack"))]
DiversionReason = Annotated[
    str,
    Choice(
        (
            "unknown", "user-busy", "no-answer", "unavailable", "unconditional", "time-of-day",
            "do-not-disturb", "deflection", "follow-me", "out-of-service", "away",
        )
    ),
]  # fmt: skip
FileFormat = Annotated[str, Choice(("wav", "mp3"))]
Tracks = Annotated[str, Choice(("inbound", "outbound", "both"))]

VoiceName = Annotated[str, Choice(tuple(voice.name for voice in VOICES), "a voice such as susan or paul")]
Gender = Annotated[str, Choice(("female", "male"))]
Locale = Annotated[str, Choice(LOCALES)]
