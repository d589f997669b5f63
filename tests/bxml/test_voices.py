"""Who speaks: spot checks of the table by number, and the rule of choosing."""

import pytest

from bxml.voices import LOCALES, VOICES, Voice, choose


def test_the_table_is_in_order_of_priority() -> None:
    numbered = {1: "susan", 5: "ruth", 6: "bridget", 18: "zhiyu", 25: "bernard", 26: "liam", 29: "kenji",
                37: "russell", 43: "justin", 49: "geraint"}  # fmt: skip
    assert {number: VOICES[number - 1].name for number in numbered} == numbered
    assert len({voice.name for voice in VOICES}) == len(VOICES) == 51


def test_the_locales_are_spelled_as_the_contract_does() -> None:
    assert set(LOCALES) == {
        "en_US", "en_UK", "de", "es", "es_MX", "es_US", "fr", "fr_CA", "it", "ru", "ja", "arb", "cmn-CN",
        "en_AU", "en_GB", "en_IN", "da_DK", "ro_RO", "nl_NL", "en_GB_WLS",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("voice", "gender", "locale", "chosen"),
    [
        (None, "female", "en_US", Voice("susan", "en_US", "female")),
        (None, "male", "en_US", Voice("paul", "en_US", "male")),
        (None, "female", "en_UK", Voice("bridget", "en_UK", "female")),
        (None, "male", "ja", Voice("kenji", "ja", "male")),
        (None, "male", "es_MX", Voice("rosa", "es_MX", "female")),
        (None, "female", "nl_NL", Voice("ruben", "nl_NL", "male")),
        (None, "male", "cmn-CN", Voice("zhiyu", "cmn-CN", "female")),
        ("liam", "female", "en_US", Voice("liam", "fr_CA", "male")),
        ("salli_enh", "male", "nowhere", Voice("salli_enh", "en_US", "female")),
    ],
)
def test_the_name_wins_then_locale_and_gender_then_the_locale(
    voice: str | None, gender: str, locale: str, chosen: Voice
) -> None:
    assert choose(voice, gender, locale) == chosen


def test_what_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="no voice is named 'hal'"):
        choose("hal", "female", "en_US")
    with pytest.raises(ValueError, match="no voice speaks 'tlh'"):
        choose(None, "female", "tlh")
