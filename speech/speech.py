"""Sentences and audio files to prompts: each sound is made once, by a worker process, and then remembered."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from net.errors import HttpError, shown
from net.http import HttpClient
from speech import audio
from speech.engine import Voice
from speech.errors import AudioError, PromptError, SpeechError
from speech.jobs import Decode, Job, Kind, Speak
from speech.process import JobFailed, Worker, WorkerLost
from speech.prompt import RATE, Prompt
from speech.ssml import clean
from speech.store import Store

logger = logging.getLogger(__name__)

ESPEAK = "speech.espeak:Espeak"
FRESH = 1024  # answers whose freshness is remembered
FORMAT = "1"  # raise it when equal input begins to give other samples: part of each name


@dataclass(frozen=True)
class Limits:
    """Bounds on what strangers can ask for. Seconds, and bytes."""

    sentence_seconds: float = 600.0  # a longer sentence is cut there
    sentence_deadline: int = 20
    audio_seconds: float = 3600.0
    audio_bytes: int = 64 << 20  # an hour of 8 kHz PCM has 58 MB
    fetch_deadline: float = 30.0
    decode_deadline: int = 60
    speaking: int = 4  # sentences at once
    decoding: int = 2  # files at once
    fetching: int = 16
    memory: int = 64 << 20
    disk: int = 512 << 20


class Speech:
    """`directory` holds what was made before; `client` fetches audio files; `engine` is "module:Class"."""

    def __init__(
        self, directory: Path, client: HttpClient, *, engine: str = ESPEAK, limits: Limits | None = None
    ) -> None:
        self._limits = limits or Limits()
        self._client = client
        self._worker = Worker(engine)
        self._store = Store(directory, memory=self._limits.memory, disk=self._limits.disk)
        self._speaking = asyncio.Semaphore(self._limits.speaking)
        self._decoding = asyncio.Semaphore(self._limits.decoding)
        self._fetching = asyncio.Semaphore(self._limits.fetching)
        self.made = 0  # sounds the worker has made, as opposed to those that were there
        self._making: dict[str, asyncio.Task[Prompt]] = {}
        # The digest of a request: until when its answer holds, and which prompt it became.
        self._fresh: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def start(self) -> None:
        """Start the worker, so that the first sentence is quick. ChildProcessError: it does not load."""
        await self._store.open()
        await self._worker.start()

    async def close(self) -> None:
        """End the worker; what waits for it gets an error."""
        await self._worker.close()
        making = list(self._making.values())
        for task in making:
            task.cancel()
        await asyncio.gather(*making, return_exceptions=True)

    @property
    def pids(self) -> list[int]:
        """The worker's process."""
        return self._worker.pids

    async def speak(
        self,
        markup: str,
        *,
        voice: str | None = None,
        gender: str = "female",
        locale: str = "en_US",
        rate: int = RATE,
    ) -> Prompt:
        """A sentence (text with the contract's SSML) in a voice of the contract's list, or in a gender's.

        `gender` and `locale` are the voice's own, as the list has them. Raises SpeechError.
        """
        document = clean(markup)
        limits = self._limits
        spoken = Voice((voice or "").lower(), gender.lower(), locale)
        name = _name("sentence", self._worker.version, spoken, rate, limits.sentence_seconds, document)
        prompt = self._store.held(name)
        if prompt is not None:
            return prompt
        job = Speak(document, spoken, rate, limits.sentence_seconds, limits.sentence_deadline)
        prompt = await self._once(
            name, lambda: self._make(name, job, b"", self._speaking, SpeechError), SpeechError
        )
        if prompt.seconds >= limits.sentence_seconds:
            logger.warning("sentence_cut", extra={"seconds": limits.sentence_seconds})
        return prompt

    async def fetch(
        self, url: str, *, username: str | None = None, password: str | None = None, rate: int = RATE
    ) -> Prompt:
        """An audio file from an absolute URL. Raises AudioError, which shows no query and no credentials."""
        request = _name("request", url, username or "", password or "", rate)
        kept = await self._kept(request)
        if kept is not None:
            return kept
        async with self._fetching:
            try:
                reply = await self._client.request(
                    "GET",
                    url,
                    headers={"Accept": audio.ACCEPT},
                    username=username,
                    password=password,
                    timeout=self._limits.fetch_deadline,
                    max_bytes=self._limits.audio_bytes,
                )
            except HttpError as error:
                raise AudioError(str(error)) from None
            if reply.status != 200:
                raise AudioError(f"{shown(url)}: answered {reply.status}, expected 200 with an audio file")
            try:
                prompt = await self._decoded(
                    reply.body, audio.kind(reply.headers.get("Content-Type", ""), url), rate
                )
            except AudioError as error:
                raise AudioError(f"{shown(url)}: {error}") from None
        lifetime = audio.lifetime(reply.headers)
        if lifetime > 0:
            self._fresh[request] = (time.monotonic() + lifetime, prompt.name)
            if len(self._fresh) > FRESH:
                self._fresh.popitem(last=False)
        return prompt

    async def _kept(self, request: str) -> Prompt | None:
        """What this request brought before, while the answer is fresh and the prompt is still there."""
        until, name = self._fresh.get(request, (0.0, ""))
        if until > time.monotonic():
            return self._store.held(name) or await self._store.load(name)
        self._fresh.pop(request, None)
        return None

    async def _decoded(self, body: bytes, kind: Kind, rate: int) -> Prompt:
        """The body as a prompt, named by its bytes: a file that comes again is not decoded again."""
        digest = await asyncio.to_thread(lambda: blake2b(body, digest_size=32).hexdigest())
        limits = self._limits
        name = _name("file", digest, kind, rate, limits.audio_seconds)
        job = Decode(kind, rate, limits.audio_seconds, limits.decode_deadline)
        return self._store.held(name) or await self._once(
            name, lambda: self._make(name, job, body, self._decoding, AudioError), AudioError
        )

    async def _once(
        self, name: str, make: Callable[[], Coroutine[Any, Any, Prompt]], error: type[PromptError]
    ) -> Prompt:
        """One making for all who want the same sound at once; one of them leaving does not end it."""
        task = self._making.get(name)
        if task is None:
            task = self._making[name] = asyncio.create_task(make(), name=f"prompt {name}")
            task.add_done_callback(lambda done: self._made(name, done))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise error("the server is stopping") from None
            raise

    def _made(self, name: str, task: asyncio.Task[Prompt]) -> None:
        del self._making[name]
        if not task.cancelled() and task.exception() is not None:
            logger.info("prompt_not_made", extra={"reason": str(task.exception())})

    async def _make(
        self, name: str, job: Job, payload: bytes, slots: asyncio.Semaphore, error: type[PromptError]
    ) -> Prompt:
        prompt = await self._store.load(name)
        if prompt is not None:
            return prompt
        try:
            async with slots:
                samples = await self._worker.run(job, payload)
        except JobFailed as failure:
            raise error(str(failure)) from None
        except WorkerLost as failure:
            raise error(f"no sound came of it: {failure}") from None
        self.made += 1
        prompt = Prompt(samples, job.rate, name)
        await self._store.keep(prompt)
        return prompt


def _name(*parts: object) -> str:
    """The name of a sound: a digest of all that it depends on."""
    return blake2b("\0".join(map(str, (FORMAT, *parts))).encode(), digest_size=20).hexdigest()
