import pytest

from speech.espeak_markup import Pause, pieces
from speech.ssml import clean


def said(markup: str, spoken: str = "en-us") -> list[str | Pause]:
    return list(pieces(clean(markup), spoken, "female"))


def one(markup: str, spoken: str = "en-us") -> str:
    (piece,) = said(markup, spoken)
    assert isinstance(piece, str)
    return piece.removeprefix("<speak>").removesuffix("</speak>")


def test_a_pause_cuts_the_sentence() -> None:
    assert said('one <break time="2s"/> two') == ["<speak>one </speak>", Pause(2000), "<speak> two</speak>"]
    assert said('<break time="1s"/><break time="1s"/>') == [Pause(1000), Pause(1000)]


def test_what_is_open_at_a_pause_is_closed_and_opened_again() -> None:
    assert said('<p><prosody rate="fast">one<break time="1s"/>two</prosody></p>') == [
        '<speak><p><prosody rate="125%">one</prosody></p></speak>',
        Pause(1000),
        '<speak><p><prosody rate="125%">two</prosody></p></speak>',
    ]


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("a &lt;audio src='x'&gt; &amp; b", "a  audio src='x'  &amp; b"),
        ('<lang xml:lang="fr-FR">oui</lang> no', '<voice xml:lang="fr" gender="female">oui</voice> no'),
        ('<sub alias="a &lt; b">x</sub>', "a   b"),
        ('<phoneme ph="x">tomato</phoneme>', "tomato"),
        ('<prosody volume="+6dB">x</prosody>', '<prosody volume="200%">x</prosody>'),
        ('<prosody volume="-6dB">x</prosody>', '<prosody volume="50%">x</prosody>'),
        ('<prosody volume="silent">x</prosody>', '<prosody volume="0%">x</prosody>'),
        ('<prosody rate="9999%" pitch="+999%">x</prosody>', '<prosody pitch="+100%" rate="200%">x</prosody>'),
        ('<prosody rate="0%" pitch="low">x</prosody>', '<prosody pitch="low" rate="20%">x</prosody>'),
        ('<say-as interpret-as="characters">ab1</say-as>', '<say-as interpret-as="characters">ab1</say-as>'),
        ('<say-as interpret-as="telephone">123</say-as>', '<say-as interpret-as="telephone">123</say-as>'),
        ('<say-as interpret-as="cardinal">1234</say-as>', "1234"),
        ('<say-as interpret-as="ordinal">1</say-as>', "1st"),
        ('<say-as interpret-as="ordinal">12</say-as>', "12th"),
        ('<say-as interpret-as="ordinal">1023</say-as>', "1023rd"),
        ('<say-as interpret-as="ordinal">first</say-as>', "first"),
        ('<say-as interpret-as="time">1\'21"</say-as>', "1'21\""),
        ('<say-as interpret-as="date" format="mdy">12/31/2026</say-as>', "December 31st, 2026"),
        ('<say-as interpret-as="date" format="ymd">2026-11-03</say-as>', "November 3rd, 2026"),
        ('<say-as interpret-as="date" format="ymd">20261103</say-as>', "November 3rd, 2026"),
        ('<say-as interpret-as="date" format="my">5 2026</say-as>', "May, 2026"),
        ('<say-as interpret-as="date" format="md">0512</say-as>', "May 12th"),
        ('<say-as interpret-as="date" format="d">2</say-as>', "2nd"),
        ('<say-as interpret-as="date" format="y">1984</say-as>', "1984"),
        ('<say-as interpret-as="date" format="mdy">31/31/2026</say-as>', "31 31 2026"),
        ('<say-as interpret-as="date" format="mdy">00/00000/1</say-as>', "00 00000 1"),
        ('<say-as interpret-as="date" format="mdy">tomorrow</say-as>', "tomorrow"),
        ('<say-as interpret-as="date" format="mdy">123456789012345</say-as>', "123456789012345"),
        ('<say-as interpret-as="date">12/31</say-as>', "12/31"),
    ],
)  # fmt: skip
def test_the_contracts_markup_in_espeaks_words(markup: str, expected: str) -> None:
    assert one(markup) == expected


def test_dates_and_ordinals_in_other_languages_are_numbers() -> None:
    assert one('<say-as interpret-as="date" format="dmy">31.12.2026</say-as>', "de") == "31 12 2026"
    assert one('<say-as interpret-as="ordinal">3</say-as>', "de") == "3"
    switched = one('<lang xml:lang="en-GB"><say-as interpret-as="ordinal">3</say-as></lang>', "de")
    assert ">3rd<" in switched
