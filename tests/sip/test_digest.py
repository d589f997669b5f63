"""Digest authentication: published examples, the server against the client, and everything forged."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip import digest
from sip.digest import Authenticator, Challenge, DigestError, Verdict, choose, read_challenges, respond
from tests.support.eventually import PATIENCE

USERS = {"alice": "wonderland", 'o"neil\\': 'p"w\\', "bob": ""}


class Phone:
    """Answers challenges as a phone does, counting the uses of a nonce."""

    def __init__(self, user: str = "alice", password: str = "wonderland") -> None:
        self.user = user
        self.password = password
        self.count = 0

    def answers(self, challenge: str, method: str = "REGISTER", uri: str = "sip:host") -> str:
        self.count += 1
        return respond(
            Challenge.parse(challenge),
            method=method,
            uri=uri,
            user=self.user,
            password=self.password,
            cnonce="c0ffee",
            nc=self.count,
        )


def server(**options: object) -> Authenticator:
    return Authenticator(USERS, **options)  # type: ignore[arg-type]


def without_qop(challenge: str) -> str:
    return str(replace(Challenge.parse(challenge), qop=()))


# The client's side


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616_come_out(algorithm: str, response: str) -> None:
    challenge = Challenge(
        realm="http-auth@example.org",
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        algorithm=algorithm,
        qop=("auth", "auth-int"),
        opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    )
    value = respond(
        challenge,
        method="GET",
        uri="/dir/index.html",
        user="Mufasa",
        password="Circle of Life",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert f'response="{response}"' in value
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in value
    assert "qop=auth, nc=00000001" in value


def test_the_form_without_qop_comes_out() -> None:
    challenge = Challenge(realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093")
    value = respond(
        challenge,
        method="GET",
        uri="/dir/index.html",
        user="Mufasa",
        password="Circle Of Life",
        cnonce="unused",
    )
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in value
    assert "qop" not in value and "cnonce" not in value and "nc=" not in value


def test_names_are_quoted_and_tokens_are_not() -> None:
    challenge = Challenge(realm='a "b"', nonce="n\\", qop=("auth",))
    value = respond(challenge, method="INVITE", uri="sip:x", user='o"n', password="p", cnonce="c", nc=26)
    assert r'username="o\"n"' in value
    assert r'realm="a \"b\""' in value
    assert r'nonce="n\\"' in value
    assert "algorithm=MD5" in value and "nc=0000001a" in value


def test_a_line_break_cannot_be_smuggled_into_a_header() -> None:
    with pytest.raises(ValueError, match="control character"):
        respond(
            Challenge("r", "n"), method="INVITE", uri="sip:x", user="a\r\nEvil: 1", password="p", cnonce="c"
        )


def test_the_strongest_answerable_challenge_is_chosen() -> None:
    found = read_challenges(
        [
            'Basic realm="x"',
            'Digest realm="r", nonce="1", algorithm=SHA-512-256, qop="auth"',
            'Digest realm="r", nonce="2", qop="auth"',
            'Digest realm="r", nonce="3", algorithm=sha-256, qop="auth-int,auth"',
            'Digest realm="r", nonce="4", algorithm=SHA-256, qop="auth-int"',
            "Digest nonsense",
        ]
    )
    assert len(found) == 4
    chosen = choose(found)
    assert chosen is not None and chosen.nonce == "3"


def test_a_challenge_that_cannot_be_answered_is_not_chosen() -> None:
    assert choose(read_challenges(['Digest realm="r", nonce="1", algorithm=MD5-sess'])) is None
    with pytest.raises(ValueError, match="no answer"):
        respond(Challenge("r", "n", "X"), method="A", uri="u", user="u", password="p", cnonce="c")


@given(
    st.builds(
        Challenge,
        realm=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20),
        nonce=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
        algorithm=st.sampled_from(["MD5", "SHA-256"]),
        opaque=st.none() | st.just('x"\\'),
        qop=st.sampled_from([(), ("auth",), ("auth", "auth-int")]),
        stale=st.booleans(),
    )
)
def test_a_printed_challenge_reads_back_the_same(challenge: Challenge) -> None:
    assert Challenge.parse(str(challenge)) == challenge


# The server's side


@pytest.mark.parametrize("user", ["alice", 'o"neil\\', "bob"])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_the_right_password_proves_the_user(algorithm: str, user: str) -> None:
    guard = server(algorithms=(algorithm,))
    (challenge,) = guard.challenges(100.0)
    value = Phone(user, USERS[user]).answers(challenge)
    assert guard.verify([value], method="REGISTER", now=100.5) == Verdict(user)


def test_a_phone_from_before_qop_proves_its_user() -> None:
    guard = server()
    value = Phone().answers(without_qop(guard.challenges(0.0)[0]))
    assert guard.verify([value], method="REGISTER", now=0.1) == Verdict("alice")


def test_what_pyvoip_writes_is_understood() -> None:
    guard = server()
    nonce = Challenge.parse(guard.challenges(0.0)[0]).nonce
    uri = "sip:127.0.0.1;transport=UDP"
    response = re.search(
        'response="([0-9a-f]+)"',
        respond(Challenge("mixminus", nonce), method="REGISTER", uri=uri, user="alice", password="wonderland",
                cnonce=""),
    )  # fmt: skip
    assert response is not None
    value = (
        f'Digest username="alice",realm="mixminus",nonce="{nonce}",'
        f'uri="{uri}",response="{response[1]}",algorithm=MD5'
    )
    assert guard.verify([value], method="REGISTER", now=1.0) == Verdict("alice")


def test_an_unknown_user_and_a_wrong_password_get_the_same_verdict() -> None:
    guard = server()
    challenge = guard.challenges(0.0)[0]
    wrong = guard.verify([Phone(password="x").answers(challenge)], method="REGISTER", now=0.0)
    unknown = guard.verify([Phone(user="mallory").answers(challenge)], method="REGISTER", now=0.0)
    assert wrong == unknown == Verdict(None)


def test_an_unknown_user_costs_as_many_hashes_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    honest = digest.ALGORITHMS["MD5"]

    def counting(data: bytes) -> str:
        sizes.append(len(data))
        return honest(data)

    guard = server()
    challenge = guard.challenges(0.0)[0]
    answers = [Phone(password="x").answers(challenge), Phone(user="mallory").answers(challenge)]
    monkeypatch.setitem(digest.ALGORITHMS, "MD5", counting)  # type: ignore[arg-type]
    hashed = []
    for value in answers:
        sizes.clear()
        guard.verify([value], method="REGISTER", now=0.0)
        hashed.append(len(sizes))
    assert hashed == [3, 3]


def test_credentials_are_good_for_their_method_only() -> None:
    guard = server()
    value = Phone().answers(guard.challenges(0.0)[0], method="REGISTER")
    assert guard.verify([value], method="INVITE", now=0.0) == Verdict(None)


def test_a_replay_is_stale() -> None:
    guard = server()
    value = Phone().answers(guard.challenges(0.0)[0])
    assert guard.verify([value], method="REGISTER", now=1.0).user == "alice"
    assert guard.verify([value], method="REGISTER", now=1.0) == Verdict(None, stale=True)


def test_a_replay_without_qop_is_stale() -> None:
    guard = server()
    value = Phone().answers(without_qop(guard.challenges(0.0)[0]))
    assert guard.verify([value], method="REGISTER", now=1.0).user == "alice"
    assert guard.verify([value], method="REGISTER", now=1.0) == Verdict(None, stale=True)


def test_a_nonce_may_be_used_again_with_a_higher_count_and_no_other() -> None:
    guard = server()
    challenge = guard.challenges(0.0)[0]
    phone = Phone()
    values = [phone.answers(challenge) for _ in range(4)]
    assert guard.verify([values[0]], method="REGISTER", now=1.0).user == "alice"
    assert guard.verify([values[2]], method="REGISTER", now=2.0).user == "alice"
    assert guard.verify([values[1]], method="REGISTER", now=3.0).stale
    assert guard.verify([values[3]], method="REGISTER", now=4.0).user == "alice"


def test_a_wrong_password_does_not_use_up_a_nonce() -> None:
    guard = server()
    challenge = guard.challenges(0.0)[0]
    assert guard.verify([Phone(password="x").answers(challenge)], method="REGISTER", now=0.0).user is None
    assert guard.verify([Phone().answers(challenge)], method="REGISTER", now=0.0).user == "alice"


def test_an_old_nonce_is_stale_and_a_new_one_is_taken() -> None:
    guard = server(lifetime=60.0)
    value = Phone().answers(guard.challenges(0.0)[0])
    assert guard.verify([value], method="REGISTER", now=61.0) == Verdict(None, stale=True)
    (again,) = guard.challenges(61.0, stale=True)
    assert "stale=true" in again
    assert guard.verify([Phone().answers(again)], method="REGISTER", now=61.0).user == "alice"


@pytest.mark.parametrize("nonce", ["", "x", "0.0.0", "1.2", "ffff." + "0" * 16 + "." + "0" * 32, "é.\ud800"])
def test_a_nonce_of_another_maker_is_stale(nonce: str) -> None:
    value = Phone().answers(str(Challenge("mixminus", nonce, qop=("auth",))))
    assert server().verify([value], method="REGISTER", now=0.0) == Verdict(None, stale=True)


def test_a_nonce_from_before_a_restart_is_stale() -> None:
    value = Phone().answers(server().challenges(0.0)[0])
    assert server().verify([value], method="REGISTER", now=0.0).stale


def test_a_nonce_from_the_future_is_stale() -> None:
    guard = server()
    value = Phone().answers(guard.challenges(50.0)[0])
    assert guard.verify([value], method="REGISTER", now=10.0).stale


def test_nonces_differ_at_one_moment() -> None:
    guard = server()
    assert len({guard.challenges(5.0)[0] for _ in range(100)}) == 100


def test_memory_of_used_nonces_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "MAX_NONCES_IN_USE", 5)
    guard = server()
    first = guard.challenges(0.0)[0]
    phone = Phone()
    assert guard.verify([phone.answers(first)], method="REGISTER", now=0.0).user == "alice"
    replayed = phone.answers(first)
    assert guard.verify([replayed], method="REGISTER", now=0.0).user == "alice"
    for moment in range(1, 10):
        value = Phone().answers(guard.challenges(float(moment))[0])
        assert guard.verify([value], method="REGISTER", now=float(moment)).user == "alice"
        assert len(guard._counts) <= 5
    assert guard.verify([replayed], method="REGISTER", now=10.0).stale


def test_each_algorithm_has_its_challenge_in_the_order_given() -> None:
    found = [
        Challenge.parse(text).algorithm for text in server(algorithms=("MD5", "SHA-256")).challenges(0.0)
    ]
    assert found == ["MD5", "SHA-256"]
    with pytest.raises(ValueError, match="unknown digest algorithm 'MD4'"):
        server(algorithms=("MD4",))


def test_an_algorithm_that_was_not_offered_proves_nothing() -> None:
    guard = server(algorithms=("SHA-256",))
    nonce = Challenge.parse(guard.challenges(0.0)[0]).nonce
    value = Phone().answers(str(Challenge("mixminus", nonce, "MD5", qop=("auth",))))
    assert guard.verify([value], method="REGISTER", now=0.0) == Verdict(None)


def test_credentials_for_another_realm_are_passed_over() -> None:
    guard = server()
    other = Phone().answers('Digest realm="elsewhere", nonce="x", qop="auth"')
    own = Phone().answers(guard.challenges(0.0)[0])
    assert guard.verify([other], method="REGISTER", now=0.0) == Verdict(None)
    assert guard.verify([other, own], method="REGISTER", now=0.0) == Verdict("alice")


def test_no_credentials_prove_nothing() -> None:
    assert server().verify([], method="REGISTER", now=0.0) == Verdict(None)


@pytest.mark.parametrize("name", ["username", "nonce", "uri", "response", "cnonce", "nc"])
def test_credentials_with_a_part_missing_prove_nothing(name: str) -> None:
    guard = server()
    value = Phone().answers(guard.challenges(0.0)[0])
    cut = re.sub(rf'{name}=("[^"]*"|[^,]*)', f'x-{name}="y"', value)
    assert cut != value
    assert guard.verify([cut], method="REGISTER", now=0.0) == Verdict(None)


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        ("nc=00000001", "nc=zz"),
        ("nc=00000001", "nc=-1"),
        ("nc=00000001", "nc=" + "1" * 40),
        ("nc=00000001", "nc=00000002"),
        ("qop=auth", "qop=auth-int"),
        ('cnonce="c0ffee"', 'cnonce="other"'),
        ('uri="sip:host"', 'uri="sip:other"'),
        ('username="alice"', 'username="bob"'),
        ('response="', 'response="0'),
        ("algorithm=MD5", "algorithm=MD5-sess"),
    ],
)
def test_a_changed_part_proves_nothing(pattern: str, replacement: str) -> None:
    guard = server()
    value = Phone().answers(guard.challenges(0.0)[0])
    assert pattern in value
    assert guard.verify([value.replace(pattern, replacement)], method="REGISTER", now=0.0) == Verdict(None)


def test_spelling_does_not_matter() -> None:
    guard = server()
    value = Phone().answers(guard.challenges(0.0)[0])
    shouted = re.sub('response="([0-9a-f]+)"', lambda m: f'RESPONSE = "{m[1].upper()}"', value)
    shouted = (
        shouted.replace("Digest ", "DIGEST   ").replace("qop=auth", 'qop="auth" ').replace("MD5", '"md5"')
    )
    assert guard.verify([shouted], method="REGISTER", now=0.0) == Verdict("alice")


def test_credentials_with_a_part_given_twice_prove_nothing() -> None:
    guard = server()
    value = Phone().answers(guard.challenges(0.0)[0])
    assert guard.verify([f'{value}, username="bob"'], method="REGISTER", now=0.0) == Verdict(None)


# What comes from strangers

PIECES = st.lists(
    st.sampled_from(
        [
            "Digest ",
            'realm="mixminus"',
            'nonce="x"',
            'username="',
            "qop=auth",
            "nc=1",
            ",",
            '"',
            "\\",
            "=",
            "\x00",
            "é",
        ]
    )
    | st.text(max_size=5),
    max_size=12,
).map("".join)


@given(PIECES)
def test_whatever_comes_is_judged(value: str) -> None:
    assert server().verify([value], method="REGISTER", now=0.0).user is None
    assert isinstance(read_challenges([value]), list)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Digest",
        "Basic abc",
        'Digest realm="r"',
        'Digest nonce="n"',
        'Digest realm="r" nonce="n"',
        'Digest realm="r, nonce=n',
        'Digest realm="r\x00", nonce="n"',
        'Digest realm="r", nonce="n", realm="s"',
        "Digest " + ", ".join(f"a{i}=b" for i in range(40)),
        'Digest realm="' + "r" * 5000 + '", nonce="n"',
    ],
)
def test_what_is_no_challenge_is_an_error(value: str) -> None:
    with pytest.raises(DigestError):
        Challenge.parse(value)


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("unit", [",", '"', "a", "a ", "\\", "=", " ", "a=b,", 'a="', "\t"])
def test_a_value_is_read_in_linear_time(monkeypatch: pytest.MonkeyPatch, unit: str) -> None:
    """One that is far longer than it may be, which takes minutes in quadratic time."""
    monkeypatch.setattr(digest, "MAX_HEADER", 10_000_000)
    for text in (unit, f'Digest a="{unit}', f"Digest a={unit}"):
        assert read_challenges([text + unit * 1_000_000]) == []


def test_no_secret_is_in_a_repr() -> None:
    guard = server(key=b"signing-key-of-nonces")
    assert "wonderland" not in repr(guard)
    assert "signing" not in repr(guard)


@pytest.mark.parametrize(
    ("agent", "algorithms"),
    [
        ("baresip v1.0.0 (x86_64/linux)", ["MD5"]),
        ("baresip v3.10.0 (x86_64/Linux)", ["MD5", "SHA-256"]),
        ("Linphonec/5.1.65", ["MD5", "SHA-256"]),
        ("", ["MD5", "SHA-256"]),
    ],
)
def test_who_stops_at_an_algorithm_that_he_does_not_know_is_offered_md5_alone(
    agent: str, algorithms: list[str]
) -> None:
    guard = Authenticator({"alice": "secret"}, realm="r", algorithms=("MD5", "SHA-256"))
    offered = [Challenge.parse(value).algorithm for value in guard.challenges(0.0, agent=agent)]
    assert offered == algorithms
    only = Authenticator({"alice": "secret"}, realm="r", algorithms=("SHA-256",))
    assert len(only.challenges(0.0, agent=agent)) == 1
