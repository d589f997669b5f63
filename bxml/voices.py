"""The voices a SpeakSentence may ask for.

Their order is their priority: without a name, the first voice of the wanted locale and gender speaks.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Voice:
    """A name an application may use, with the locale and the gender ("female" or "male") it stands for."""

    name: str
    locale: str
    gender: str


# Name, locale, gender. The last line are names of older documents whose locale is stated nowhere: English.
_TABLE = """
    susan en_US f       paul en_US m        julie en_US f       kate en_US f        ruth en_US f
    bridget en_UK f     katrin de f         esperanza es f      violeta es f        rosa es_MX f
    lupe es_US f        jolie fr f          gabrielle fr_CA f   paola it f          nadiya ru f
    masako ja f         zeina arb f         zhiyu cmn-CN f      dave en_US m        stephen en_US m
    simon en_UK m       stefan de m         jorge es m          pedro es_US m       bernard fr m
    liam fr_CA m        luca it m           anatoli ru m        kenji ja m          salli en_US f
    salli_enh en_US f   chantal fr_CA f     miguel es_US m      joey en_US m        joey_enh en_US m
    penelope es_US f    russell en_AU m     emma en_GB f        emma_enh en_GB f    nicole en_AU f
    raveena en_IN f     mads da_DK m        justin en_US m      ivy en_US f         ivy_enh en_US f
    carmen ro_RO f      naja da_DK f        ruben nl_NL m       geraint en_GB_WLS m
    samuel en_US m      emily en_US f
"""

_WORDS = _TABLE.split()
_GENDERS = {"f": "female", "m": "male"}

VOICES: tuple[Voice, ...] = tuple(
    Voice(name, locale, _GENDERS[gender])
    for name, locale, gender in zip(_WORDS[::3], _WORDS[1::3], _WORDS[2::3], strict=True)
)
LOCALES: tuple[str, ...] = tuple(dict.fromkeys(voice.locale for voice in VOICES))


def choose(voice: str | None, gender: str, locale: str) -> Voice:
    """The voice that speaks: the named one, else the first of that locale and gender, else of that locale.

    `ValueError` for a name or a locale that is not in the table.
    """
    if voice is not None:
        named = next((each for each in VOICES if each.name == voice), None)
        if named is None:
            raise ValueError(f"no voice is named {voice!r}")
        return named
    speakers = [each for each in VOICES if each.locale == locale]
    if not speakers:
        raise ValueError(f"no voice speaks {locale!r}")
    return next((each for each in speakers if each.gender == gender), speakers[0])
