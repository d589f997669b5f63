"""Which voice speaks a sentence."""

import pytest

from tests.support.exchange import Exchange


@pytest.mark.parametrize(
    ("attributes", "voice"),
    [
        ("", ("susan", "female", "en_US")),
        ('locale="de"', ("katrin", "female", "de")),
        ('gender="male" locale="de"', ("stefan", "male", "de")),
        ('voice="kenji"', ("kenji", "male", "ja")),
        ('voice="kenji" gender="female" locale="en_US"', ("kenji", "male", "ja")),
        ('gender="female" locale="nl_NL"', ("ruben", "male", "nl_NL")),
    ],
)
async def test_the_contracts_table_chooses_the_voice(attributes, voice):
    exchange = Exchange()
    await exchange.dial_in(f"<Response><SpeakSentence {attributes}>Hello</SpeakSentence></Response>")
    assert exchange.speech.voices == [voice]
