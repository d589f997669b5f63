"""The courier: carries events to the application over HTTP and brings its answers back.

Source: contract, webhooks. A receiver that hangs, fails or talks nonsense costs only
the events addressed to it: each origin has its own share of deliveries under way, and each call or
conference its own line.
"""

import asyncio
import json
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode, urlsplit
from weakref import WeakValueDictionary

from api.dead_letters import DeadLetters
from api.letter import ID, SEQUENCE, SIGNATURE, Letter, Sequences, about, signature
from calls.callbacks import Answer, Callback, DeliveryFailed, Event
from net.errors import HttpError, Refused, Unreachable, shown
from net.http import HttpClient, request_target

logger = logging.getLogger(__name__)

MAX_ANSWER = 64 * 1024
"""A longer answer is cut one byte past this, which the reader of BXML takes for what it is: too long."""

# Read further than MAX_ANSWER, because the page of a failed status may be long and is still a failure.
_MAX_READ = 1 << 20

# Half of the connections that net.http keeps to one host: the other half is for events that a call waits on.
_AT_ONCE = 32

_LONGEST_LINE = 1000
_MOST_WAITING = 10_000

# How long one event's answer may hold up the next of the same call or conference. The contract asks
# for the order of happening, but not to wait for answers: this is time enough to arrive first.
_HEAD_START = 0.25


class _NoConnection(DeliveryFailed):
    """The receiver was not reached, or went away before it had answered."""


@dataclass(frozen=True)
class _Target:
    """One address to try."""

    url: str
    method: str
    username: str | None
    password: str | None = field(repr=False)
    timeout: float


_Line = deque[Letter]
"""The events of one call or conference that have not been sent yet."""


class Courier:
    """Delivers events over one HTTP client. Source: contract, webhooks.

    `statistics` counts events: `delivered` and `failed` of both kinds, `retried`, `fell_back`, `replayed`,
    and `dropped` for want of room or at the end. `signing_key`: with one, every request is signed;
    `head_start` is in seconds, `clock` gives those of the epoch.
    """

    def __init__(
        self,
        client: HttpClient,
        *,
        signing_key: str = "",
        at_once: int = _AT_ONCE,
        head_start: float = _HEAD_START,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._signing_key = signing_key
        self._clock = clock
        self._sequences = Sequences()
        self._at_once = at_once
        self._head_start = head_start
        self._lines: dict[str, _Line] = {}
        self._slots: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.waiting = 0
        """Events in the background that are neither delivered nor given up."""
        self.undelivered = DeadLetters()
        """Events that want no answer and were given up."""
        self.statistics = dict.fromkeys(
            ("delivered", "failed", "retried", "fell_back", "dropped", "replayed"), 0
        )

    def refuses(self, url: str, username: str | None) -> str | None:
        """Why no event may be sent there, as far as the URL itself says so; None where it depends on what
        its host's name resolves to, or where nothing is wrong."""
        try:
            self._client.check(url, username)
        except Refused as error:
            return error.reason
        return None

    async def ask(self, callback: Callback, event: Event) -> Answer:
        """Deliver a synchronous event and bring its answer, at most MAX_ANSWER + 1 bytes of it.

        When the URL fails (no connection, time-out, any status but 2xx), the fallback is asked once,
        with a time-out of its own. Raises DeliveryFailed, whose text says what each of them did.
        """
        try:
            answer = await self._carry(self._letter(callback, event))
        except DeliveryFailed as error:
            self.statistics["failed"] += 1
            logger.warning("webhook_failed", extra={**_names(event), "reason": str(error)})
            raise
        self.statistics["delivered"] += 1
        return answer

    def tell(
        self,
        callback: Callback,
        event: Event,
        answered: Callable[[Answer], None] | None = None,
        *,
        account: str | None = None,
    ) -> None:
        """Deliver an event in the background; what becomes of it is logged.

        Events of one call or conference are sent in the order of the calls to `tell`. `answered` takes
        the answer of the synchronous ones, as `ask` would bring it. An asynchronous event without a
        fallback is sent once more when the connection failed. One that wants no answer and cannot be
        delivered is kept for its account: the event's own `accountId`, else `account`.
        """
        self._enqueue(self._letter(callback, event, answered, account))

    def replay(self, account: str, identifier: str) -> None:
        """Send an undelivered event again, as it was. Raises NotFound."""
        letter = self.undelivered.take(account, identifier).letter
        self.statistics["replayed"] += 1
        logger.info("webhook_replayed", extra=_names(letter.event))
        self._enqueue(letter)

    def _letter(
        self,
        callback: Callback,
        event: Event,
        answered: Callable[[Answer], None] | None = None,
        account: str | None = None,
    ) -> Letter:
        return Letter(
            callback,
            event,
            id=str(uuid.uuid4()),
            sequence=self._sequences.next(about(event)),
            account=str(event.get("accountId") or account or ""),
            answered=answered,
        )

    def _enqueue(self, letter: Letter) -> None:
        key = letter.line
        line = self._lines.get(key)
        queued = len(line) if line else 0
        if self._closed or queued >= _LONGEST_LINE or self.waiting >= _MOST_WAITING:
            self.statistics["dropped"] += 1
            logger.error("webhook_dropped", extra={**_names(letter.event), "waiting": self.waiting})
            self._give_up(letter, "not sent: too many events were waiting")
            return
        self.waiting += 1
        if line is None:
            line = self._lines[key] = deque()
            self._spawn(self._work(key, line))
        line.append(letter)

    def _give_up(self, letter: Letter, reason: str) -> None:
        if letter.answered is None and letter.account:
            self.undelivered.keep(replace(letter, attempts=letter.attempts + 1), reason)

    async def close(self, deadline: float = 5.0) -> None:
        """Take no more events, let those under way and in line go for `deadline` seconds, then drop them."""
        self._closed = True
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline
        while self._tasks and (left := end - loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if self._tasks:
            self.statistics["dropped"] += self.waiting
            logger.error("webhooks_dropped", extra={"waiting": self.waiting})
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # Lines

    async def _work(self, key: str, line: _Line) -> None:
        """Send a line's events one after another until it is empty."""
        while line:
            letter = line.popleft()
            slot = self._slot(letter.callback.url)
            await slot.acquire()
            delivery = self._spawn(self._deliver(letter, slot))
            await asyncio.wait({delivery}, timeout=self._head_start)
        del self._lines[key]

    async def _deliver(self, letter: Letter, slot: asyncio.Semaphore) -> None:
        retry = letter.answered is None and letter.callback.fallback_url is None
        try:
            answer = await self._carry(letter, retry=retry)
        except DeliveryFailed as error:
            self.statistics["failed"] += 1
            logger.warning("webhook_failed", extra={**_names(letter.event), "reason": str(error)})
            self._give_up(letter, str(error))
        else:
            self.statistics["delivered"] += 1
            if letter.answered is not None:
                letter.answered(answer)
        finally:
            self.waiting -= 1
            slot.release()

    def _slot(self, url: str) -> asyncio.Semaphore:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        slot = self._slots.get(origin)
        if slot is None:
            slot = self._slots[origin] = asyncio.Semaphore(self._at_once)
        return slot

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("courier_broken", exc_info=error)

    # One event

    async def _carry(self, letter: Letter, *, retry: bool = False) -> Answer:
        callback = letter.callback
        first = _Target(callback.url, callback.method, callback.username, callback.password, callback.timeout)
        try:
            try:
                return await self._send(first, letter)
            except _NoConnection:
                if not retry:
                    raise
                self.statistics["retried"] += 1
                return await self._send(first, letter)
        except DeliveryFailed as failure:
            if callback.fallback_url is None:
                raise
            self.statistics["fell_back"] += 1
            logger.info("webhook_falls_back", extra={**_names(letter.event), "reason": str(failure)})
            second = _Target(
                callback.fallback_url,
                callback.fallback_method,
                callback.fallback_username,
                callback.fallback_password,
                callback.timeout,
            )
            try:
                return await self._send(second, letter)
            except DeliveryFailed as last:
                raise DeliveryFailed(f"{failure}; fallback {last}") from last

    async def _send(self, target: _Target, letter: Letter) -> Answer:
        """One request. Redirects are not followed: a 3xx is a failure as any status but 2xx is."""
        headers = {ID: letter.id, SEQUENCE: str(letter.sequence)}
        body, url = None, target.url
        try:
            if target.method == "POST":
                body = _compact(letter.event).encode()
                headers["Content-Type"] = "application/json"
            else:
                url = with_event(target.url, letter.event)
            if self._signing_key:
                content = request_target(url).encode() if body is None else body
                headers[SIGNATURE] = signature(self._signing_key, int(self._clock()), content)
            reply = await self._client.request(
                target.method,
                url,
                headers=headers,
                body=body,
                username=target.username or None,
                password=target.password,
                timeout=target.timeout,
                max_bytes=_MAX_READ,
            )
        except Unreachable as error:
            raise _NoConnection(f"{target.method} {error}") from error
        except HttpError as error:
            raise DeliveryFailed(f"{target.method} {error}") from error
        if not 200 <= reply.status < 300:
            raise DeliveryFailed(f"{target.method} {shown(target.url)}: answered {reply.status}")
        return Answer(reply.body[: MAX_ANSWER + 1], target.url)


def with_event(url: str, event: Event) -> str:
    """The URL of a GET webhook: the event's properties behind the query that it may have already.

    A value that is no text is written as compact JSON. Raises net.errors.Refused for what is no URL.
    """
    texts = [(name, value if isinstance(value, str) else _compact(value)) for name, value in event.items()]
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Refused(url, "not a URL") from None
    query = "&".join(filter(None, (parts.query, urlencode(texts, quote_via=quote, safe=""))))
    return parts._replace(query=query, fragment="").geturl()


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _names(event: Event) -> dict[str, object]:
    """What a log may say of an event: never its digits."""
    wanted = {"eventType": "event_type", "callId": "call_id", "conferenceId": "conference_id"}
    return {wanted[name]: value for name, value in event.items() if name in wanted}
