"""A switchboard among fakes: SIP, media, speech and the application are records that a test reads."""

import asyncio
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace

from calls.application import Application
from calls.callbacks import Answer, Callback, DeliveryFailed
from calls.conferences import Limits
from calls.routing import Routing, User
from calls.switchboard import Settings, Switchboard
from calls.terms import TermsPolicy
from sip import events as sip_events
from sip.access import Access, Trunk
from sip.flow import Flow
from sip.message import Request
from sip.registrar import Registrar
from sip.trunks import Trunks
from sip.uri import Uri
from speech.prompt import Prompt

ACCOUNT = "9900000"
APPLICATION = "3f1d4c4e-7b1b-4d0c-8f7e-000000000001"
OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


class FakeSip:
    """Remembers what it was told to do, in order."""

    def __init__(self):
        self.done = []
        self._ids = count(1000)

    def __getattr__(self, verb):
        if verb.startswith("_"):
            raise AttributeError(verb)
        return lambda *arguments, **named: self.done.append((verb, arguments, named))

    def session_of(self, _replaces):
        return None

    def local_address(self, _peer, _bound=""):
        return "127.0.0.1"

    async def reach(self, target, transport):
        host, _, port = target.partition(":")
        return Flow(transport, ("127.0.0.1", 5060), (host, int(port or 5060)))

    def invite(self, **named):
        session = session_from("sip:server@127.0.0.1", named["to"], identifier=next(self._ids))
        session.local_sdp = named["sdp"]
        self.done.append(("invite", (session,), named))
        return session

    def reinvite(self, session, sdp):
        session.local_sdp = sdp
        self.done.append(("reinvite", (session, sdp), {}))

    def accept_media(self, session, sdp):
        session.local_sdp = sdp
        self.done.append(("accept_media", (session, sdp), {}))

    def verbs(self):
        return [verb for verb, _, _ in self.done]

    def last(self, verb):
        return next(entry for entry in reversed(self.done) if entry[0] == verb)


class FakeMedia:
    """Gives out legs and remembers seats; a prompt ends when the test says so."""

    def __init__(self):
        self.done = []
        self.playbacks = []
        self.open = set()
        self.full = False
        self.heard = {}
        self.stays = True
        self._ids = count(1)

    def open_leg(self, *, signalling, remote):
        from media.client import NoPort

        if self.full:
            raise NoPort("no port is free")
        number = next(self._ids)
        leg = SimpleNamespace(id=number, address="127.0.0.1", port=20000 + 2 * number)
        self.open.add(number)
        return leg

    def carries(self, address):
        return ":" not in address

    def connect(self, leg, media):
        self.done.append(("connect", leg.id, media))
        return self.stays

    def update(self, leg, media):
        self.done.append(("update", leg.id, media))
        return self.stays

    def leg_statistics(self, leg):
        return None

    def readdress(self, leg, signalling):
        self.done.append(("readdress", leg.id, signalling))

    def move(self, leg):
        self.done.append(("move", leg.id))
        leg.port += 100
        self.stays = True

    def commit(self):
        self.done.append(("commit",))

    def close_leg(self, leg):
        self.open.discard(leg.id)

    def seat(self, leg, room, *, mute, hold, coaches, coached_by):
        listed = None if coaches is None else [other.id for other in coaches]
        self.done.append(("seat", leg.id, room, mute, hold, listed, [other.id for other in coached_by]))

    def unseat(self, leg):
        self.done.append(("unseat", leg.id))

    def flags(self, leg, *, mute, hold):
        self.done.append(("flags", leg.id, mute, hold))

    def coach(self, leg, coaches):
        self.done.append(("coach", leg.id, None if coaches is None else [other.id for other in coaches]))

    def end_room(self, room):
        self.done.append(("end_room", room))

    def play(self, target, samples):
        playback = FakePlayback(target, samples, asyncio.get_running_loop().create_future())
        self.playbacks.append(playback)
        return playback

    def send_digits(self, leg, digits, *, tone, interval):
        self.done.append(("send_digits", leg.id, digits, tone, interval))
        return self.play(leg, b"")

    def treat(self, leg, **changes):
        self.done.append(("treat", leg.id, changes))

    def voices(self, legs):
        return {leg.id: self.heard[leg.id] for leg in legs if leg.id in self.heard}

    def of(self, verb):
        return [entry[1:] for entry in self.done if entry[0] == verb]


@dataclass
class FakePlayback:
    """`stopped`: silenced before its end."""

    target: object
    samples: bytes
    done: asyncio.Future
    stopped: bool = False

    def stop(self):
        if not self.done.done():
            self.stopped = True
            self.done.set_result(False)


class FakeSpeech:
    """Says every text as its own bytes, and remembers in which voice."""

    def __init__(self):
        self.voices = []

    async def speak(self, markup, *, voice, gender, locale):
        self.voices.append((voice, gender, locale))
        return Prompt(samples=markup.encode() * 2, rate=8000, name=markup)

    async def fetch(self, url, *, username, password):
        return Prompt(samples=url.encode() * 2, rate=8000, name=url)


@dataclass
class FakeCourier:
    """Answers by event type: a document, an exception, or nothing; keeps every event."""

    answers: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    told: list = field(default_factory=list)
    unanswered: list = field(default_factory=list)

    async def ask(self, callback, event):
        self.asked.append((callback, event))
        answer = self.answers.get(event["eventType"], b"<Response/>")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, asyncio.Future):
            answer = await answer
        return Answer(body=answer, url=callback.url)

    def tell(self, callback, event, answered=None, *, account=None):
        self.told.append((callback, event))
        if answered is not None:
            self.unanswered.append((callback, event, answered))

    async def answer(self, kind, document):
        """The answer to the oldest unanswered event of that kind, told to the background, arrives."""
        waiting = next(entry for entry in self.unanswered if entry[1]["eventType"] == kind)
        self.unanswered.remove(waiting)
        callback, _, answered = waiting
        answered(Answer(body=document.encode(), url=callback.url))
        await settle()

    def kinds(self):
        return [event["eventType"] for _, event in self.told]

    def event(self, kind):
        return next(event for _, event in reversed(self.told) if event["eventType"] == kind)


def session_from(caller, called, *, identifier, headers=(), display_name=""):
    return SimpleNamespace(
        id=identifier,
        call_id=f"sip-call-{identifier}",
        request_uri=Uri.parse(called),
        from_uri=Uri.parse(caller),
        to_uri=Uri.parse(called),
        display_name=display_name,
        remote_ip="127.0.0.1",
        flow=Flow("udp", ("127.0.0.1", 5060), ("127.0.0.1", 5070)),
        progressing=False,
        takes_info=False,
        request=Request("INVITE", called, headers),
    )


class Exchange:
    """The switchboard under test with its fakes, and the phones' side of it."""

    def __init__(
        self,
        *,
        applications=None,
        silence_hangup=0.0,
        limits=None,
        terms=None,
        trunks=(),
        users=None,
        accounts=None,
        transfers="none",
    ):
        self.sip, self.media, self.speech = FakeSip(), FakeMedia(), FakeSpeech()
        self.courier = FakeCourier()
        self.registrar = Registrar(tuple(users or {}))
        self.trunks = Trunks(trunks)
        self.access = Access(allow=["127.0.0.0/8"], trunks=trunks)
        if applications is None:
            applications = [
                Application(
                    id=APPLICATION,
                    account=ACCOUNT,
                    numbers=("*",),
                    initiated=Callback(url="http://app.test/initiate"),
                    status=Callback(url="http://app.test/status"),
                )
            ]
        self.applications = applications
        self.switchboard = Switchboard(
            settings=Settings(
                public_url="http://server.test",
                silence_hangup=silence_hangup,
                transfers=transfers,
                limits=limits or Limits(),
                terms=terms or TermsPolicy(),
                accounts=accounts or {},
            ),
            applications=applications,
            routing=Routing(
                self.access,
                self.registrar,
                self.trunks,
                users={
                    name: User(account) if isinstance(account, str) else account
                    for name, account in (users or {}).items()
                },
                hosts=frozenset({"127.0.0.1"}),
            ),
            sip=self.sip,
            trunks=self.trunks,
            media=self.media,
            speech=self.speech,
            courier=self.courier,
        )
        self._sessions = count(1)

    def answer_with(self, document, kind="initiate"):
        self.courier.answers[kind] = document.encode() if isinstance(document, str) else document

    def ring(
        self,
        called="sip:room@127.0.0.1",
        caller="sip:+19195550001@127.0.0.1",
        sdp=OFFER,
        trunk=None,
        **more,
    ):
        """A phone calls in. Returns its session; the call may already be refused. `more`: see `session`."""
        session = self.session(called, caller, **more)
        self.switchboard.on_sip(sip_events.IncomingCall(session, trunk, None, sdp))
        return session

    def session(self, called="sip:room@127.0.0.1", caller="sip:+19195550001@127.0.0.1", **more):
        """The SIP side of a phone's call, of which nobody has been told yet. `more`: its display name, and
        headers of its INVITE."""
        return session_from(caller, called, identifier=next(self._sessions), **more)

    async def dial_in(self, document, **named):
        """A phone calls in, is answered with this document, and acknowledges. Returns the call."""
        self.answer_with(document)
        session = self.ring(**named)
        call = self.switchboard.live_calls[-1]
        await settle()
        self.switchboard.on_sip(sip_events.CallAcknowledged(session, None))
        await settle()
        return call

    async def finish_prompt(self):
        """The prompt that began last has been heard to its end."""
        self.media.playbacks[-1].done.set_result(None)
        await settle()


async def settle():
    """Let everything that can run, run. Nothing here waits for time."""
    for _ in range(30):
        await asyncio.sleep(0)


def join(room="room", before="", after="", **attributes):
    """A document that joins a conference."""
    written = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<Response>{before}<Conference{written}>{room}</Conference>{after}</Response>"


__all__ = ["ACCOUNT", "APPLICATION", "OFFER", "DeliveryFailed", "Exchange", "Trunk", "join", "settle"]
