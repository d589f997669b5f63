"""Who joins and who leaves is said, for examples/example.toml. Run it instead of app.py.

Dial sip:standup@... twice: everybody hears who has come and how many are there, and later who has left. What
the events of a conference are answered with is a document for the conference: all of its members hear it.
"""

import json
import sys
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

JOIN = "<Response><Conference conferenceEventUrl='/conference'>{}</Conference></Response>"
SAY = "<Response><SpeakSentence>{}</SpeakSentence></Response>"

present = defaultdict(set)  # the calls in each conference


def name(event):
    """A caller's number or user, as a sentence may have it."""
    return escape(event["from"].removeprefix("sip:").partition("@")[0])


def announcement(event):
    """What all are told of a conference's event."""
    kind, members = event["eventType"], present[event["conferenceId"]]
    if kind == "conferenceMemberJoin":
        members.add(event["callId"])
        if len(members) == 1:
            return "You are the first one here."
        return f"{name(event)} has joined. You are {len(members)} now."
    if kind == "conferenceMemberExit":
        members.discard(event["callId"])
        return f"{name(event)} has left." if members else ""
    if kind == "conferenceCompleted":
        del present[event["conferenceId"]]
    return ""


def answer(event):
    """The document that answers an event, if there is one."""
    if event["eventType"] == "initiate":
        return JOIN.format(escape(event["to"].removeprefix("sip:").partition("@")[0]))
    sentence = announcement(event) if "conferenceId" in event else ""
    return SAY.format(sentence) if sentence else ""


class Application(BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = answer(event).encode()
        self.send_response(200 if body else 204)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    ThreadingHTTPServer(("127.0.0.1", port), Application).serve_forever()
