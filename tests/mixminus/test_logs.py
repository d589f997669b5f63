"""Logs: JSON lines that nobody has to wait for."""

import json
import logging
import os
from collections.abc import Iterator

import pytest

from mixminus.logs import JsonFormatter, LineHandler


class Pipe:
    """A pipe into which a logger writes, and its reader."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.handler = LineHandler(self.writer)
        self.handler.setFormatter(JsonFormatter())
        self.logger = logging.Logger("tests")
        self.logger.addHandler(self.handler)

    def read(self) -> list[dict[str, object]]:
        """The lines so far, each of them whole."""
        data = b""
        try:
            while part := os.read(self.reader, 1 << 20):
                data += part
        except BlockingIOError:
            pass
        return [json.loads(line) for line in data.splitlines()]

    def fill(self) -> int:
        """Log until nothing gets through any more; how many lines that were."""
        for number in range(100_000):
            self.logger.info("filling", extra={"number": number})
            if self.handler.lost:
                return number
        raise AssertionError("a pipe without a bottom")


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.writer)
    os.close(pipe.reader)


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
        pipe.logger.info("lost")
    numbers = [line["number"] for line in pipe.read()]
    assert numbers == list(range(whole)), "the lines before are whole"
    pipe.logger.info("after")
    told, after = pipe.read()
    assert (told["event"], told["lines"]) == ("log_lines_lost", 10)
    assert after["event"] == "after"
    pipe.logger.info("another")
    assert [line["event"] for line in pipe.read()] == ["another"]


def test_a_long_line_that_was_begun_is_finished_before_the_next(pipe: Pipe) -> None:
    long = "x" * 100_000  # more than a pipe holds
    pipe.logger.info("long", extra={"text": long})
    data = os.read(pipe.reader, 1 << 20)
    assert 0 < len(data) < len(long) and pipe.handler.lost == 0
    pipe.logger.info("next")
    data += os.read(pipe.reader, 1 << 20)
    first, second = (json.loads(line) for line in data.splitlines())
    assert first["text"] == long and second["event"] == "next"


def test_a_reader_who_has_gone_harms_nobody(pipe: Pipe) -> None:
    reader, pipe.reader = pipe.reader, os.open(os.devnull, os.O_RDONLY)
    os.close(reader)
    pipe.logger.info("to nobody")
    assert pipe.handler.lost == 1


def test_a_full_disk_harms_nobody() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    handler = LineHandler(descriptor)
    handler.handle(logging.makeLogRecord({"msg": "to no room"}))
    assert handler.lost == 1
    os.close(descriptor)
