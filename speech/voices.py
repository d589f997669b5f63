"""The contract's locales and voices as espeak-ng has them: a language, and a variant for the speaker."""

from speech.engine import Voice
from speech.errors import SpeechError

# Locales of voices (en_US) and of <lang> (en-US), compared in lower case with hyphens. espeak-ng has no
# Australian, Indian or Welsh English, no Canadian French: the nearest it has.
_LANGUAGES = {
    "arb": "ar", "cmn-cn": "cmn", "cy-gb": "cy", "da-dk": "da", "de": "de", "de-de": "de",
    "en-au": "en-gb-x-rp", "en-gb": "en-gb-x-rp", "en-gb-wls": "en-gb-x-rp", "en-in": "en-gb-x-rp",
    "en-uk": "en-gb-x-rp", "en-us": "en-us",
    "es": "es", "es-es": "es", "es-mx": "es-419", "es-us": "es-419", "fr": "fr", "fr-ca": "fr", "fr-fr": "fr",
    "hi-in": "hi", "is-is": "is", "it": "it", "it-it": "it", "ja": "ja", "ja-jp": "ja", "ko-kr": "ko",
    "nb-no": "nb", "nl-nl": "nl", "pl-pl": "pl", "pt-br": "pt-br", "pt-pt": "pt", "ro-ro": "ro",
    "ru": "ru", "ru-ru": "ru", "sv-se": "sv", "tr-tr": "tr",
}  # fmt: skip

# Voices of one locale are different speakers; an enhanced voice is the same person as the plain one.
_VARIANTS = {
    "susan": "f3", "julie": "f2", "kate": "f5", "ruth": "Annie", "salli": "steph", "salli_enh": "steph",
    "ivy": "anika", "ivy_enh": "anika", "emily": "f4",
    "paul": "m3", "dave": "m7", "stephen": "Michael", "joey": "m6", "joey_enh": "m6", "justin": "Reed",
    "samuel": "m2",
    "bridget": "f2", "emma": "Alicia", "emma_enh": "Alicia", "nicole": "f5", "raveena": "belinda",
    "simon": "m3", "russell": "m7", "geraint": "m1",
    "katrin": "f2", "stefan": "m3",
    "esperanza": "f2", "violeta": "f5", "jorge": "m3", "rosa": "f3",
    "lupe": "f2", "penelope": "Alicia", "pedro": "m3", "miguel": "m7",
    "jolie": "f2", "bernard": "m3", "gabrielle": "f5", "chantal": "f4", "liam": "m7",
    "paola": "f2", "luca": "m3", "nadiya": "f2", "anatoli": "m3", "masako": "f2", "kenji": "m3",
    "zeina": "f2", "zhiyu": "f2", "carmen": "f2", "mads": "m3", "naja": "f2", "ruben": "m3",
}  # fmt: skip
_DEFAULT_VARIANTS = {"female": "f3", "male": "m3"}


def language(locale: str) -> str:
    """espeak-ng's name of a locale's language. Raises SpeechError for a locale the contract does not list."""
    found = _LANGUAGES.get(locale.lower().replace("_", "-"))
    if found is None:
        raise SpeechError(f"locale {locale[:40]!r}: not one of the contract's")
    return found


def variant(voice: Voice) -> str:
    """espeak-ng's variant for a voice: by its name if it has one, else by its gender."""
    if voice.name:
        found = _VARIANTS.get(voice.name.lower())
        if found is None:
            raise SpeechError(f"voice {voice.name[:40]!r}: not one of the contract's")
        return found
    found = _DEFAULT_VARIANTS.get(voice.gender.lower())
    if found is None:
        raise SpeechError(f"gender {voice.gender[:40]!r}: expected female or male")
    return found
