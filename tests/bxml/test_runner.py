"""The order of things, the end of a document, and what stops it."""

import asyncio
from collections.abc import Iterator

import pytest

import bxml
from bxml import Document
from bxml.element import Verb
from bxml.errors import BxmlError
from bxml.runner import IDLE, PERFORMED, Performer, Unsupported, run
from bxml.verbs import (
    Bridge,
    Conference,
    Forward,
    Gather,
    PlayAudio,
    Redirect,
    Refer,
    Ring,
    SendDtmf,
    SpeakSentence,
    StartGather,
    Transfer,
)


class Transcript:
    """A performer that writes down what it is asked, and hands out documents to redirects."""

    def __init__(self, *answers: str, fails: str = "") -> None:
        self.acts: list[str] = []
        self._answers: Iterator[str] = iter(answers)
        self._fails = fails

    def _note(self, act: str) -> None:
        self.acts.append(act)
        if act == self._fails:
            raise RuntimeError(act)

    async def answer(self) -> None:
        self._note("answer")

    async def speak(self, verb: SpeakSentence) -> None:
        self._note(f"speak {verb.markup}")

    async def play(self, verb: PlayAudio) -> None:
        self._note(f"play {verb.url}")

    async def pause(self, seconds: float) -> None:
        self._note(f"pause {seconds}")

    async def ring(self, verb: Ring) -> None:
        self._note(f"ring {verb.duration}")

    async def gather(self, verb: Gather) -> Document | None:
        self._note(f"gather {verb.gather_url}")
        return bxml.parse(next(self._answers)) if verb.gather_url else None

    async def send_digits(self, verb: SendDtmf) -> None:
        self._note(f"send {verb.digits}")

    async def start_gather(self, verb: StartGather) -> None:
        self._note(f"start gather {verb.dtmf_url}")

    async def stop_gather(self) -> None:
        self._note("stop gather")

    async def confer(self, verb: Conference) -> None:
        self._note(f"confer {verb.name}")

    async def bridge(self, verb: Bridge) -> Document | None:
        self._note(f"bridge {verb.call_id}")
        return bxml.parse(next(self._answers)) if verb.bridge_complete_url else None

    async def transfer(self, verb: Transfer) -> Document | None:
        self._note(f"transfer {len(verb.destinations)}")
        return bxml.parse(next(self._answers)) if verb.transfer_complete_url else None

    async def refer(self, verb: Refer) -> Document | None:
        self._note(f"refer {verb.destinations[0].uri}")
        return bxml.parse(next(self._answers)) if verb.refer_complete_url else None

    async def forward(self, verb: Forward) -> Document:
        self._note(f"forward {verb.to}")
        return Document()

    async def redirect(self, verb: Redirect) -> Document:
        self._note(f"redirect {verb.redirect_url}")
        return bxml.parse(next(self._answers))

    def set_tag(self, tag: str) -> None:
        self._note(f"tag {tag!r}")

    async def hang_up(self) -> None:
        self._note("hang up")


class Waiting(Transcript):
    """The same, but a conference lasts until somebody ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.in_conference = asyncio.Event()
        self.ended = asyncio.Event()

    async def confer(self, verb: Conference) -> None:
        self._note(f"join {verb.name}")
        self.in_conference.set()
        try:
            await self.ended.wait()
        finally:
            self._note(f"leave {verb.name}")


class Circling(Transcript):
    """Redirects for ever, at once."""

    async def redirect(self, verb: Redirect) -> Document:
        return CIRCLE


CIRCLE = bxml.parse('<Response><Redirect redirectUrl="/again"/></Response>')
REDIRECT = '<Redirect redirectUrl="/next"/>'


async def acts(inside: str, performer: Transcript | None = None) -> list[str]:
    performer = performer or Transcript()
    await run(bxml.parse(f"<Response>{inside}</Response>"), performer)
    return performer.acts


async def test_verbs_run_in_order_and_the_end_hangs_up() -> None:
    assert await acts(
        "<SpeakSentence>a</SpeakSentence><PlayAudio>/b</PlayAudio><Pause duration='2.5'/>"
        "<Conference>c</Conference><SpeakSentence>d</SpeakSentence>"
    ) == [
        *("answer", "speak a", "answer", "play /b", "answer", "pause 2.5", "answer", "confer c"),
        *("answer", "speak d", "hang up"),
    ]


async def test_an_empty_document_hangs_up_without_answering() -> None:
    assert await acts("") == await acts("<Hangup/>") == ["hang up"]


async def test_nothing_runs_after_a_hangup() -> None:
    assert await acts("<Tag>a</Tag><Hangup/><SpeakSentence>b</SpeakSentence><Hangup/>") == [
        "tag 'a'",
        "hang up",
    ]


async def test_a_redirect_replaces_the_document_and_does_not_answer() -> None:
    performer = Transcript(
        f"<Response><Tag>a</Tag>{REDIRECT}<Pause/></Response>",
        "<Bxml><Pause/></Bxml>",
        "<Response><Hangup/></Response>",
    )
    assert await acts(f"{REDIRECT}<SpeakSentence>never</SpeakSentence>", performer) == [
        *("redirect /next", "tag 'a'", "redirect /next", "answer", "pause 1", "hang up"),
    ]


async def test_a_gather_with_a_url_replaces_the_document_and_one_without_goes_on() -> None:
    performer = Transcript("<Response><Pause/></Response>")
    assert await acts("<Gather/><Gather gatherUrl='/b'/><SpeakSentence>never</SpeakSentence>", performer) == [
        *("answer", "gather None", "answer", "gather /b", "answer", "pause 1", "hang up"),
    ]


async def test_a_bridge_with_a_url_replaces_the_document_and_one_without_goes_on() -> None:
    performer = Transcript("<Response><Pause/></Response>")
    inside = (
        "<Bridge>c-1</Bridge><Bridge bridgeCompleteUrl='/b'>c-2</Bridge><SpeakSentence>never</SpeakSentence>"
    )
    assert await acts(inside, performer) == [
        *("answer", "bridge c-1", "answer", "bridge c-2", "answer", "pause 1", "hang up"),
    ]


async def test_a_forward_does_not_answer_and_nothing_runs_after_it() -> None:
    assert await acts("<Forward to='+19195551234'/><Pause/>") == ["forward +19195551234", "hang up"]


async def test_what_is_barred_refuses_the_whole_document_and_each_that_follows() -> None:
    performer = Transcript("<Response><Pause/><Conference>a</Conference></Response>")
    document = bxml.parse("<Response><Pause/><Redirect redirectUrl='/b'/></Response>")
    with pytest.raises(BxmlError, match=r"^line 1, column 19: <Conference> is not allowed in this document"):
        await run(document, performer, barred={Conference})
    assert performer.acts == ["answer", "pause 1", "redirect /b"]


async def test_what_is_to_come_then_comes_before_the_hang_up_unless_a_hangup_was_the_end() -> None:
    for inside, wanted in {
        "<Tag>a</Tag>": ["tag 'a'", "then", "hang up"],
        "<Tag>a</Tag><Hangup/>": ["tag 'a'", "hang up"],
    }.items():
        performer = Transcript()

        async def then(performer: Transcript = performer) -> None:
            performer.acts.append("then")

        await run(bxml.parse(f"<Response>{inside}</Response>"), performer, then=then)
        assert performer.acts == wanted


async def test_digits_are_sent_in_an_answered_call() -> None:
    assert await acts("<SendDtmf>1,2</SendDtmf>") == ["answer", "send 1,2", "hang up"]


async def test_ring_decides_itself_whether_it_answers_and_stop_gather_needs_no_answer() -> None:
    assert await acts("<Ring duration='2'/><StopGather/><StartGather dtmfUrl='/c'/>") == [
        *("ring 2.0", "stop gather", "answer", "start gather /c", "hang up"),
    ]


async def test_a_tag_is_set_before_its_verb_and_an_empty_one_clears() -> None:
    performer = Transcript("<Response/>")
    assert await acts(
        "<Conference tag='a'>b</Conference><Conference>c</Conference><Tag/>"
        "<Redirect redirectUrl='d' tag=''/>",
        performer,
    ) == ["tag 'a'", "answer", "confer b", "answer", "confer c", "tag ''", "tag ''", "redirect d", "hang up"]


NOT_YET = """
    <Connect><Endpoint>e-1</Endpoint></Connect>
    <Record/> <StartRecording/> <StartStream destination="wss://a"/> <StartTranscription/>
"""
NOTHING_TO_END = """
    <PauseRecording/> <ResumeRecording/> <StopRecording/> <StopTranscription/> <StopTranscription name="a"/>
    <StopStream name="a"/> <StopStream name="a" wait="true"/>
"""


@pytest.mark.parametrize(
    "verb", bxml.parse(f"<Response>{NOT_YET}</Response>").verbs, ids=lambda verb: type(verb).__name__
)
async def test_a_verb_that_is_not_performed_is_named_and_nothing_after_it_runs(verb: Verb) -> None:
    performer = Transcript()
    before = bxml.parse("<Response><Tag>a</Tag></Response>").verbs
    with pytest.raises(Unsupported, match=f"^<{type(verb).__name__}> is not supported$") as raised:
        await run(Document((*before, verb, *before)), performer)
    assert raised.value.verb is verb
    assert performer.acts == ["tag 'a'"]


async def test_where_nothing_is_recorded_or_streamed_its_end_or_pause_has_no_effect() -> None:
    assert await acts(f"{NOTHING_TO_END}<Pause/>") == ["answer", "pause 1", "hang up"]
    assert {type(verb) for verb in bxml.parse(f"<Response>{NOTHING_TO_END}</Response>").verbs} == IDLE
    assert not IDLE & PERFORMED


async def test_what_a_performer_raises_ends_the_document() -> None:
    performer = Transcript(fails="play /a")
    with pytest.raises(RuntimeError, match="play /a"):
        await acts("<PlayAudio>/a</PlayAudio><Pause/>", performer)
    assert performer.acts == ["answer", "play /a"]


async def test_the_verb_after_a_conference_runs_when_it_is_over() -> None:
    performer = Waiting()
    task = asyncio.create_task(
        acts("<Conference>a</Conference><SpeakSentence>bye</SpeakSentence>", performer)
    )
    await performer.in_conference.wait()
    assert performer.acts == ["answer", "join a"]
    performer.ended.set()
    assert await task == ["answer", "join a", "leave a", "answer", "speak bye", "hang up"]


async def test_cancelling_stops_the_running_verb_and_runs_no_other() -> None:
    performer = Waiting()
    task = asyncio.create_task(
        acts("<Conference>a</Conference><SpeakSentence>bye</SpeakSentence>", performer)
    )
    await performer.in_conference.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert performer.acts == ["answer", "join a", "leave a"]


async def test_documents_that_redirect_for_ever_let_others_run_and_can_be_cancelled() -> None:
    performer: Performer = Circling()
    task = asyncio.create_task(run(CIRCLE, performer))
    for _ in range(5_000):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
