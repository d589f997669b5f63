"""A PIN before the conference, for examples/example.toml. Run `python3 examples/pin.py` instead of app.py.

Dial sip:standup@... and key in 4711: you are in the conference. Whoever fails three times is hung up on.
How long a caller may think before each digit is taken from SECONDS in the environment.
"""

import json
import os
import sys
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PINS = {"standup": "4711", "board": "2026"}
TRIES = 3
SECONDS = os.environ.get("SECONDS", "5")


def ask(sentence, attempt=1):
    """Digits come to /pin/ATTEMPT. The prompt stops at the first one, and is heard twice if none comes."""
    return f"""<Response>
        <Gather gatherUrl="/pin/{attempt}" maxDigits="4" terminatingDigits="#" repeatCount="2"
                firstDigitTimeout="{SECONDS}" interDigitTimeout="{SECONDS}">
            <SpeakSentence>{sentence}</SpeakSentence>
        </Gather></Response>"""


def say(sentence, then=""):
    return f"<Response><SpeakSentence>{sentence}</SpeakSentence>{then}</Response>"


def answer(path, event):
    """The document that answers an event."""
    room = event["to"].removeprefix("sip:").partition("@")[0]
    if room not in PINS:
        return say("There is no such conference. Goodbye.")
    if event["eventType"] == "initiate":
        return ask("Welcome. Please enter your PIN.")
    if compare_digest(event["digits"], PINS[room]):
        return say("Joining the conference now.", f"<Conference>{room}</Conference>")
    attempt = int(path.rpartition("/")[2])
    if attempt < TRIES:
        return ask("That was not right. Please try again.", attempt + 1)
    return say("That was not right. Goodbye.")


class Application(BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        wanted = event["eventType"] in ("initiate", "gather")
        body = answer(self.path, event).encode() if wanted else b""
        self.send_response(200 if wanted else 204)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing is logged, digits least of all."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    ThreadingHTTPServer(("127.0.0.1", port), Application).serve_forever()
