"""An application in one page: every scenario of a coached conference. Run it with `make example`.

Dial sip:NAME@… to join NAME, sip:coach-NAME@… to coach whoever joined NAME first. Then, in a browser:
/call?to=sip:bob@127.0.0.1:5062&room=NAME rings somebody into it, /end?room=NAME ends it.
"""

import base64
import json
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

API = "http://127.0.0.1:8080/api/v2/accounts/9900000"
AUTHORIZATION = "Basic " + base64.b64encode(b"demo:secret").decode()
HERE = "http://127.0.0.1:9000"
callers = defaultdict(list)


def rest(method, path, body=None):
    headers = {"Authorization": AUTHORIZATION, "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(API + path, data, headers, method=method)) as reply:
        return json.loads(reply.read() or "null")


def join(room, call_id, coach=False):
    listed = f' callIdsToCoach="{callers[room][0]}"' if coach and callers[room] else ""
    if not coach:
        callers[room].append(call_id)
    return (
        f"<Response><SpeakSentence>Joining the conference now.</SpeakSentence>"
        f'<Conference{listed} conferenceEventUrl="{HERE}/event">{room}</Conference>'
        f"<SpeakSentence>The conference is over. Goodbye.</SpeakSentence></Response>"
    )


class Application(BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print({name: event.get(name) for name in ("eventType", "callId", "name", "cause")}, flush=True)
        url = urlsplit(self.path)
        answer = ""
        if url.path == "/initiate":
            user = event["to"].removeprefix("sip:").split("@")[0]
            answer = join(user.removeprefix("coach-"), event["callId"], user.startswith("coach-"))
        elif url.path == "/answer":
            answer = join(parse_qs(url.query)["room"][0], event["callId"])
        if event["eventType"] == "conferenceCompleted":
            callers.pop(event["name"], None)
        self.reply(answer, "application/xml")

    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/call":
            order = {"from": "+19195550100", "to": query["to"], "answerUrl": f"{HERE}/answer?room={query['room']}"}
            order["applicationId"] = "3f1d4c4e-7b1b-4d0c-8f7e-000000000001"
            return self.reply(json.dumps(rest("POST", "/calls", order), indent=1))
        live = [c for c in rest("GET", f"/conferences?name={query['room']}") if not c["completedTime"]]
        for conference in live:
            rest("POST", f"/conferences/{conference['id']}", {"status": "completed"})
        self.reply(json.dumps(live, indent=1))

    def reply(self, text, kind="application/json"):
        self.send_response(200 if text else 204)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("127.0.0.1", 9000), Application).serve_forever()
