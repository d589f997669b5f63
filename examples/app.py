"""An application in one page, for examples/example.toml. Run it with `make example`.

Dial sip:NAME@... to join NAME, sip:coach-NAME@... to coach whoever joined NAME first. Then, in a browser:
/call?to=sip:bob@127.0.0.1:5062&room=NAME rings somebody into it, /end?room=NAME ends it.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit
from urllib.request import Request, urlopen
from xml.sax.saxutils import escape

API = "http://127.0.0.1:8080/api/v2/accounts/9900000"
HERE = "http://127.0.0.1:9000"
APPLICATION = {"applicationId": "3f1d4c4e-7b1b-4d0c-8f7e-000000000001"}
HEADERS = {"Authorization": "Basic ZGVtbzpzZWNyZXQ=", "Content-Type": "application/json"}  # demo:secret
first = {}  # the call that joined each room first


def rest(method, path, body=None):
    request = Request(API + path, json.dumps(body).encode() if body else None, HEADERS, method=method)
    return json.loads(urlopen(request).read() or "null")


def join(room, call_id, coach=False):
    heard_by = first.get(room, "nobody-yet") if coach else first.setdefault(room, call_id)
    coached = f'callIdsToCoach="{heard_by}"' if coach else ""
    return f"""<Response><SpeakSentence>Joining the conference now.</SpeakSentence>
        <Conference {coached} conferenceEventUrl="{HERE}/event">{escape(room)}</Conference>
        <SpeakSentence>The conference is over. Goodbye.</SpeakSentence></Response>"""


class Application(BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(*(event.get(name) for name in ("eventType", "callId", "name", "cause")), flush=True)
        if event["eventType"] == "conferenceCompleted":
            first.pop(event["name"], None)
        user = event.get("to", "").removeprefix("sip:").partition("@")[0]
        room = dict(parse_qsl(urlsplit(self.path).query)).get("room", user.removeprefix("coach-"))
        joins = event["eventType"] in ("initiate", "answer")
        self.reply(join(room, event["callId"], user.startswith("coach-")) if joins else "")

    def do_GET(self):
        query = dict(parse_qsl(urlsplit(self.path).query))
        if self.path.startswith("/call"):
            order = {"from": "+19195550100", "to": query["to"], "answerUrl": f"{HERE}/?room={query['room']}"}
            return self.reply(json.dumps(rest("POST", "/calls", order | APPLICATION)))
        for conference in rest("GET", f"/conferences?name={query['room']}"):
            if conference["completedTime"] is None:
                rest("POST", f"/conferences/{conference['id']}", {"status": "completed"})
        self.reply('"ended"')

    def reply(self, text):
        self.send_response(200 if text else 204)
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("127.0.0.1", 9000), Application).serve_forever()
