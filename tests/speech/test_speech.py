"""espeak-ng in its worker, through the door that calls uses."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web

from net.http import HttpClient
from net.policy import Policy
from speech.errors import AudioError, SpeechError
from speech.speech import Limits, Speech
from tests.net.servers import site
from tests.speech.files import mp3, peak, rms, tone, wav
from tests.speech.processes import children
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

# SpeakSentence: name, locale, gender.
VOICES = """
susan en_US f, paul en_US m, julie en_US f, kate en_US f, ruth en_US f, bridget en_UK f, katrin de
f, esperanza es f, violeta es f, rosa es_MX f, lupe es_US f, jolie fr f, gabrielle fr_CA f, paola it
f, nadiya ru f, masako ja f, zeina arb f, zhiyu cmn-CN f, dave en_US m, stephen en_US m, simon en_UK
m, stefan de m, jorge es m, pedro es_US m, bernard fr m, liam fr_CA m, luca it m, anatoli ru m,
kenji ja m, salli en_US f, salli_enh en_US f, chantal fr_CA f, miguel es_US m, joey en_US m,
joey_enh en_US m, penelope es_US f, russell en_AU m, emma en_GB f, emma_enh en_GB f, nicole en_AU f,
raveena en_IN f, mads da_DK m, justin en_US m, ivy en_US f, ivy_enh en_US f, carmen ro_RO f, naja
da_DK f, ruben nl_NL m, geraint en_GB_WLS m
"""
HELLO = "Joining the conference now."


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("prompts")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client():
    client = HttpClient(Policy(allow=["127.0.0.0/8"]))
    yield client
    await client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def speech(directory, client):
    speech = Speech(directory, client, limits=Limits(sentence_seconds=60.0, audio_seconds=30.0))
    await speech.start()
    yield speech
    await speech.close()


async def test_a_sentence_is_heard_in_plausible_length_and_level(speech):
    prompt = await speech.speak(HELLO)
    assert prompt.rate == 8000
    assert 1.2 < prompt.seconds < 2.5
    samples = np.frombuffer(prompt.samples, "<i2").astype(float)
    speaking = samples[np.abs(samples) > 300]
    assert len(speaking) > len(samples) / 3
    assert -26 < 20 * np.log10(np.sqrt(np.mean(speaking**2)) / 32768) < -16
    assert abs(samples.mean()) < 2
    assert np.abs(samples).max() <= 0.9 * 32767 + 1
    longer = await speech.speak(f"{HELLO} There are three other people in it.")
    assert longer.seconds > prompt.seconds + 1


async def test_a_sentence_that_was_said_before_is_not_made_again(speech):
    first = await speech.speak("A sentence that nobody has said before.")
    made = speech.made
    again = await speech.speak("A sentence that nobody has said before.")
    assert (speech.made, again.samples) == (made, first.samples)


async def test_equal_requests_at_once_share_one_making(speech):
    made = speech.made
    prompts = await asyncio.gather(*(speech.speak("All of us want this one.") for _ in range(20)))
    assert speech.made == made + 1
    assert len({id(prompt) for prompt in prompts}) == 1


async def test_one_of_many_who_leaves_does_not_end_the_making(speech):
    leaver = asyncio.create_task(speech.speak("Some of us leave."))
    stayer = asyncio.create_task(speech.speak("Some of us leave."))
    await asyncio.sleep(0)
    leaver.cancel()
    assert (await stayer).seconds > 0.5
    with pytest.raises(asyncio.CancelledError):
        await leaver


async def test_a_sentence_is_found_again_after_a_restart(speech, directory, client):
    before = await speech.speak(HELLO)
    again = Speech(directory, client, limits=Limits(sentence_seconds=60.0))
    await again.start()
    assert await again.speak(HELLO) == before
    assert again.made == 0
    await again.close()


async def test_voice_rate_and_text_each_make_another_sound(speech):
    prompts = [
        await speech.speak(HELLO),
        await speech.speak(HELLO, gender="male"),
        await speech.speak(HELLO, voice="kate"),
        await speech.speak(HELLO, locale="de"),
        await speech.speak(HELLO, rate=16000),
        await speech.speak(f"{HELLO} x"),
    ]
    assert len({prompt.name for prompt in prompts}) == len(prompts)
    assert prompts[4].rate == 16000
    assert prompts[4].seconds == pytest.approx(prompts[0].seconds, abs=0.01)


async def test_every_voice_of_the_contract_speaks_and_those_of_a_locale_differ(speech):
    heard = {}
    for row in VOICES.split(","):
        name, locale, gender = row.split()
        prompt = await speech.speak(
            "1 2 3", voice=name, locale=locale, gender={"f": "female", "m": "male"}[gender]
        )
        assert 0.4 < prompt.seconds < 6, name
        assert rms(prompt.samples) > 500, name
        if not name.endswith("_enh"):
            heard[name] = (locale, prompt.samples)
    assert len(set(heard.values())) == len(heard)


async def test_unknown_names_are_refused(speech):
    for chosen in ({"voice": "hal"}, {"locale": "tlh"}, {"gender": "robot"}):
        with pytest.raises(SpeechError, match=r"hal|tlh|robot"):
            await speech.speak(HELLO, **chosen)


@pytest.mark.parametrize(
    ("around", "seconds"),
    [("{}", 1.0), ("{}", 10.0), ('<prosody rate="200%">{}</prosody>', 10.0), ("<p>{}</p>", 3.0)],
)
async def test_a_break_lasts_as_long_as_it_says(speech, around, seconds):
    without = await speech.speak(around.format('one <break time="0s"/> two'))
    with_break = await speech.speak(around.format(f'one <break time="{seconds}s"/> two'))
    assert with_break.seconds - without.seconds == pytest.approx(seconds, abs=0.01)


async def test_one_sentence_leaves_the_next_as_it_is(speech):
    expected = await speech.speak("one two three four")
    await speech.speak('<prosody rate="200%" volume="x-soft">odd <break time="10s"/> settings</prosody>')
    after = await speech.speak("one two three four <break time='0s'/>")
    assert after.seconds == pytest.approx(expected.seconds, rel=0.02)


async def test_prosody_is_heard(speech):
    plain = await speech.speak("this is a sentence")
    slow = await speech.speak('<prosody rate="50%">this is a sentence</prosody>')
    soft = await speech.speak('<prosody volume="-12dB">this is a sentence</prosody>')
    assert slow.seconds > 1.5 * plain.seconds
    assert rms(soft.samples) == pytest.approx(rms(plain.samples) / 4, rel=0.2)


@pytest.mark.parametrize(
    "markup",
    [
        '<audio src="{path}">hi</audio>', '<audio src="file://{path}"/>hi', '&lt;audio src="{path}"/&gt; hi',
        "<p><audio src='{path}'/>hi</p>", "hi &lt;p&gt;<audio src='{path}'/>&lt;/p&gt;",
        '<sub alias="&lt;audio src=\'{path}\'/&gt;">hi</sub>',
        '<say-as interpret-as="characters">&lt;audio src="{path}"/&gt;</say-as>',
    ],
)  # fmt: skip
async def test_audio_elements_never_reach_a_file(speech, tmp_path, markup):
    path = tmp_path / "t.wav"
    path.write_bytes(wav(tone(1700, 20, 22050, 0.9), rate=22050))
    prompt = await speech.speak(markup.format(path=path))
    samples = np.frombuffer(prompt.samples, "<i2")
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    at = round(1700 * len(samples) / 8000)
    assert spectrum[at - 2 : at + 3].sum() < 0.1 * spectrum.sum()


@pytest.mark.parametrize(
    "text",
    ["5 < 6 & 7 > 3", "Grüße aus Köln", "会議", "😀👍🏽", "\x01\x1b", "[[h@l'oU]]", "…!?", "\u202eabc"],
)
async def test_odd_text_is_spoken_or_refused(speech, text):
    try:
        assert (await speech.speak(text)).seconds < 20
    except SpeechError as error:
        assert "nothing to speak" in str(error)


@pytest.mark.parametrize("text", ["hello there ", "9", "<break/>x ", "a", "😀", "<p>x</p>", "ab, "])
async def test_a_whole_document_of_text_is_bounded(speech, caplog, text):
    prompt = await speech.speak(text * (65536 // len(text)))
    assert prompt.seconds <= 60.0
    assert "sentence_cut" in caplog.text


async def test_more_than_a_document_is_refused(speech):
    with pytest.raises(SpeechError, match="at most 65536"):
        await speech.speak("x" * 65537)


def serving(body: bytes, content_type: str | None = "audio/wav", status: int = 200, **headers: str):
    async def handler(request: web.Request) -> web.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        response = web.Response(status=status, body=body, headers=sent)
        if content_type is None:
            response.content_type = "application/octet-stream"
        else:
            response.content_type = content_type
        handler.requests.append(request)
        return response

    handler.requests = []
    return handler


@pytest.mark.parametrize(
    ("body", "content_type", "path"),
    [
        (wav(tone(1000, 1, 16000), rate=16000), "audio/wav", "a"),
        (mp3(tone(1000, 1, 44100)), "audio/mpeg", "a.wav"),
        (mp3(tone(1000, 1, 44100)), None, "a.mp3?x"),
        (wav(tone(1000, 1, 8000), codec="pcm_mulaw"), None, "a"),
    ],
)
async def test_an_audio_file_is_fetched_and_decoded(speech, body, content_type, path):
    async with site(serving(body, content_type)) as port:
        prompt = await speech.fetch(f"http://127.0.0.1:{port}/{path}")
    assert peak(prompt.samples) == pytest.approx(1000, abs=2)
    assert 0.9 < prompt.seconds < 1.2


async def test_credentials_go_along_and_never_into_errors(speech):
    handler = serving(b"", status=403)
    async with site(handler) as port:
        url = f"http://127.0.0.1:{port}/a.wav?key=canary"
        with pytest.raises(AudioError, match=r"/a\.wav: answered 403") as caught:
            await speech.fetch(url, username="anna", password="canary")
    assert handler.requests[0].headers["Authorization"] == "Basic YW5uYTpjYW5hcnk="
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", "empty"), (b"<html>", "not a readable WAV"), (wav(tone(500, 31, 8000)), "longer than 30 seconds")],
)
async def test_a_bad_file_is_an_error_with_its_address(speech, body, reason):
    async with site(serving(body)) as port:
        with pytest.raises(AudioError, match=rf"http://127\.0\.0\.1:{port}/x: .*{reason}"):
            await speech.fetch(f"http://127.0.0.1:{port}/x?q")


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/a.wav", "file:///etc/passwd", "nonsense", "http://127.0.0.1:1/a"]
)
async def test_a_forbidden_address_is_an_error(speech, url):
    with pytest.raises(AudioError):
        await speech.fetch(url)


async def test_a_file_too_large_is_an_error(directory, client):
    speech = Speech(directory, client, limits=Limits(audio_bytes=1000))
    async with site(serving(bytes(1001))) as port:
        with pytest.raises(AudioError, match="more than 1000 bytes"):
            await speech.fetch(f"http://127.0.0.1:{port}/x")


async def test_a_fresh_answer_is_not_fetched_again_but_for_other_credentials(speech):
    handler = serving(wav(tone(700, 1, 8000)), Cache_Control="max-age=60")
    async with site(handler) as port:
        url = f"http://127.0.0.1:{port}/x"
        first = await speech.fetch(url)
        assert await speech.fetch(url) == first
        assert len(handler.requests) == 1
        await speech.fetch(url, username="u", password="p")
        await speech.fetch(url, username="u", password="q")
        await speech.fetch(url, rate=16000)
        assert len(handler.requests) == 4


async def test_an_answer_that_does_not_last_is_fetched_again_but_not_decoded_again(speech):
    handler = serving(wav(tone(900, 1, 8000)))
    async with site(handler) as port:
        first = await speech.fetch(f"http://127.0.0.1:{port}/x")
        made = speech.made
        assert await speech.fetch(f"http://127.0.0.1:{port}/x") == first
    assert len(handler.requests) == 2
    assert speech.made == made


async def test_closing_tells_those_who_wait(tmp_path, client, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    speech = Speech(tmp_path, client, engine="tests.speech.engines:Obedient")
    await speech.start()
    waiting = asyncio.create_task(speech.speak("hang"))
    await eventually(lambda: children(speech.pids[0]))
    await speech.close()
    with pytest.raises(SpeechError):
        await waiting
    assert speech.pids == []
