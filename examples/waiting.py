"""Waiting music until the host comes, for examples/example.toml. Run it instead of app.py.

Dial sip:standup@...: you hear music. When sip:host-standup@... is dialled, all who wait are in the conference
with the host, and so is whoever comes later. When it is over, the next caller waits again.

The server's address and the account are taken from API and CREDENTIALS in the environment.
"""

import io
import json
import math
import os
import struct
import sys
import wave
from base64 import b64encode
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from xml.sax.saxutils import escape

API = os.environ.get("API", "http://127.0.0.1:8080/api/v2/accounts/9900000")
PROOF = b64encode(os.environ.get("CREDENTIALS", "demo:secret").encode()).decode()
HEADERS = {"Authorization": f"Basic {PROOF}", "Content-Type": "application/json"}
PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
HERE = f"http://127.0.0.1:{PORT}"

WAIT = "<Response><PlayAudio>/music.wav</PlayAudio><Redirect redirectUrl='/wait'/></Response>"
JOIN = "<Response><Conference conferenceEventUrl='/conference'>{}</Conference></Response>"

lock = Lock()
waiting = defaultdict(set)  # the calls that hear music, by room
hosted = set()  # the rooms that their host has opened


def music():
    """Four chords of half a second that swell and fade, as a WAV file."""
    samples = []
    for chord in ((262, 330, 392), (220, 262, 330), (175, 220, 262), (196, 247, 294)):
        for at in range(4000):
            sound = sum(math.sin(2 * math.pi * note * at / 8000) for note in chord)
            samples.append(round(2000 * sound * math.sin(math.pi * at / 4000)))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


def let_in(call_id):
    """Take a call from its music: it asks /join what comes next."""
    order = json.dumps({"redirectUrl": f"{HERE}/join"}).encode()
    try:
        urlopen(Request(f"{API}/calls/{call_id}", order, HEADERS)).close()
    except HTTPError as error:  # it may have hung up in the meantime
        print(call_id, error, flush=True)


def document(room, call_id):
    """What a caller is told: music, over and over, or the conference."""
    with lock:
        if room.startswith("host-") or room in hosted:
            return JOIN.format(escape(room.removeprefix("host-")))
        waiting[room].add(call_id)
        return WAIT


def opened(room):
    """Its host has come: nobody else is let in before, so it is he who creates the conference."""
    with lock:
        hosted.add(room)
        arrived = waiting.pop(room, ())
    for call_id in arrived:
        let_in(call_id)


def answer(event):
    """The document that answers an event, if it wants one."""
    room = event.get("name") or event["to"].removeprefix("sip:").partition("@")[0]
    match event["eventType"]:
        case "initiate" | "redirect":
            return document(room, event["callId"])
        case "conferenceCreated":
            opened(room)
        case "conferenceCompleted":
            hosted.discard(room)
        case "disconnect":
            waiting[room].discard(event["callId"])
    return ""


class Application(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(MUSIC, "audio/wav")

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply(answer(event).encode(), "application/xml")

    def reply(self, body, kind):
        self.send_response(200 if body else 204)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "max-age=3600")
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    MUSIC = music()
    ThreadingHTTPServer(("127.0.0.1", PORT), Application).serve_forever()
