"""REST requests at a steady rate, as a call centre sends them: calls, conferences and members are looked at,
members are muted and unmuted. A process of its own, so that it is late for nobody but itself.

    python -m benchmarks.requests http://127.0.0.1:8080/api/v2/accounts/9900000 --user demo --password ...

Prints JSON. Requests are sent when they are due, whether or not those before have been answered.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from base64 import b64encode
from collections import Counter
from typing import Any

import aiohttp

# Of a hundred requests.
MIX = {"call": 30, "calls": 5, "conference": 20, "conferences": 10, "member": 15, "mute": 20}
LATE = 0.05


class Desk:
    """What there is to ask about, and the requests made of it."""

    def __init__(self, session: aiohttp.ClientSession, base: str, seed: int) -> None:
        self._session = session
        self._base = base
        self._random = random.Random(seed)
        self._calls: list[str] = []
        self._conferences: list[dict[str, Any]] = []
        self._members: list[tuple[str, str]] = []
        self._muted: set[tuple[str, str]] = set()

    async def look_around(self) -> None:
        self._calls = [row["callId"] for row in await self._json("/calls") if row["state"] == "answered"]
        rows = await self._json("/conferences")
        self._conferences = [row for row in rows if row["completedTime"] is None]
        for row in self._conferences:
            state = await self._json(f"/conferences/{row['id']}")
            self._members += [(row["id"], member["callId"]) for member in state["activeMembers"]]

    def next(self) -> tuple[str, str, Any]:
        """Method, path, body."""
        pick = self._random.choice
        conference, member = pick(self._members)
        path = f"/conferences/{conference}/members/{member}"
        match self._random.choices(list(MIX), list(MIX.values()))[0]:
            case "call":
                return "GET", f"/calls/{pick(self._calls)}", None
            case "calls":
                return "GET", "/calls?pageSize=50", None
            case "conference":
                return "GET", f"/conferences/{conference}", None
            case "conferences":
                return "GET", f"/conferences?name={pick(self._conferences)['name']}", None
            case "member":
                return "GET", path, None
        self._muted ^= {(conference, member)}
        return "PUT", path, {"mute": (conference, member) in self._muted}

    async def request(self, method: str, path: str, body: Any) -> int:
        async with self._session.request(method, self._base + path, json=body) as answer:
            await answer.read()
            return answer.status

    async def unmute_all(self) -> None:
        for conference, member in self._muted:
            await self.request("PUT", f"/conferences/{conference}/members/{member}", {"mute": False})

    async def _json(self, path: str) -> Any:
        async with self._session.get(self._base + path) as answer:
            return await answer.json()


async def send(options: argparse.Namespace) -> dict[str, Any]:
    took: list[float] = []
    statuses: Counter[int] = Counter()
    proof = b64encode(f"{options.user}:{options.password}".encode()).decode()
    headers = {"Authorization": f"Basic {proof}"}
    connector = aiohttp.TCPConnector(limit=options.connections)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        desk = Desk(session, options.base, options.seed)
        await desk.look_around()

        async def one() -> None:
            began = time.monotonic()
            statuses[await desk.request(*desk.next())] += 1
            took.append(time.monotonic() - began)

        start, late = time.monotonic(), 0
        count = int(options.rate * options.seconds)
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                due = start + number / options.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                late += time.monotonic() - due > LATE
                group.create_task(one())
        lasted = time.monotonic() - start
        await desk.unmute_all()
    ordered = sorted(took)
    return {
        "requests": count,
        "per_second": round(count / lasted, 1),
        "statuses": dict(statuses),
        "ms_median": round(ordered[len(ordered) // 2] * 1000, 1),
        "ms_p99": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
        "sent_late_share": round(late / count, 4),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.requests", description=__doc__.splitlines()[0])
    parser.add_argument("base", help="URL of an account")
    parser.add_argument("--user", default="demo")
    parser.add_argument("--password", required=True)
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    sys.stdout.write(json.dumps(asyncio.run(send(parser.parse_args(argv)))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
