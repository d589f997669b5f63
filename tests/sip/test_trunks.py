"""What is known of trunks, and how it is found out."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from sip import trunk_care
from sip.access import Trunk
from sip.message import Headers, Response
from sip.outside import Series
from sip.trunk_care import TrunkCare, granted
from sip.trunks import FAILURES, SECONDS_QUEUED, TrunkFull, Trunks
from tests.support.eventually import eventually

OFFICE = Trunk("office", "192.0.2.9", username="us", password="secret", max_calls=2)
CARRIER = Trunk("carrier", "192.0.2.10")


def test_a_place_is_given_back_once() -> None:
    trunks = Trunks([OFFICE])
    first, second = trunks.seize("office"), trunks.seize("office")
    with pytest.raises(TrunkFull, match="office carries 2 calls"):
        trunks.seize("office")
    first.release()
    first.release()
    assert trunks["office"].calls == 1
    trunks.seize("office")
    second.release()


def test_a_seconds_worth_of_calls_may_come_in_at_once_and_then_as_they_are_due() -> None:
    trunks = Trunks([replace(CARRIER, inbound_calls_per_second=4)])
    for _ in range(4):
        trunks.enter("carrier", 100.0)
    for now, seconds in ((100.0, "1"), (100.2, "1")):
        with pytest.raises(TrunkFull, match="more than 4 calls a second") as full:
            trunks.enter("carrier", now)
        assert full.value.headers == (("Retry-After", seconds),)
    trunks.enter("carrier", 100.25)
    with pytest.raises(TrunkFull):
        trunks.enter("carrier", 100.3)
    for _ in range(4):
        trunks.enter("carrier", 109.0)
    assert trunks["carrier"].calls == 9


@pytest.mark.parametrize("rate", [3, 7, 10, 30, 100])
@pytest.mark.parametrize("now", [0.1, 1000.3, 123456.789])
def test_a_seconds_worth_is_all_of_it_whatever_the_rate_and_the_clock(rate: int, now: float) -> None:
    trunks = Trunks([replace(CARRIER, inbound_calls_per_second=rate)])
    for _ in range(rate):
        trunks.enter("carrier", now)
    with pytest.raises(TrunkFull):
        trunks.enter("carrier", now)


def test_a_trunk_may_send_less_than_one_call_a_second_or_any_number() -> None:
    trunks = Trunks([replace(CARRIER, inbound_calls_per_second=0.2), OFFICE])
    trunks.enter("carrier", 100.0)
    with pytest.raises(TrunkFull) as full:
        trunks.enter("carrier", 101.0)
    assert full.value.headers == (("Retry-After", "4"),)
    trunks.enter("carrier", 105.0)
    trunks.enter("office", 100.0)
    trunks.enter("office", 100.0)
    with pytest.raises(TrunkFull) as full:
        trunks.enter("office", 100.0)
    assert full.value.headers == ()


def test_a_call_that_finds_no_place_does_not_use_up_a_turn() -> None:
    trunks = Trunks([replace(OFFICE, max_calls=1, inbound_calls_per_second=1)])
    line = trunks.seize("office")
    with pytest.raises(TrunkFull, match="carries 1"):
        trunks.enter("office", 100.0)
    line.release()
    trunks.enter("office", 100.0)


def test_a_trunk_that_is_gone_takes_no_call_and_one_that_stays_keeps_its_count() -> None:
    trunks = Trunks([OFFICE, CARRIER])
    trunks.seize("carrier")
    line = trunks.seize("office")
    trunks.adopt([replace(OFFICE, max_calls=1)])
    with pytest.raises(TrunkFull):
        trunks.seize("office")
    with pytest.raises(OSError, match="carrier"):
        trunks.seize("carrier")
    line.release()
    trunks.seize("office")


def test_other_settings_forget_what_no_longer_holds() -> None:
    watched = replace(CARRIER, health_check=10, register=True)
    trunks = Trunks([watched])

    def state() -> tuple[bool, bool | None]:
        return trunks["carrier"].up, trunks["carrier"].registered

    assert state() == (True, False)
    trunks["carrier"].failures, trunks["carrier"].registered = FAILURES, True
    trunks.adopt([watched])
    assert state() == (False, True)
    trunks.adopt([replace(watched, prefix="0")])
    assert state() == (False, False)
    trunks.adopt([replace(watched, host="192.0.2.11", register=False)])
    assert state() == (True, None)


def test_trunks_that_answer_come_first_and_full_ones_not_at_all() -> None:
    third = Trunk("third", "192.0.2.11")
    trunks = Trunks([OFFICE, CARRIER, third])
    trunks["carrier"].failures = FAILURES
    order = [OFFICE, CARRIER, third]
    assert [trunk.name for trunk in trunks.in_order(order, 0.0)] == ["office", "third", "carrier"]
    trunks["office"].calls = 2
    assert [trunk.name for trunk in trunks.in_order(order, 0.0)] == ["third", "carrier"]


def test_a_trunk_that_could_not_take_a_call_is_asked_after_others_for_a_while() -> None:
    trunks = Trunks([OFFICE, CARRIER])

    def order(now: float) -> list[str]:
        return [trunk.name for trunk in trunks.in_order([OFFICE, CARRIER], now)]

    trunks.rest("office", 60.0, 10.0)
    trunks.rest("gone", 60.0, 10.0)
    assert order(69.0) == ["carrier", "office"] and order(71.0) == ["office", "carrier"]
    trunks.rest("office", 60.0, 10.0)
    trunks.adopt([replace(OFFICE, host="192.0.2.77"), CARRIER])
    assert order(20.0) == ["office", "carrier"]


def test_calls_go_out_evenly_and_the_trunk_that_is_free_sooner_comes_first() -> None:
    slow, quick = replace(OFFICE, max_calls=0, calls_per_second=2), replace(CARRIER, calls_per_second=10)
    trunks = Trunks([slow, quick])

    def order(now: float) -> list[str]:
        return [trunk.name for trunk in trunks.in_order([slow, quick], now)]

    assert order(5.0) == ["office", "carrier"]
    assert [trunks.take_turn("office", 5.0) for _ in range(3)] == [0.0, 0.5, 1.0]
    assert order(5.0) == ["carrier", "office"]
    assert trunks.take_turn("carrier", 5.0) == 0.0 and trunks.take_turn("carrier", 5.05) == pytest.approx(
        0.05
    )
    assert trunks.take_turn("office", 60.0) == 0.0, "what was not used is not saved up"
    for _ in range(2 * SECONDS_QUEUED):
        trunks.take_turn("office", 60.0)
    assert order(60.0) == ["carrier"] and order(61.0) == ["carrier", "office"]
    trunks.adopt([replace(slow, calls_per_second=0), quick])
    assert trunks.take_turn("office", 60.0) == 0.0 == trunks.take_turn("nobody", 60.0)


@pytest.mark.parametrize(
    ("strip", "prefix", "number", "understood"),
    [
        ("", "+", "19195550100", "+19195550100"),
        ("", "+", "+19195550100", "+19195550100"),
        ("00", "+", "004420718", "+4420718"),
        ("0", "+44", "020718", "+4420718"),
        ("0", "+44", "+4420718", "+4420718"),
        ("+", "", "+4420718", "4420718"),
        ("", "+", "alice", "alice"),
        ("", "+", "", ""),
        ("", "", "100", "100"),
    ],
)
def test_numbers_of_its_calls_are_read_as_it_writes_them(
    strip: str, prefix: str, number: str, understood: str
) -> None:
    trunk = replace(CARRIER, inbound_strip=strip, inbound_prefix=prefix)
    assert trunk.understood(number) == understood


class FarEnd:
    """A trunk's other side: `answer` gives the response to each request."""

    def __init__(self, answer: Callable[[str, Headers], Response]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, str | None]] = []

    async def ask(
        self,
        method: str,
        *,
        uri: str,
        address: str,
        next_hop: str,
        transport: str,
        series: Series,
        headers: Headers = (),
    ) -> Response:
        self.asked.append((method, address, dict(headers).get("Expires")))
        await asyncio.sleep(0)
        return self.answer(method, headers)

    def times(self) -> list[str | None]:
        return [expires for _, _, expires in self.asked]


def impatient(trunk: Trunk, **changes: object) -> Trunk:
    """Checked every hundredth of a second."""
    return replace(trunk, health_check=0.01, **changes)  # type: ignore[arg-type]


async def test_a_trunk_is_down_after_three_checks_without_an_answer_and_up_after_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    alive = False

    def answer(method: str, headers: Headers) -> Response:
        return Response(200 if alive else 408, "")

    trunks = Trunks([impatient(CARRIER)])
    far = FarEnd(answer)
    care = TrunkCare(trunks, far)
    await care.start()
    await eventually(lambda: not trunks["carrier"].up)
    assert len(far.asked) >= FAILURES
    alive = True
    await eventually(lambda: trunks["carrier"].up)
    await care.close()
    told = [record.message for record in caplog.records if record.name == "sip.trunk_care"]
    assert told == ["trunk_down", "trunk_up"]


@pytest.mark.parametrize(
    ("status", "up"), [(404, True), (405, True), (401, True), (503, False), (408, False)]
)
async def test_any_answer_but_unavailable_shows_that_it_is_there(status: int, up: bool) -> None:
    trunks = Trunks([impatient(CARRIER)])
    far = FarEnd(lambda *_: Response(status, ""))
    care = TrunkCare(trunks, far)
    await care.start()
    await eventually(lambda: len(far.asked) > FAILURES)
    assert trunks["carrier"].up is up
    await care.close()


async def test_a_name_that_nobody_knows_counts_as_no_answer() -> None:
    def answer(method: str, headers: Headers) -> Response:
        raise OSError("no such host")

    trunks = Trunks([impatient(CARRIER)])
    care = TrunkCare(trunks, FarEnd(answer))
    await care.start()
    await eventually(lambda: not trunks["carrier"].up)
    await care.close()


async def test_a_registration_is_kept_up_and_ended_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunk_care, "REFRESH", 0.0001)
    far = FarEnd(lambda *_: Response(200, "OK", (("Expires", "120"),)))
    trunks = Trunks([replace(OFFICE, register=True, register_expires=1800)])
    care = TrunkCare(trunks, far)
    await care.start()
    await eventually(lambda: len(far.asked) >= 3)
    assert trunks["office"].registered
    assert set(far.asked) == {("REGISTER", "sip:us@192.0.2.9", "1800")}
    await care.close()
    assert far.times()[-1] == "0"


async def test_a_longer_time_is_asked_for_where_the_registrar_wants_it() -> None:
    def answer(method: str, headers: Headers) -> Response:
        if dict(headers)["Expires"] == "60":
            return Response(423, "", (("Min-Expires", "300"),))
        return Response(200, "")

    far = FarEnd(answer)
    trunks = Trunks([replace(OFFICE, register=True, register_expires=60)])
    care = TrunkCare(trunks, far)
    await care.start()
    await eventually(lambda: trunks["office"].registered)
    await care.close()
    assert far.times() == ["60", "300", "0"]


async def test_a_registration_that_fails_is_tried_again_and_never_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trunk_care, "RETRY", 0.001)
    far = FarEnd(lambda *_: Response(403, "No"))
    trunks = Trunks([replace(OFFICE, register=True)])
    care = TrunkCare(trunks, far)
    await care.start()
    await eventually(lambda: len(far.asked) >= 3)
    await care.close()
    assert trunks["office"].registered is False and "0" not in far.times()


async def test_new_settings_begin_and_end_only_what_is_different() -> None:
    far = FarEnd(lambda *_: Response(200, "OK"))
    stays, goes = replace(OFFICE, register=True), replace(CARRIER, register=True, username="we")
    trunks = Trunks([stays, goes])
    care = TrunkCare(trunks, far)
    await care.start()
    await eventually(lambda: all(condition.registered for condition in trunks))
    asked = len(far.asked)
    trunks.adopt([stays])
    await care.renew()
    await asyncio.sleep(0.01)
    assert far.asked[asked:] == [("REGISTER", "sip:we@192.0.2.10", "0")]
    await care.close()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), 1800),
        ((("Expires", "600"),), 600),
        ((("Contact", "<sip:us@192.0.2.1>;expires=300, <sip:us@192.0.2.2>;expires=200"),), 200),
        ((("Contact", "nonsense <<"), ("Expires", "400")), 400),
        ((("Expires", "5"),), 60),
        ((("Expires", "soon"),), 1800),
    ],
)
def test_how_long_a_registration_holds(headers: Headers, seconds: int) -> None:
    assert granted(Response(200, "OK", headers), 1800) == seconds
