"""The contract's SSML in the words that espeak-ng understands.

Tried on 1.52: <lang> is ignored there (<voice xml:lang> works), decibels count as percent, cardinal, ordinal
and date mean nothing, pauses side by side do not add up, one of ten seconds inside fast prosody leaves the
engine speaking ten times too fast for ever, and strong emphasis overdrives. So pauses are cut out and become
silence of our own, and the rest is written with the elements that do as they should.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from speech.voices import language

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_VOLUMES = {"silent": 0, "x-soft": 40, "soft": 70, "loud": 140, "x-loud": 200, "medium": 100, "default": 100}
_RATES = {"x-slow": 60, "slow": 80, "medium": 100, "fast": 125, "x-fast": 150}
_EMPHASIS = {  # a strong word is louder and slower, a reduced one softer and faster
    "strong": '<prosody volume="140%" rate="85%">',
    "moderate": '<prosody volume="120%" rate="92%">',
    "reduced": '<prosody volume="75%" rate="110%">',
}
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_NUMBER = re.compile(r"\d+")


class Pause(NamedTuple):
    milliseconds: int


def pieces(markup: str, spoken: str, gender: str) -> Iterator[str | Pause]:
    """What to speak and where to be silent, in order. Each text is a whole <speak> document for espeak-ng.

    `markup` comes from `speech.ssml.clean`; `spoken` is espeak-ng's name of the sentence's language.
    """
    writer = _Writer(gender)
    yield from writer.walk(etree.fromstring(markup.encode()), spoken)
    yield from writer.cut()


class _Writer:
    """Writes elements as they open and close. Cut anywhere, it closes what is open and opens it anew."""

    def __init__(self, gender: str) -> None:
        self._gender = gender
        self._open: list[tuple[str, str]] = []  # (start tag, end tag)
        self._text: list[str] = []
        self._speaks = False

    def walk(self, element: etree._Element, spoken: str) -> Iterator[str | Pause]:
        self._say(element.text or "")
        for child in element:
            if child.tag == "break":
                yield from self.cut()
                yield Pause(int(str(child.get("time")).removesuffix("ms")))
            elif child.tag == "lang":
                inner = language(str(child.get(_XML_LANG)))
                yield from self._within(child, f'<voice xml:lang="{inner}" gender="{self._gender}">', inner)
            elif child.tag == "sub":
                self._say(str(child.get("alias")))
            elif child.tag == "say-as":
                self._say_as(child, spoken)
            else:
                yield from self._within(child, _start(child), spoken)
            self._say(child.tail or "")

    def cut(self) -> Iterator[str]:
        """The piece written so far, if it has anything to say."""
        if self._speaks:
            ends = "".join(end for _, end in reversed(self._open))
            yield f"<speak>{''.join(self._text)}{ends}</speak>"
        self._text = [start for start, _ in self._open]
        self._speaks = False

    def _within(self, element: etree._Element, start: str, spoken: str) -> Iterator[str | Pause]:
        if not start:  # nothing that espeak-ng would do differently
            yield from self.walk(element, spoken)
            return
        end = f"</{start[1:].split(maxsplit=1)[0].rstrip('>')}>"
        self._open.append((start, end))
        self._text.append(start)
        yield from self.walk(element, spoken)
        self._open.pop()
        self._text.append(end)

    def _say(self, text: str) -> None:
        if text.strip():
            self._speaks = True
        # Angle brackets are silent anyway, and nothing that looks like markup reaches the engine from a text.
        self._text.append(escape(text.replace("<", " ").replace(">", " ")))

    def _say_as(self, element: etree._Element, spoken: str) -> None:
        text = "".join(str(part) for part in element.itertext())
        match element.get("interpret-as"):
            case "characters" | "telephone" as kind:
                self._text.append(f"<say-as interpret-as={quoteattr(kind)}>")
                self._say(text)
                self._text.append("</say-as>")
            case "date":
                self._say(_date(text, str(element.get("format", "")), spoken))
            case "ordinal" if spoken.startswith("en") and text.strip().isdecimal():
                self._say(text.strip() + _ordinal_suffix(int(text.strip()[-2:])))
            case _:
                self._say(text)


def _start(element: etree._Element) -> str:
    """espeak-ng's start tag for an element, or "" for none: it reads no IPA, a phoneme's text is spoken."""
    match element.tag:
        case "p" | "s":
            return f"<{element.tag}>"
        case "emphasis":
            return _EMPHASIS[str(element.get("level"))]
        case "prosody":
            return _prosody(element)
        case _:
            return ""


def _prosody(element: etree._Element) -> str:
    attributes = ""
    if (pitch := element.get("pitch")) is not None:
        if pitch.endswith("%"):
            pitch = f"{max(-80.0, min(100.0, float(pitch[:-1]))):+g}%"
        attributes += f" pitch={quoteattr(pitch)}"
    if (rate := element.get("rate")) is not None:
        percent = float(rate[:-1]) if rate.endswith("%") else _RATES[rate]
        attributes += f' rate="{max(20.0, min(200.0, percent)):g}%"'
    if (volume := element.get("volume")) is not None:
        if volume in _VOLUMES:
            factor = float(_VOLUMES[volume])
        else:
            factor = 100 * 10 ** (float(volume[:-2]) / 20)
        attributes += f' volume="{max(0.0, min(200.0, factor)):.0f}%"'
    return f"<prosody{attributes}>"


def _date(text: str, order: str, spoken: str) -> str:
    """A date in words that read well: month and day named in English, else its numbers one by one."""
    numbers = _NUMBER.findall(text)
    if len(numbers) == 1 and len(numbers[0]) == sum(map(_width, order)):
        numbers = _digits_apart(numbers[0], order)
    if len(numbers) != len(order):
        return text
    parts = dict(zip(order, numbers, strict=True))
    month, day, year = (parts.get(part, "") for part in "mdy")
    if not spoken.startswith("en") or len(month) > 2 or len(day) > 2 or (month and not 1 <= int(month) <= 12):
        return " ".join(numbers)
    named = " ".join(
        ([_MONTHS[int(month) - 1]] if month else [])
        + ([day.lstrip("0") + _ordinal_suffix(int(day))] if day else [])
    )
    return ", ".join(part for part in (named, year) if part)


def _digits_apart(digits: str, order: str) -> list[str]:
    """20261123 as ymd is 2026, 11, 23."""
    numbers = []
    for part in order:
        numbers.append(digits[: _width(part)])
        digits = digits[_width(part) :]
    return numbers


def _width(part: str) -> int:
    return 4 if part == "y" else 2


def _ordinal_suffix(number: int) -> str:
    if 10 <= number % 100 <= 20:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
