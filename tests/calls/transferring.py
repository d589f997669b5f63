"""A call that runs a Transfer, and those whom it rings."""

from sip import events as sip_events
from tests.support.exchange import ACCOUNT, OFFER, Exchange, join, settle

PAUSE = "<Response><Pause duration='60'/></Response>"
SCREEN = "<Response><SpeakSentence>A call for you.</SpeakSentence></Response>"
URLS = 'transferAnswerUrl="/answered" transferDisconnectUrl="/gone"'


def phone(name, attributes=URLS):
    return f"<SipUri {attributes}>sip:{name}@192.0.2.7</SipUri>"


def to_transfer(*destinations, after="", **attributes):
    attributes = {"transferCompleteUrl": "/complete"} | attributes
    written = "".join(f' {name}="{value}"' for name, value in attributes.items() if value)
    return f"<Response><Transfer{written}>{''.join(destinations)}</Transfer>{after}</Response>"


class Transferring:
    """An exchange with a call that runs a Transfer; `legs` are the calls that it has dialled, in order."""

    def __init__(self, *, trunks=(), answer="<Response/>", complete=None):
        self.exchange = Exchange(trunks=trunks)
        self.exchange.answer_with(answer, "transferAnswer")
        self.exchange.answer_with(complete or join("after"), "transferComplete")

    async def begin(self, *destinations, after="", headers=(), **attributes):
        document = to_transfer(*(destinations or (phone("b"),)), after=after, **attributes)
        self.call = await self.exchange.dial_in(document, headers=headers)
        return self

    @property
    def legs(self):
        switchboard = self.exchange.switchboard
        return [call for call in switchboard.calls(ACCOUNT) if call.parent == self.call.id]

    @property
    def invites(self):
        return [named for verb, _, named in self.exchange.sip.done if verb == "invite"]

    def on(self, leg, event, *details):
        self.exchange.switchboard.on_sip(event(leg.session, *details))

    async def answers(self, leg):
        self.on(leg, sip_events.CallAnswered, OFFER)
        await settle()

    async def hangs_up(self, call):
        self.on(call, sip_events.CallEnded, "BYE")
        await settle()

    def asked(self, kind):
        return [(to, event) for to, event in self.exchange.courier.asked if event["eventType"] == kind]

    def told(self, kind="transferDisconnect"):
        return [(to, event) for to, event in self.exchange.courier.told if event["eventType"] == kind]

    def seated(self):
        """Leg ids by room, of those seated now."""
        seated = {}
        for verb, *what in self.exchange.media.done:
            if verb == "seat":
                seated[what[0]] = what[1]
            elif verb == "end_room":
                seated = {leg: room for leg, room in seated.items() if room != what[0]}
        return seated

    def joined(self, leg):
        seated = self.seated()
        ours, theirs = self.call.leg.id, leg.leg.id
        return ours in seated and seated[ours] == seated.get(theirs) and len(seated) == 2
