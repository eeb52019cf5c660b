from hashlib import sha256
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modelmux.errors import Unauthenticated
from modelmux.ingress.auth import CREDENTIALS, Keyring
from modelmux.ingress.http import HttpRequest
from modelmux.target.call import ANONYMOUS, Caller

TEAM = Caller("team", ("gpt-*",))
OTHER = Caller("other")

Fields = tuple[tuple[bytes, bytes], ...]


def keyring(**callers: Caller) -> Keyring:
    secrets = callers or {"right": TEAM, "second": OTHER}
    return Keyring({sha256(secret.encode()).digest(): caller for secret, caller in secrets.items()})


def request(*fields: tuple[bytes, bytes], query: bytes = b"") -> HttpRequest:
    return HttpRequest("POST", "/", query, fields, b"", 0.0)


def refusal(*fields: tuple[bytes, bytes], query: bytes = b"") -> str:
    with pytest.raises(Unauthenticated) as caught:
        keyring().identify(request(*fields, query=query))
    assert caught.value.status == 401
    return caught.value.message


def test_without_keys_everybody_is_nobody():
    assert Keyring({}).identify(request((b"x-api-key", b"whatever"))) is ANONYMOUS
    assert Keyring({}).identify(request()) is ANONYMOUS


@pytest.mark.parametrize(
    "field",
    [
        (b"authorization", b"Bearer right"),
        (b"authorization", b"bearer right"),
        (b"authorization", b"BEARER   right "),
        (b"x-api-key", b"right"),
        (b"x-api-key", b" right\t"),
        (b"x-goog-api-key", b"right"),
    ],
)
def test_a_key_is_known_in_every_form(field: tuple[bytes, bytes]):
    assert keyring().identify(request(field)) is TEAM


@pytest.mark.parametrize(
    "query", [b"key=right", b"alt=sse&key=right", b"key=%72ight", b"&key=right&"]
)
def test_a_key_is_known_in_the_query(query: bytes):
    assert keyring().identify(request(query=query)) is TEAM


@pytest.mark.parametrize(
    "fields",
    [
        ((b"authorization", b"Bearer wrong"), (b"x-api-key", b"right")),
        ((b"authorization", b"Bearer right"), (b"x-api-key", b"wrong")),
        ((b"x-api-key", b"wrong"), (b"x-goog-api-key", b"right")),
        ((b"authorization", b"Basic cmlnaHQ="), (b"x-api-key", b"right")),
    ],
)
def test_a_right_key_beside_a_wrong_one_is_enough(fields: Fields):
    """A client may be made to send a provider's key in one field, and ours in another."""
    assert keyring().identify(request(*fields)) is TEAM


def test_each_key_is_its_own_callers():
    assert keyring().identify(request((b"x-api-key", b"second"))) is OTHER


@pytest.mark.parametrize(
    "field",
    [
        (b"authorization", b"Bearer wrong"),
        (b"authorization", b"Bearer Right"),
        (b"authorization", b"Bearer right right"),
        (b"authorization", b"Bearer right, Bearer right"),
        (b"x-api-key", b"Bearer right"),
        (b"x-api-key", b"r1ght"),
        (b"x-api-key", b"right\x00"),
    ],
)
def test_a_key_that_is_not_quite_right_is_unknown(field: tuple[bytes, bytes]):
    said = refusal(field)
    assert "does not know the key" in said
    assert "right" not in said.lower()


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ((b"authorization", b""),),
        ((b"authorization", b"Bearer"),),
        ((b"authorization", b"Bearer  "),),
        ((b"authorization", b"right"),),
        ((b"authorization", b"Basic right"),),
        ((b"x-api-key", b""), (b"x-goog-api-key", b"  ")),
        ((b"cookie", b"key=right"),),
    ],
)
def test_without_a_key_the_caller_is_told_where_it_goes(fields: Fields):
    assert "authorization: Bearer" in refusal(*fields)


@pytest.mark.parametrize("query", [b"", b"key=", b"monkey=right", b"key", b"KEY=right"])
def test_a_query_without_a_key_is_none(query: bytes):
    assert "got none" in refusal(query=query)


@given(st.sampled_from(CREDENTIALS), st.binary(max_size=30), st.binary(max_size=30))
def test_no_bytes_do_more_than_be_refused(name: str, value: bytes, query: bytes):
    for scheme in (b"", b"Bearer "):
        refusal((name.encode(), scheme + value), query=b"key=" + query)


@given(st.text(min_size=1).filter(lambda text: text == text.strip(" \t")))
def test_a_secret_in_any_script_is_known_by_its_bytes(secret: str):
    known = keyring(**{secret: TEAM})
    assert known.identify(request((b"authorization", b"Bearer " + secret.encode()))) is TEAM
    assert known.identify(request((b"x-api-key", secret.encode()))) is TEAM
    assert known.identify(request(query=b"key=" + quote(secret).encode())) is TEAM


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_other_secret_is_taken(secret: str, other: str):
    assume(secret.strip(" \t") != other.strip(" \t"))
    with pytest.raises(Unauthenticated):
        keyring(**{secret: TEAM}).identify(request((b"x-api-key", other.encode())))


# What may travel on


def test_without_keys_all_credentials_are_for_somebody_else():
    fields = ((b"authorization", b"Bearer a"), (b"x-api-key", b"b"), (b"accept", b"*/*"))
    assert Keyring({}).not_ours(request(*fields)) == {"authorization": "Bearer a", "x-api-key": "b"}


@pytest.mark.parametrize(
    ("fields", "query", "left"),
    [
        (((b"authorization", b"Bearer right"),), b"", set()),
        (((b"x-api-key", b"right"), (b"authorization", b"Bearer right")), b"", set()),
        (((b"x-api-key", b"second"), (b"authorization", b"Bearer right")), b"", set()),
        (((b"x-api-key", b"theirs"), (b"authorization", b"bearer right")), b"", {"x-api-key"}),
        (((b"x-api-key", b"right"), (b"authorization", b"Basic xyz")), b"", {"authorization"}),
        (((b"x-api-key", b"theirs"),), b"key=right", {"x-api-key"}),
        (
            (
                (b"x-api-key", b"right"),
                (b"authorization", b"Bearer theirs"),
                (b"authorization", b"Bearer second"),
            ),
            b"",
            set(),
        ),
        (((b"x-api-key", b"right"),), b"key=right", set()),
    ],
)
def test_a_key_of_ours_is_never_for_somebody_else(fields: Fields, query: bytes, left: set[str]):
    asked = request(*fields, query=query)
    keyring().identify(asked)
    assert set(keyring().not_ours(asked)) == left
