"""From a name to servers (RFC 3263), with a DNS of our own."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import pytest

from sip.address import parse_target
from sip.locate import MAX_PLACES, Naptr, Srv, locate, ordered

T = TypeVar("T")
ALL = ("udp", "tcp", "tls")


@dataclass
class Zone:
    """Records by name; a name in `broken` cannot be looked up."""

    naptrs: dict[str, list[Naptr]] = field(default_factory=dict)
    srvs: dict[str, list[Srv]] = field(default_factory=dict)
    hosts: dict[str, list[str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    async def naptr(self, name: str) -> Sequence[Naptr]:
        return self._find("NAPTR", name, self.naptrs)

    async def srv(self, name: str) -> Sequence[Srv]:
        return self._find("SRV", name, self.srvs)

    async def addresses(self, name: str) -> Sequence[str]:
        return self._find("A", name, self.hosts)

    def _find(self, kind: str, name: str, records: dict[str, list[T]]) -> list[T]:
        self.asked.append(f"{kind} {name}")
        if name in self.broken:
            raise OSError(f"{name}: SERVFAIL")
        return records.get(name, [])


def carrier() -> Zone:
    """Two hosts for UDP, one each for TCP and TLS; TLS is liked best, then TCP."""
    return Zone(
        naptrs={
            "example.com": [
                Naptr(20, 10, "SIP+D2U", "_sip._udp.example.com."),
                Naptr(10, 20, "sip+d2t", "_sip._tcp.example.com."),
                Naptr(10, 10, "SIPS+D2T", "_sips._tcp.example.com."),
                Naptr(5, 5, "SIP+D2W", "_sip._ws.example.com."),
                Naptr(5, 5, "E2U+sip", ""),
            ]
        },
        srvs={
            "_sip._udp.example.com": [Srv(20, 0, 5060, "b.example.com"), Srv(10, 0, 5070, "a.example.com")],
            "_sip._tcp.example.com": [Srv(10, 0, 5080, "a.example.com")],
            "_sips._tcp.example.com": [Srv(10, 0, 5061, "c.example.com")],
        },
        hosts={
            "a.example.com": ["192.0.2.1", "2001:db8::1"],
            "b.example.com": ["192.0.2.2"],
            "c.example.com": ["192.0.2.3"],
            "example.com": ["192.0.2.9"],
        },
    )


async def found(
    target: str, zone: Zone, transport: str | None = None, usable: tuple[str, ...] = ALL
) -> list[str]:
    places = await locate(parse_target(target, transport), zone, usable, Random(1))
    return [f"{place.transport} {place.ip} {place.port}" for place in places]


async def test_naptr_chooses_the_transport_and_srv_the_hosts() -> None:
    assert await found("sip:example.com", carrier()) == [
        "tls 192.0.2.3 5061",
        "tcp 192.0.2.1 5080",
        "tcp 2001:db8::1 5080",
        "udp 192.0.2.1 5070",
        "udp 2001:db8::1 5070",
        "udp 192.0.2.2 5060",
    ]


async def test_transports_that_we_do_not_have_are_left_out() -> None:
    assert await found("sip:example.com", carrier(), usable=("tcp", "ws")) == [
        "tcp 192.0.2.1 5080",
        "tcp 2001:db8::1 5080",
    ]


@pytest.mark.parametrize("target", ["sips:example.com", "sips:example.com;transport=tcp"])
async def test_a_sips_address_goes_by_tls_alone(target: str) -> None:
    assert await found(target, carrier()) == ["tls 192.0.2.3 5061"]


@pytest.mark.parametrize(
    ("target", "transport"), [("sip:example.com;transport=tcp", "udp"), ("example.com", "tcp")]
)
async def test_a_transport_that_is_named_needs_no_naptr(target: str, transport: str) -> None:
    zone = carrier()
    assert await found(target, zone, transport) == ["tcp 192.0.2.1 5080", "tcp 2001:db8::1 5080"]
    assert "NAPTR example.com" not in zone.asked


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("sip:example.com:5090", "udp 192.0.2.9 5090"),
        ("sips:example.com:5090", "tls 192.0.2.9 5090"),
        ("sip:example.com:5090;transport=tcp", "tcp 192.0.2.9 5090"),
        ("sip:192.0.2.7", "udp 192.0.2.7 5060"),
        ("sips:192.0.2.7", "tls 192.0.2.7 5061"),
        ("sip:[2001:db8::7]:5090", "udp 2001:db8::7 5090"),
    ],
)
async def test_a_port_or_an_address_needs_neither(target: str, place: str) -> None:
    zone = carrier()
    assert await found(target, zone) == [place]
    assert zone.asked in ([], ["A example.com"])


async def test_without_naptr_the_usual_srv_names_are_asked_udp_first() -> None:
    zone = carrier()
    zone.naptrs.clear()
    assert [line.split()[0] for line in await found("sip:example.com", zone)] == [
        *["udp"] * 3, *["tcp"] * 2, "tls",
    ]  # fmt: skip


async def test_without_srv_the_name_itself_is_called() -> None:
    zone = Zone(hosts={"example.com": ["192.0.2.9", "192.0.2.10"]})
    assert await found("sip:example.com", zone) == ["udp 192.0.2.9 5060", "udp 192.0.2.10 5060"]
    assert await found("sips:example.com", zone) == ["tls 192.0.2.9 5061", "tls 192.0.2.10 5061"]


async def test_a_name_without_a_dot_is_a_host() -> None:
    zone = Zone(hosts={"localhost": ["127.0.0.1"]})
    assert await found("sip:localhost", zone) == ["udp 127.0.0.1 5060"]
    assert zone.asked == ["A localhost"]


async def test_a_server_that_knows_no_answer_is_worked_around() -> None:
    zone = carrier()
    zone.broken = {"example.com", "_sips._tcp.example.com", "a.example.com"}
    assert await found("sip:example.com", zone) == ["udp 192.0.2.2 5060"]
    zone.broken |= {"b.example.com"}
    with pytest.raises(OSError, match=r"example\.com: SERVFAIL"):
        await found("sip:example.com", zone)


async def test_an_unknown_name_is_an_error_that_names_it() -> None:
    with pytest.raises(OSError, match=r"nowhere\.example: no address"):
        await found("sip:nowhere.example", Zone())


async def test_a_service_that_is_not_there_is_said_by_a_dot() -> None:
    zone = carrier()
    zone.srvs["_sips._tcp.example.com"] = [Srv(0, 0, 1, ".")]
    assert (await found("sip:example.com", zone))[0] == "tcp 192.0.2.1 5080"


async def test_a_zone_full_of_records_is_cut() -> None:
    zone = carrier()
    zone.srvs["_sips._tcp.example.com"] = [Srv(n, 0, 5061, "c.example.com") for n in range(1_000)]
    assert len(await found("sip:example.com", zone)) == MAX_PLACES


def test_equals_are_drawn_by_their_weight_and_each_comes_once() -> None:
    records = [
        Srv(10, 3, 1, "often"),
        Srv(10, 1, 1, "seldom"),
        Srv(10, 0, 1, "hardly"),
        Srv(20, 9, 1, "last"),
    ]
    random, first = Random(3), Counter[str]()
    for _ in range(4_000):
        drawn = ordered(records, random)
        assert {r.target for r in drawn} == {"often", "seldom", "hardly", "last"}
        assert drawn[-1].target == "last"
        first[drawn[0].target] += 1
    # The lot is drawn from 0 to the sum, so the one without weight has a chance of a fifth here.
    assert first["often"] > 2 * first["seldom"] > 0 and 0 < first["hardly"] < 1_200
