"""A supervisor's console: three REST calls, for the server of examples/example.toml.

Dial into a conference as anybody does. Members count from 1, in the order in which they joined; then

    supervisor.py ROOM                who is there
    supervisor.py ROOM 3 listen       member 3 (you) hears everybody and is heard by nobody
    supervisor.py ROOM 3 coach 1      only member 1 hears you; several may be named
    supervisor.py ROOM 3 join         everybody hears you
    supervisor.py ROOM 2 hold         member 2 neither hears nor is heard, until `resume`

The server's address and the account are taken from API and CREDENTIALS in the environment.
"""

import argparse
import json
import os
import sys
from base64 import b64encode
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

API = os.environ.get("API", "http://127.0.0.1:8080/api/v2/accounts/9900000")
PROOF = b64encode(os.environ.get("CREDENTIALS", "demo:secret").encode()).decode()
HEADERS = {"Authorization": f"Basic {PROOF}", "Content-Type": "application/json"}
CHANGES = {
    "listen": {"mute": True, "callIdsToCoach": []},
    "coach": {"mute": False},
    "join": {"mute": False, "callIdsToCoach": []},
    "hold": {"hold": True},
    "resume": {"hold": False},
}


def rest(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(API + path, data, HEADERS, method=method)) as answer:
        return json.loads(answer.read() or "null")


def conference(room):
    """The live conference of that name, with its members."""
    for row in rest("GET", f"/conferences?name={quote(room, safe='')}"):
        if row["completedTime"] is None:
            return rest("GET", f"/conferences/{row['id']}")
    sys.exit(f"Nobody is in {room}.")


def told(number, member, members):
    """One member as a line."""
    ids = [other["callId"] for other in members]
    coached = [str(ids.index(each) + 1) for each in member["callIdsToCoach"] if each in ids]
    notes = [name for name in ("mute", "hold") if member[name]]
    if member["callIdsToCoach"]:
        notes.append(f"coaches {', '.join(coached) or 'nobody'}")
    return f"{number}  {member['callId']}  {', '.join(notes)}".rstrip()


def call_of(number, members):
    """The call id of the member of this number."""
    if not number.isdecimal() or not 1 <= int(number) <= len(members):
        sys.exit(f"There is no member {number}: expected 1 to {len(members)}.")
    return members[int(number) - 1]["callId"]


def main(room, number, order, others):
    found = conference(room)
    members = found["activeMembers"]
    if order is not None:
        change = dict(CHANGES[order])
        if order == "coach":
            change["callIdsToCoach"] = [call_of(other, members) for other in others]
        rest("PUT", f"/conferences/{found['id']}/members/{call_of(number, members)}", change)
        members = conference(room)["activeMembers"]
    for count, member in enumerate(members, 1):
        print(told(count, member, members))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("room")
    parser.add_argument("number", nargs="?")
    parser.add_argument("order", nargs="?", choices=CHANGES)
    parser.add_argument("others", nargs="*")
    wanted = parser.parse_args()
    try:
        main(wanted.room, wanted.number, wanted.order, wanted.others)
    except HTTPError as error:
        sys.exit(error.read().decode())
    except URLError as error:
        sys.exit(f"{API}: {error.reason}")
