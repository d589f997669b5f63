"""Bindings that outlast a restart."""

import json

import pytest

from sip.bindings import BindingsError, dump, load
from sip.flow import Flow
from sip.registrar import Contact, Registrar

LOCAL = ("192.0.2.1", 5060)
UDP = Flow("udp", LOCAL, ("203.0.113.9", 61000))
TCP = Flow("tcp", LOCAL, ("203.0.113.9", 61001), 7)


def before(now: float = 100.0) -> Registrar:
    """Alice has a desk phone and a softphone over TCP, Bob has one phone."""
    registrar = Registrar(["alice", "bob"])
    for user, uri, flow, q in (
        ("alice", "sip:alice@203.0.113.9:61000", UDP, 0.5),
        ("alice", "sip:alice@10.0.0.7;transport=tcp", TCP, 1.0),
        ("bob", "sip:bob@203.0.113.9:61000", UDP, 1.0),
    ):
        contact = Contact(uri, 600, q, ";reg-id=1")
        registrar.register(user, [contact], call_id=f"c-{uri}", cseq=4, source=flow, now=now)
    return registrar


def test_a_phone_is_reachable_after_a_restart_whose_clock_begins_anew_for_the_time_that_is_left() -> None:
    text = dump(before(), now=200.0, wall=1_000_000.0)
    after = Registrar(["alice", "bob"])
    assert load(after, text, now=5.0, wall=1_000_060.0) == 2
    (binding,) = after.contacts("alice", 5.0)
    assert (binding.uri, binding.source, binding.q) == ("sip:alice@203.0.113.9:61000", UDP, 0.5)
    assert binding.expires(5.0) == 600 - 100 - 60 and binding.parameters == ";reg-id=1"
    assert (binding.call_id, binding.cseq) == ("c-sip:alice@203.0.113.9:61000", 4)


def test_what_expired_meanwhile_and_whoever_is_no_user_any_more_stay_out() -> None:
    text = dump(before(), now=200.0, wall=1_000_000.0)
    assert load(Registrar(["alice", "bob"]), text, now=5.0, wall=1_000_501.0) == 0
    assert load(Registrar(["bob"]), text, now=5.0, wall=1_000_000.0) == 1


def test_a_clock_that_was_set_back_makes_nobody_immortal() -> None:
    text = dump(before(), now=200.0, wall=1_000_000.0)
    assert load(Registrar(["alice", "bob"]), text, now=5.0, wall=500_000.0) == 0


def test_the_phone_itself_counts_more_than_the_file() -> None:
    text = dump(before(), now=200.0, wall=1_000_000.0)
    after = Registrar(["bob"])
    fresh = Contact("sip:bob@203.0.113.9:61000", 3600)
    after.register("bob", [fresh], call_id="new", cseq=1, source=UDP, now=5.0)
    load(after, text, now=5.0, wall=1_000_000.0)
    (binding,) = after.contacts("bob", 5.0)
    assert binding.call_id == "new"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"form": 2, "bindings": []}',
        '{"form": 1}',
        '{"form": 1, "bindings": [{"user": "bob"}]}',
        '{"form": 1, "bindings": [7]}',
    ],
)
def test_another_text_is_refused_whole(text: str) -> None:
    registrar = Registrar()
    with pytest.raises(BindingsError):
        load(registrar, text, now=0.0, wall=0.0)
    assert list(registrar.all(0.0)) == []


def test_one_bad_row_keeps_the_good_ones_out_too() -> None:
    content = json.loads(dump(before(), now=200.0, wall=1_000_000.0))
    content["bindings"][1]["remote"] = ["203.0.113.9"]
    registrar = Registrar()
    with pytest.raises(BindingsError):
        load(registrar, json.dumps(content), now=5.0, wall=1_000_000.0)
    assert list(registrar.all(5.0)) == []


def test_every_change_is_counted_and_a_query_is_none() -> None:
    registrar = before()
    counted = registrar.changes
    registrar.contacts("alice", 100.0)
    registrar.register("alice", [], call_id="query", cseq=1, source=UDP, now=100.0)
    assert registrar.changes == counted
    registrar.forget(TCP)
    assert registrar.changes > counted


def test_other_users_take_the_bindings_of_those_who_are_gone_with_them() -> None:
    registrar = before()
    registrar.admit(["bob", "carol"])
    assert not registrar.contacts("alice", 100.0) and registrar.contacts("bob", 100.0)
