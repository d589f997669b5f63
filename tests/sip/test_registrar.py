"""Registering, refreshing, moving and leaving."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip import registrar
from sip.registrar import MAX_CONTACTS, Binding, Contact, RegisterError, Registrar

DESK, MOBILE = "sip:alice@192.0.2.5:5060", "sip:alice@192.0.2.6:40000;transport=tcp"


class Phone:
    """Sends REGISTERs of one Call-ID over one flow, counting CSeq."""

    def __init__(
        self, at: Registrar, user: str = "alice", call_id: str = "c1", source: object = "flow-1"
    ) -> None:
        self.at, self.user, self.call_id, self.source, self.cseq = at, user, call_id, source, 0

    def registers(
        self, *contacts: Contact | str, expires: int | None = None, now: float = 0.0
    ) -> tuple[Binding, ...]:
        self.cseq += 1
        return self.at.register(
            self.user,
            [contact if isinstance(contact, Contact) else Contact(contact) for contact in contacts],
            expires=expires,
            call_id=self.call_id,
            cseq=self.cseq,
            source=self.source,
            now=now,
        )


def uris(bindings: tuple[Binding, ...]) -> list[str]:
    return [binding.uri for binding in bindings]


def refused(
    phone: Phone, *contacts: Contact | str, expires: int | None = None, now: float = 0.0
) -> RegisterError:
    with pytest.raises(RegisterError) as caught:
        phone.registers(*contacts, expires=expires, now=now)
    return caught.value


def test_a_phone_is_reachable_by_the_way_it_came() -> None:
    at = Registrar(["alice"])
    Phone(at, source=("203.0.113.9", 61000)).registers("sip:alice@10.0.0.7:5060")
    (binding,) = at.contacts("alice", 1.0)
    assert binding.uri == "sip:alice@10.0.0.7:5060"
    assert binding.source == ("203.0.113.9", 61000)


def test_a_contact_without_a_time_stays_an_hour() -> None:
    at = Registrar()
    (binding,) = Phone(at).registers(DESK, now=10.0)
    assert binding.expires(10.0) == 3600
    assert at.contacts("alice", 3609.9) and not at.contacts("alice", 3610.0)


def test_the_contacts_own_time_counts_before_the_headers() -> None:
    bindings = Phone(Registrar()).registers(Contact(DESK, expires=100), MOBILE, expires=200)
    assert {b.uri: b.expires(0.0) for b in bindings} == {DESK: 100, MOBILE: 200}


def test_a_time_is_cut_to_the_maximum() -> None:
    (binding,) = Phone(Registrar(maximum=600)).registers(DESK, expires=2**31)
    assert binding.expires(0.0) == 600


def test_a_time_under_the_minimum_is_423_and_names_it() -> None:
    at = Registrar(minimum=60)
    error = refused(Phone(at), DESK, expires=59)
    assert (error.status, error.headers) == (423, (("Min-Expires", "60"),))
    assert not at.contacts("alice", 0.0)
    assert Phone(at).registers(DESK, expires=60)


def test_several_contacts_are_kept_in_order_of_preference() -> None:
    at = Registrar()
    Phone(at).registers(Contact(DESK, q=0.5))
    Phone(at, call_id="c2").registers(Contact(MOBILE, q=1.0))
    Phone(at, call_id="c3").registers(Contact("sip:alice@192.0.2.8", q=0.5))
    assert uris(at.contacts("alice", 1.0)) == [MOBILE, "sip:alice@192.0.2.8", DESK]


def test_a_refresh_keeps_one_binding_and_its_newest_flow() -> None:
    at = Registrar()
    phone = Phone(at)
    phone.registers(DESK, now=0.0)
    phone.source = "flow-2"
    (binding,) = phone.registers(DESK, now=3000.0)
    assert binding.source == "flow-2"
    assert at.contacts("alice", 6000.0) == (binding,)


@pytest.mark.parametrize(
    "same",
    ["SIP:alice@192.0.2.5:5060", "sip:alice@192.0.2.5:5060;ob", "sip:alice@192.0.2.5:5060?x=y"],
)
def test_a_contact_written_otherwise_is_the_same_binding(same: str) -> None:
    phone = Phone(Registrar())
    phone.registers(DESK)
    assert uris(phone.registers(same)) == [same]


@pytest.mark.parametrize(
    "other",
    [
        "sip:Alice@192.0.2.5:5060",
        "sip:alice@192.0.2.5:5061",
        "sips:alice@192.0.2.5:5060",
        "sip:alice@192.0.2.5:5060;transport=tcp",
        "sip:192.0.2.5:5060",
    ],
)
def test_a_contact_elsewhere_is_another_binding(other: str) -> None:
    phone = Phone(Registrar())
    phone.registers(DESK)
    assert set(uris(phone.registers(other))) == {DESK, other}


def test_expires_zero_removes_that_contact() -> None:
    phone = Phone(Registrar())
    phone.registers(DESK, MOBILE)
    assert uris(phone.registers(Contact(DESK, expires=0))) == [MOBILE]
    assert phone.registers(MOBILE, expires=0) == ()


def test_a_star_removes_everything() -> None:
    at = Registrar()
    phone = Phone(at)
    phone.registers(DESK, MOBILE)
    assert phone.registers("*", expires=0) == ()
    assert at.contacts("alice", 0.0) == ()


@pytest.mark.parametrize(("contacts", "expires"), [(("*",), None), (("*",), 60), (("*", DESK), 0)])
def test_a_star_beside_anything_else_is_400(contacts: tuple[str, ...], expires: int | None) -> None:
    phone = Phone(Registrar())
    phone.registers(MOBILE)
    assert refused(phone, *contacts, expires=expires).status == 400
    assert uris(phone.registers()) == [MOBILE]


def test_without_contacts_a_register_is_a_question() -> None:
    at = Registrar()
    phone = Phone(at)
    assert phone.registers() == ()
    phone.registers(DESK)
    assert uris(phone.registers()) == [DESK]


def test_an_older_request_of_the_same_call_changes_nothing() -> None:
    at = Registrar()
    phone = Phone(at)
    phone.registers(DESK)
    phone.registers(Contact(DESK, expires=120))
    phone.cseq = 0
    error = refused(phone, "sip:alice@192.0.2.99", Contact(DESK, expires=0))
    assert error.status == 500
    assert uris(at.contacts("alice", 0.0)) == [DESK]


def test_a_star_out_of_order_changes_nothing() -> None:
    at = Registrar()
    phone = Phone(at)
    phone.registers(DESK)
    phone.cseq = 0
    assert refused(phone, "*", expires=0).status == 500
    assert uris(at.contacts("alice", 0.0)) == [DESK]


def test_a_restarted_phone_with_a_new_call_may_count_from_one() -> None:
    at = Registrar()
    phone = Phone(at)
    for _ in range(5):
        phone.registers(DESK)
    assert uris(Phone(at, call_id="c2").registers(DESK)) == [DESK]


def test_an_expired_binding_does_not_hold_its_order() -> None:
    at = Registrar()
    phone = Phone(at)
    phone.cseq = 50
    phone.registers(DESK, expires=60)
    phone.cseq = 0
    assert uris(phone.registers(DESK, now=61.0)) == [DESK]


def test_a_refused_request_is_refused_whole() -> None:
    at = Registrar()
    assert refused(Phone(at), DESK, Contact(MOBILE, expires=5)).status == 423
    assert at.contacts("alice", 0.0) == ()


def test_with_users_others_are_404() -> None:
    assert refused(Phone(Registrar(["alice"]), user="mallory"), DESK).status == 404


def test_with_no_users_anybody_may_register() -> None:
    assert Phone(Registrar(), user="whoever").registers("sip:whoever@192.0.2.5")


def test_users_do_not_see_each_other() -> None:
    at = Registrar()
    Phone(at).registers(DESK)
    assert Phone(at, user="bob").registers() == ()
    assert Phone(at, user="alice\0").registers() == ()


def test_one_more_contact_than_allowed_pushes_out_the_longest_untouched() -> None:
    at = Registrar()
    phone = Phone(at)
    for number in range(MAX_CONTACTS + 1):
        phone.registers(f"sip:alice@192.0.2.{number}")
        phone.registers("sip:alice@192.0.2.0")
    held = uris(at.contacts("alice", 0.0))
    assert len(held) == MAX_CONTACTS
    assert "sip:alice@192.0.2.1" not in held
    assert {"sip:alice@192.0.2.0", f"sip:alice@192.0.2.{MAX_CONTACTS}"} < set(held)


def test_the_number_of_users_is_bounded_and_expired_ones_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registrar, "MAX_USERS", 2)
    at = Registrar()
    Phone(at, "a").registers(DESK, expires=60)
    Phone(at, "b").registers(DESK, expires=600)
    assert refused(Phone(at, "c"), DESK).status == 503
    assert Phone(at, "b").registers(MOBILE)
    assert Phone(at, "c").registers(DESK, now=61.0)


def test_a_lost_flow_takes_its_bindings_with_it() -> None:
    at = Registrar()
    Phone(at, source="gone").registers(DESK)
    Phone(at, source="stays", call_id="c2").registers(MOBILE)
    Phone(at, "bob", source="gone").registers("sip:bob@192.0.2.5")
    at.forget("gone")
    assert uris(at.contacts("alice", 0.0)) == [MOBILE]
    assert at.contacts("bob", 0.0) == ()


def test_what_is_no_uri_is_kept_as_it_came() -> None:
    phone = Phone(Registrar())
    assert uris(phone.registers("tel:+19195551234")) == ["tel:+19195551234"]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from([DESK, MOBILE, "sip:alice@a.b", "*"]),
        st.sampled_from([None, 0, 30, 60, 500]),
        st.integers(0, 400),
    ),
    max_size=20,
)


@given(ACTIONS)
def test_the_answer_always_lists_what_is_held(actions: list[tuple[str, int | None, int]]) -> None:
    at = Registrar()
    phone = Phone(at)
    now = 0.0
    for uri, expires, wait in actions:
        now += wait
        try:
            listed = phone.registers(uri, expires=expires, now=now)
        except RegisterError as error:
            assert error.status in (400, 423)
            continue
        assert listed == at.contacts("alice", now)
        assert all(binding.expires(now) > 0 for binding in listed)
