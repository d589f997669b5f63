"""Cuts what an application wants spoken to the contract's SSML (SpeakSentence).

The text is hostile: speech engines read local files through <audio>, follow <voice name> into the file system
and trust attribute values. So nothing is passed on: the markup is parsed, and a new document is built of the
elements and attributes listed here, each value checked. Text inside elements that are not listed is spoken
all the same.
"""

import re

from lxml import etree

from speech.errors import SpeechError

LENGTH = 65_536  # characters; a BXML document has at most 64 KB
BREAK_MS = 10_000  # the longest pause one <break> gives
PREFIXES = 16  # of namespaces, declared or not
DEPTH = 10  # listed elements inside each other; engines keep small fixed stacks

LANGUAGES = frozenset(
    {
        "arb", "cmn-CN", "cy-GB", "da-DK", "de-DE", "en-AU", "en-GB", "en-IN", "en-US", "es-ES", "es-MX",
        "es-US", "fr-CA", "fr-FR", "hi-IN", "is-IS", "it-IT", "ja-JP", "ko-KR", "nb-NO", "nl-NL", "pl-PL",
        "pt-BR", "pt-PT", "ro-RO", "ru-RU", "sv-SE", "tr-TR",
    }
)  # fmt: skip
# Pauses for the strengths: as after a comma, a sentence, a paragraph.
_STRENGTH_MS = {"none": 0, "x-weak": 0, "weak": 250, "medium": 400, "strong": 700, "x-strong": 1200}

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_TIME = re.compile(r"\+?(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})(ms|s)\Z")
_RELATIVE = re.compile(r"[+-]\d{1,4}(?:\.\d{1,4})?%\Z")
_PERCENT = re.compile(r"\d{1,4}(?:\.\d{1,4})?%\Z")
_DECIBEL = re.compile(r"[+-]\d{1,3}(?:\.\d{1,4})?dB\Z", re.IGNORECASE)
_PITCHES = frozenset(("default", "x-low", "low", "medium", "high", "x-high"))
_RATES = frozenset(("x-slow", "slow", "medium", "fast", "x-fast"))
_VOLUMES = frozenset(("default", "silent", "x-soft", "soft", "medium", "loud", "x-loud"))
_EMPHASES = frozenset(("strong", "moderate", "reduced"))
_INTERPRETATIONS = frozenset(("date", "time", "telephone", "characters", "cardinal", "ordinal"))
_DATES = frozenset(("mdy", "ymd", "dmy", "ym", "my", "md", "dm", "d", "m", "y"))

# Everything but characters that can be spoken: control characters, surrogates, noncharacters, and the private
# use area, where an engine may keep signs of its own.
_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff]")
# Prefixes that extensions of SSML use without declaring them, as in <amazon:effect>.
_PREFIX = re.compile(r"[<\s]((?!xml)[A-Za-z_][A-Za-z0-9_.-]{0,30}):[A-Za-z_]", re.IGNORECASE)
_SPACE = re.compile(r"\s+")


def clean(markup: str) -> str:
    """`markup` (text with SSML in it, or plain text) as a canonical <speak> document of the contract's SSML.

    In the result every <break> has a time in ms, white space is one space, and all else that is left is
    checked. Text that is no XML is spoken as it stands; escaped markup (`&lt;break/&gt;`) counts as markup
    when it parses and has an SSML element. Raises SpeechError when it is too long or there is nothing to
    speak.
    """
    if len(markup) > LENGTH:
        raise SpeechError(f"a sentence of {len(markup)} characters: expected at most {LENGTH}")
    speak = etree.Element("speak")
    source = _parse(markup)
    if source is None:
        _say(speak, markup)
    else:
        text = source.text or ""
        if len(source) == 0 and "<" in text:
            inner = _parse(text)
            if inner is not None and any(_listed(element) is not None for element in inner.iterdescendants()):
                source = inner
        _copy(source, speak, 0)
    if not _speaks(speak):
        raise SpeechError("there is nothing to speak")
    return etree.tostring(speak, encoding="unicode")


def _parse(markup: str) -> etree._Element | None:
    """The markup inside a root of our own, or None when it is not well-formed."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    prefixes = sorted(set(_PREFIX.findall(markup)))[:PREFIXES]
    declared = "".join(f' xmlns:{prefix}="urn:{prefix}"' for prefix in prefixes)
    try:
        return etree.fromstring(f"<speak{declared}>{markup}</speak>".encode(errors="replace"), parser)
    except etree.XMLSyntaxError:
        return None


def _copy(source: etree._Element, target: etree._Element, depth: int) -> None:
    _say(target, source.text)
    for child in source:
        listed = _listed(child) if depth < DEPTH else None
        if listed is not None:
            target.append(listed)
        if listed is None:
            _copy(child, target, depth)
        elif listed.tag != "break":
            _copy(child, listed, depth + 1)
        _say(target, child.tail)


def _say(target: etree._Element, text: str | None) -> None:
    """Append spoken text to an element under construction."""
    spoken = _SPACE.sub(" ", _UNSPEAKABLE.sub(" ", text or ""))
    if not spoken:
        return
    if len(target):
        target[-1].tail = (target[-1].tail or "") + spoken
    else:
        target.text = (target.text or "") + spoken


def _speaks(speak: etree._Element) -> bool:
    if any(text.strip() for text in speak.itertext()):
        return True
    return any(element.tag in ("break", "sub") for element in speak.iterdescendants())


def _listed(source: etree._Element) -> etree._Element | None:
    """A fresh copy of a listed element, with the attributes that hold; None for any other element."""
    name = etree.QName(source).localname  # the parser leaves no comments and instructions in the tree
    get = source.get
    match name:
        case "p" | "s":
            return etree.Element(name)
        case "break":
            return etree.Element("break", time=f"{_pause(get('time'), get('strength'))}ms")
        case "emphasis":
            level = get("level")
            return etree.Element("emphasis", level=level if level in _EMPHASES else "moderate")
        case "lang":
            language = (get(_XML_LANG) or "").replace("_", "-")
            return etree.Element("lang", {_XML_LANG: language}) if language in LANGUAGES else None
        case "phoneme":
            return etree.Element("phoneme", ph=_attribute(get("ph")))
        case "sub":
            alias = _attribute(get("alias"))
            return etree.Element("sub", alias=alias) if alias else None
        case "say-as":
            return _say_as(get("interpret-as"), get("format"))
        case "prosody":
            return _prosody(get("pitch"), get("rate"), get("volume"))
        case _:
            return None


def _pause(time: str | None, strength: str | None) -> int:
    """The length of a break in milliseconds. A time wins over a strength; neither means medium."""
    match = _TIME.match(time or "")
    if match is not None:
        return min(round(float(match[1]) * (1 if match[2] == "ms" else 1000)), BREAK_MS)
    return _STRENGTH_MS.get(strength or "medium", _STRENGTH_MS["medium"])


def _attribute(value: str | None) -> str:
    return _SPACE.sub(" ", _UNSPEAKABLE.sub(" ", value or "")).strip()


def _say_as(interpretation: str | None, date: str | None) -> etree._Element | None:
    if interpretation not in _INTERPRETATIONS:
        return None
    element = etree.Element("say-as", {"interpret-as": interpretation})
    if interpretation == "date" and date in _DATES:
        element.set("format", date)
    return element


def _prosody(pitch: str | None, rate: str | None, volume: str | None) -> etree._Element | None:
    attributes = {}
    if pitch is not None and (pitch in _PITCHES or _RELATIVE.match(pitch)):
        attributes["pitch"] = pitch
    if rate is not None and (rate in _RATES or _PERCENT.match(rate)):
        attributes["rate"] = rate
    if volume is not None and (volume in _VOLUMES or _DECIBEL.match(volume)):
        attributes["volume"] = volume
    return etree.Element("prosody", attributes) if attributes else None
