import pytest
from multidict import CIMultiDict

from speech.audio import kind, lifetime


@pytest.mark.parametrize(
    ("content_type", "url", "expected"),
    [
        ("audio/wav", "http://h/a.mp3", "wav"),
        ("Audio/X-WAV; charset=binary", "http://h/a", "wav"),
        ("audio/mpeg", "http://h/a.wav", "mp3"),
        ("audio/mpeg3", "http://h/", "mp3"),
        ("audio/mp3", "http://h/", "mp3"),
        ("", "http://h/a.mp3?x=.wav", "mp3"),
        ("", "http://h/a.MP3", "mp3"),
        ("application/octet-stream", "http://h/a.wav", "wav"),
        ("application/octet-stream", "http://h/a.ogg", "wav"),
        ("", "http://h", "wav"),
    ],
)
def test_the_content_type_tells_the_kind_then_the_extension_then_wav_is_tried(content_type, url, expected):
    assert kind(content_type, url) == expected


NOW = "Mon, 23 Nov 2026 10:00:00 GMT"
LATER = "Mon, 23 Nov 2026 10:01:30 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"Cache-Control": "max-age=60"}, 60),
        ({"cache-control": 'private, max-age="60"'}, 60),
        ({"Cache-Control": "max-age=60", "Age": "15"}, 45),
        ({"Cache-Control": "max-age=60", "Age": "90"}, 0),
        ({"Cache-Control": "max-age=60, no-store"}, 0),
        ({"Cache-Control": "no-cache, max-age=60"}, 0),
        ({"Cache-Control": "max-age=60", "Vary": "*"}, 0),
        ({"Cache-Control": "max-age=soon"}, 0),
        ({"Cache-Control": "max-age=99999999999999"}, 0),
        ({"Cache-Control": "max-age=999999999"}, 86400),
        ({"Expires": LATER, "Date": NOW}, 90),
        ({"Expires": NOW, "Date": LATER}, 0),
        ({"Expires": "0", "Date": NOW}, 0),
        ({"Cache-Control": "max-age=5", "Expires": LATER, "Date": NOW}, 5),
    ],
)
def test_an_answer_is_kept_for_as_long_as_it_says(headers, seconds):
    assert lifetime(CIMultiDict(headers)) == seconds
