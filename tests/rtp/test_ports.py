"""Which port a new leg shares: few ports, and never two legs that could be taken for each other."""

import pytest

from rtp.ports import BASE_PORTS, CLAIM_SECONDS, QUIET_SECONDS, NoPort, Placing

NAT = "203.0.113.7"


def answered(placing: Placing, leg: int, remote: tuple[str, int], now: float, signalling: str = NAT) -> int:
    port = placing.place(leg, signalling=signalling, remote=remote, now=now)
    assert placing.connect(leg, remote, now)[0]
    return port


def test_legs_from_everywhere_share_the_base_ports_evenly() -> None:
    placing = Placing(64)
    ports = []
    for leg in range(200):
        address = f"198.51.{leg // 100}.{leg % 100}"
        ports.append(answered(placing, leg, (address, 4000), 0.0, address))
        placing.pin(leg, (address, 4000))
    assert set(ports) == set(range(BASE_PORTS))
    assert {ports.count(port) for port in set(ports)} == {200 // BASE_PORTS}


def test_many_legs_take_more_base_ports() -> None:
    placing = Placing(64)
    ports = set()
    for leg in range(1024):
        address = f"198.51.{leg // 250}.{leg % 250}"
        ports.add(answered(placing, leg, (address, 4000), 0.0, address))
    assert len(ports) == 16


def test_two_hundred_sending_legs_of_one_load_tool_dialled_at_fifty_a_second_end_on_sixteen_ports() -> None:
    placing, ports = Placing(64), set()
    for leg in range(200):
        now = leg / 50
        ports.add(answered(placing, leg, ("127.0.0.1", 30000 + 2 * leg), now, "127.0.0.1"))
        if leg >= 5:  # each sends its first packet 100 ms after it was answered
            placing.pin(leg - 5, ("127.0.0.1", 30000 + 2 * (leg - 5)))
    assert len(ports) <= 16


def test_thirty_phones_behind_one_address_all_learn_on_ports_of_their_own() -> None:
    placing = Placing(64)
    ports = [answered(placing, leg, (f"192.168.1.{leg}", 5004), 0.0) for leg in range(30)]
    assert len(set(ports)) == 30
    assert all(placing.connect(leg, (f"192.168.1.{leg}", 5004), 0.0) == (True, True) for leg in range(30))


def test_a_phone_that_has_been_heard_makes_room_for_the_next_behind_its_address() -> None:
    placing = Placing(1)
    answered(placing, 1, ("192.168.1.1", 5004), 0.0)
    placing.pin(1, (NAT, 40000))
    answered(placing, 2, ("192.168.1.2", 5004), 1.0)
    assert placing.connect(2, ("192.168.1.2", 5004), 1.0) == (True, True)


def test_past_the_last_port_a_leg_may_be_known_only_by_what_its_sdp_names() -> None:
    placing = Placing(2)
    for leg in range(3):
        answered(placing, leg, (f"192.168.1.{leg}", 5004), 0.0)
    learners = [placing.connect(leg, (f"192.168.1.{leg}", 5004), 0.0)[1] for leg in range(3)]
    assert sorted(learners) == [False, True, True]


def test_a_leg_that_another_phone_has_taken_over_is_kept_apart_from_those_of_its_address() -> None:
    placing = Placing(2)
    port = answered(placing, 1, ("192.168.1.1", 5004), 0.0, "203.0.113.9")
    placing.pin(1, ("203.0.113.9", 40000))
    placing.readdress(1, NAT)
    assert placing.connect(1, ("192.168.1.1", 5004), 20.0) == (True, True)
    assert NAT in placing.addresses() and "203.0.113.9" not in placing.addresses()
    assert answered(placing, 2, ("192.168.1.2", 5004), 21.0) != port
    placing.close(1, 22.0)
    assert not placing.addresses() - {NAT, "192.168.1.2"}


def test_a_claim_lapses_some_seconds_after_the_answer_and_not_before_it() -> None:
    placing = Placing(1)
    placing.place(1, signalling=NAT, remote=None, now=0.0)
    placing.place(2, signalling=NAT, remote=("192.168.1.2", 5004), now=60.0)
    assert placing.connect(2, ("192.168.1.2", 5004), 60.0) == (True, False)
    assert placing.connect(1, ("192.168.1.1", 5004), 61.0) == (True, True)
    placing.close(2, 62.0)
    placing.place(3, signalling=NAT, remote=("192.168.1.3", 5004), now=61.0 + CLAIM_SECONDS)
    assert placing.connect(3, ("192.168.1.3", 5004), 61.0 + CLAIM_SECONDS) == (True, True)


def test_two_calls_whose_peers_share_one_address_and_port_get_different_ports() -> None:
    placing = Placing(64)
    ports = [answered(placing, leg, (NAT, 6000), 100.0 * leg) for leg in range(2)]
    assert ports[0] != ports[1]


def test_where_every_port_has_that_peer_already_the_leg_stays_and_nobody_guesses() -> None:
    placing = Placing(2)
    for leg in range(3):
        placing.place(leg, signalling=NAT, remote=(NAT, 6000), now=0.0)
        assert placing.connect(leg, (NAT, 6000), 0.0)[0]
    with pytest.raises(NoPort, match="every RTP port"):
        placing.move(0, 0.0)


def test_outbound_legs_take_ports_unused_towards_their_host() -> None:
    placing = Placing(64)
    ports = [placing.place(leg, signalling="198.51.100.1", remote=None, now=0.0) for leg in range(20)]
    assert len(set(ports)) == 20


def test_an_answer_that_names_an_address_taken_there_moves_the_leg() -> None:
    placing = Placing(2)
    first = answered(placing, 1, ("198.51.100.9", 7000), 0.0, "198.51.100.9")
    assert placing.place(2, signalling="192.0.2.1", remote=None, now=0.0) != first
    assert placing.place(100, signalling="192.0.2.200", remote=None, now=0.0) == first
    assert placing.connect(100, ("198.51.100.9", 7000), 1.0)[0] is False
    moved = placing.move(100, 1.0)
    assert moved != first
    assert placing.connect(100, ("198.51.100.9", 7000), 1.1)[0] is True


def test_a_source_that_was_learnt_counts_as_taken_as_well() -> None:
    placing = Placing(2)
    first = answered(placing, 1, ("192.168.1.1", 5004), 0.0)
    placing.pin(1, (NAT, 40000))
    assert answered(placing, 2, (NAT, 40000), 0.0) != first


def test_an_ended_calls_far_end_gets_another_port_for_a_while() -> None:
    placing = Placing(64)
    first = answered(placing, 1, (NAT, 6000), 0.0)
    placing.close(1, 5.0)
    assert answered(placing, 2, (NAT, 6000), 5.1) != first
    placing.close(2, 6.0)
    assert answered(placing, 3, (NAT, 6000), 6.0 + QUIET_SECONDS) == first


def test_a_phone_behind_a_nat_that_dials_again_gets_another_port() -> None:
    placing = Placing(64)
    first = answered(placing, 1, ("192.168.1.1", 5004), 0.0)
    placing.pin(1, (NAT, 40000))
    placing.close(1, 5.0)
    assert answered(placing, 2, ("192.168.1.1", 5006), 6.0) != first


def test_hold_and_back_is_no_new_far_end() -> None:
    placing = Placing(1)
    answered(placing, 1, ("192.168.1.1", 5004), 0.0)
    placing.pin(1, (NAT, 40000))
    assert placing.connect(1, None, 20.0)[0]
    assert placing.connect(1, ("192.168.1.1", 5004), 30.0)[0]
    placing.place(2, signalling=NAT, remote=("192.168.1.2", 5004), now=30.0)
    assert placing.connect(2, ("192.168.1.2", 5004), 30.0) == (True, True)


def test_the_addresses_of_live_legs_are_those_they_are_heard_from_or_sent_to() -> None:
    placing = Placing(4)
    answered(placing, 1, ("192.168.1.1", 5004), 0.0, "198.51.100.1")
    placing.pin(1, (NAT, 40000))
    answered(placing, 2, ("192.168.1.2", 5004), 0.0, "198.51.100.2")
    assert placing.addresses() == {"192.168.1.1", "198.51.100.1", NAT, "192.168.1.2", "198.51.100.2"}
    placing.close(2, 1.0)
    assert placing.addresses() == {"192.168.1.1", "198.51.100.1", NAT}


def test_nothing_is_left_of_five_hundred_calls() -> None:
    placing = Placing(64)
    for leg in range(500):
        now = leg * 1.0
        answered(placing, leg, (f"192.168.1.{leg % 200}", 5004), now)
        if leg % 3:
            placing.pin(leg, (NAT, 40000 + leg))
        if leg % 5 == 0:
            placing.connect(leg, (f"192.168.2.{leg % 200}", 5004), now)
            placing.move(leg, now)
        placing.close(leg, now + 0.5)
        placing.close(leg, now + 0.5)
    assert len(placing) == sum(placing._load) == 0 and not placing.addresses()
    assert not placing._seeking and not placing._taken and not placing._towards
    placing.place(1000, signalling=None, remote=None, now=1000.0)
    assert not placing._quiet and not placing._ended
