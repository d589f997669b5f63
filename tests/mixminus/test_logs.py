"""Logs: JSON lines that nobody has to wait for."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from mixminus import logs
from mixminus.logs import JsonFormatter, LineHandler

MOST = 10_000
"""Bytes of lines that wait in these tests."""


class Pipe:
    """A pipe into which a logger writes, and its reader."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.handler = LineHandler(self.writer, most=MOST)
        self.handler.setFormatter(JsonFormatter())
        self.logger = logging.Logger("tests")
        self.logger.addHandler(self.handler)

    def data(self) -> bytes:
        """All that has been logged and not been read yet."""
        data = b""
        while True:
            written = not self.handler.waiting
            try:
                data += os.read(self.reader, 1 << 20)
            except BlockingIOError:
                if written:
                    return data
                os.sched_yield()

    def read(self) -> list[dict[str, object]]:
        """The lines so far, each of them whole."""
        return [json.loads(line) for line in self.data().splitlines() if line]

    def fill(self) -> int:
        """Leave the pipe no room, and log until no more may wait; how many lines do."""
        os.set_blocking(self.writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.writer, b"\n" * 4_096)
        os.set_blocking(self.writer, True)
        for number in range(100_000):
            self.logger.info("filling", extra={"number": number})
            if self.handler.lost:
                return number
        raise AssertionError("a pipe without a bottom")


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.reader)
    pipe.handler.flush()
    os.close(pipe.writer)


def test_a_line_is_one_json_object_with_its_facts(pipe: Pipe) -> None:
    pipe.logger.info("call_ended", extra={"call_id": "c-1", "reason": "\r\n\x1b[31mred", "none": None})
    (line,) = pipe.read()
    assert line["event"] == "call_ended" and line["level"] == "info"
    assert line["reason"] == "\r\n\x1b[31mred" and "none" not in line


@pytest.mark.parametrize("text", ["\x9b31m", "\x7f", "\u202egnirts", "\u2028", "\ud800", "\U000e0041"])
def test_nothing_in_a_line_moves_a_terminal_and_letters_stay_readable(text: str) -> None:
    record = logging.makeLogRecord({"msg": "call_incoming", "from": f"Zo\u00eb \u65e5 {text}"})
    line = JsonFormatter().format(record)
    assert line.isprintable() and "Zo\u00eb \u65e5" in line
    assert json.loads(line)["from"] == f"Zo\u00eb \u65e5 {text}"


def test_nobody_waits_for_a_reader_who_does_not_read_and_he_is_told_what_he_missed(pipe: Pipe) -> None:
    whole = pipe.fill()
    for _ in range(9):
        pipe.logger.info("lost " + "x" * MOST)
    numbers = [line["number"] for line in pipe.read()]
    assert numbers == list(range(whole)), "the lines before are whole"
    pipe.logger.info("after")
    told, after = pipe.read()
    assert (told["event"], told["lines"]) == ("log_lines_lost", 10)
    assert after["event"] == "after"
    pipe.logger.info("another")
    assert [line["event"] for line in pipe.read()] == ["another"]


def test_a_long_line_is_whole_and_before_the_next(pipe: Pipe) -> None:
    long = "x" * 100_000  # more than a pipe holds, and than may wait
    pipe.logger.info("long", extra={"text": long})
    first = pipe.data()
    pipe.logger.info("next")
    assert json.loads(first)["text"] == long and pipe.read()[0]["event"] == "next"


def test_the_end_tells_what_was_lost_and_waits_for_the_last_lines(pipe: Pipe) -> None:
    pipe.fill()
    found: list[dict[str, object]] = []
    reader = threading.Timer(0.1, lambda: found.extend(pipe.read()))
    reader.start()
    pipe.handler.flush()
    reader.join()
    lines = found + pipe.read()
    assert lines[-1]["event"] == "log_lines_lost"


def test_the_end_does_not_wait_long_for_who_does_not_read(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_LAST_LINES", 0.01)
    pipe.fill()
    pipe.handler.flush()
    assert pipe.handler.waiting


def test_a_disk_that_stands_still_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    still = threading.Event()
    written: list[bytes] = []

    def write(_: int, data: bytes) -> int:
        still.wait()
        written.append(data)
        return len(data)

    with open(os.devnull, "wb") as file:  # always writable, as poll says of any regular file
        handler = LineHandler(file.fileno())
        monkeypatch.setattr(logs.os, "write", write)
        handler.handle(logging.makeLogRecord({"msg": "one"}))
        handler.handle(logging.makeLogRecord({"msg": "two"}))
        assert written == []
        still.set()
        handler.flush()
    assert written == [b"one\n", b"two\n"]


def test_a_reader_who_has_gone_harms_nobody(pipe: Pipe) -> None:
    reader, pipe.reader = pipe.reader, os.open(os.devnull, os.O_RDONLY | os.O_NONBLOCK)
    os.close(reader)
    pipe.logger.info("to nobody")
    pipe.handler.flush()
    assert pipe.handler.lost == 1


def test_a_pipe_that_another_program_has_left_non_blocking_gets_all(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    long = "x" * 100_000
    pipe.logger.info("long", extra={"text": long})
    (line,) = pipe.read()
    assert line["text"] == long


def test_a_full_disk_harms_nobody_and_its_lost_lines_are_told_when_there_is_room() -> None:
    reader, writer = os.pipe()
    descriptor = os.open("/dev/full", os.O_WRONLY)
    handler = LineHandler(descriptor)
    handler.handle(logging.makeLogRecord({"msg": "to no room"}))
    handler.flush()
    assert handler.lost == 1
    os.dup2(writer, descriptor)
    handler.handle(logging.makeLogRecord({"msg": "after"}))
    handler.flush()
    assert os.read(reader, 1_000) == b"log_lines_lost\nafter\n"
    for each in (reader, writer, descriptor):
        os.close(each)


def test_what_ends_a_process_is_written() -> None:
    code = (
        "import logging, sys; from mixminus import logs; logs.configure();"
        "[logging.info('line') for _ in range(2000)]; logging.info('last');"
        "logs.settle(); print('fatal', file=sys.stderr); raise SystemExit(1)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    lines = found.stderr.splitlines()
    assert len(lines) == 2_002 and "fatal" in lines
    told = [json.loads(line) for line in lines if line != "fatal"]
    assert told[-1]["event"] == "last"
