import base64
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelmux.telemetry.redact import MASK, MIN_SECRET_CHARS, Redactor, printable

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJtZSJ9Cg.c2lnbmF0dXJl"

secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=MIN_SECRET_CHARS, max_size=20)


@given(secrets, st.text(max_size=20), st.text(max_size=20), st.lists(secrets, max_size=3))
@example("****", "*", "*", [])
@example("a***b", "", "", ["xxxx", "aaxxxxb"])
@example("abcd", "", "", ["a***", "bcda***bcd"])
@example("sk-0123456789abcdef!tail", "", "", [])
def test_a_registered_secret_never_comes_out(
    secret: str, before: str, after: str, others: list[str]
):
    redactor = Redactor([secret, *others])
    assert secret not in redactor.text(before + secret + after)


@given(secrets, st.text(max_size=10), st.text(max_size=10))
def test_a_registered_secret_does_not_come_out_written_another_way(
    secret: str, before: str, after: str
):
    redactor = Redactor([secret])
    raw = secret.encode()
    for form in (
        msgspec.json.encode(secret).decode()[1:-1],
        repr(secret)[1:-1],
        printable(secret),
        quote(raw, safe=""),
        quote_plus(raw),
    ):
        assert form not in redactor.text(before + form + after)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=20),
    st.binary(max_size=5),
    st.binary(max_size=5),
)
def test_a_registered_secret_does_not_come_out_in_base64(secret: str, before: bytes, after: bytes):
    redactor = Redactor([secret])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        masked = redactor.text(encode(before + secret.encode() + after).decode())
        assert MASK in masked
        # What is left on both sides are bits of the neighbours and of at most two bytes of it.
        left, _, right = masked.partition(MASK)
        assert len(left) <= len(before) * 8 // 6 + 3
        assert len(right) <= len(after) * 8 // 6 + 6


def test_the_longer_of_two_secrets_is_masked_whole():
    assert Redactor(["abcd", "abcdefgh"]).text("x abcdefgh y") == "x *** y"


def test_text_without_secrets_is_left_alone():
    text = "task-123 is a risk-averse disk-image; basic facts: a=b&c=d, q?x=1"
    assert Redactor(["hunter2!"]).text(text) is text


def test_a_value_too_short_to_be_a_secret_is_not_looked_for():
    redactor = Redactor(["abc", ""])
    assert redactor.text("abc") == "abc"
    assert redactor.generation == 0


def test_more_may_be_registered_later_and_nothing_is_forgotten():
    redactor = Redactor(["first-secret"])
    before = redactor.generation
    redactor.register(["second-secret"])
    assert redactor.text("first-secret second-secret") == "*** ***"
    assert redactor.generation != before


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("key sk-proj-abcdefghijklmnop, and", "key ***, and"),
        ("sk-ant-api03-abcdefghijklmnop_-x", "***"),
        ("Incorrect API key: 'sk-abcdefghijklmnopqrst'.", "Incorrect API key: '***'."),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "***"),
        ("token ya29.a0AfH6SMBx1234567890", "token ***"),
        ("AKIAIOSFODNN7EXAMPLE is", "*** is"),
        ("gsk_abcdefghijklmnop xai-abcdefghijklmnop", "*** ***"),
        ("ghp_abcdefghijklmnop1234", "***"),
        ("Authorization: Bearer abcdefgh.ijkl", "Authorization: Bearer ***"),
        ("authorization: basic dXNlcjpwYXNzd29yZA==", "authorization: basic ***"),
        (f"got {JWT} from", "got *** from"),
        (f"a {PEM} b", "a *** b"),
        ("cut -----BEGIN PRIVATE KEY-----\nMIIEow", "cut ***"),
        ('{"k":"-----BEGIN PRIVATE KEY-----\\nMIIE","x":1}', '{"k":"***","x":1}'),
        ("GET /v1/models?key=abc&alt=sse", "GET /v1/models?key=***&alt=sse"),
        ("https://h/?a=1&API_KEY=abc#x", "https://h/?a=1&API_KEY=***#x"),
        ("s3?X-Amz-Signature=abc&x=1", "s3?X-Amz-Signature=***&x=1"),
    ],
)
def test_a_secret_is_known_by_its_looks(text: str, masked: str):
    assert Redactor().text(text) == masked


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer abc", "Bearer ***"),
        ("authorization", "abc", "***"),
        ("Proxy-Authorization", "Basic abc", "Basic ***"),
        ("x-api-key", "abc", "***"),
        ("api-key", "abc", "***"),
        ("x-goog-api-key", "abc", "***"),
        ("Cookie", "a=b", "***"),
        ("set-cookie", "a=b", "***"),
        ("x-amz-security-token", "abc", "***"),
        ("ocp-apim-subscription-key", "abc", "***"),
        ("idempotency-key", "abc", "abc"),
        ("content-type", "application/json", "application/json"),
        ("x-ratelimit-remaining-tokens", "5", "5"),
        ("x-echo", "Bearer abcdefghi", "Bearer ***"),
    ],
)
def test_a_header_that_carries_secrets_is_masked(name: str, value: str, shown: str):
    assert Redactor().header(name, value) == shown


@given(st.sampled_from(["hunter2!", 'a"b\\c', "line\nline", "pass word", "żółć-secret"]))
def test_the_quick_question_finds_what_stands_in_a_line(secret: str):
    redactor = Redactor([secret])
    assert redactor.holds_registered(f"x {secret} y")
    assert redactor.holds_registered(msgspec.json.encode({"k": secret}).decode())
    assert redactor.holds_registered(printable(f"x {secret} y"))
    assert not redactor.holds_registered("x y z")


def test_half_of_a_surrogate_pair_is_no_reason_to_fail():
    assert Redactor(["secret\ud800"]).text("a secret\ud800 b") == "a *** b"


@pytest.mark.parametrize(
    "text",
    ["eyJ" * 20_000, "sk-" * 20_000, "-----BEGIN PRIVATE KEY-----" * 2000, "?key" * 20_000],
)
def test_hostile_text_takes_no_longer_than_other_text(text: str):
    Redactor().text(text)  # the timeout of the test run is the assertion


@given(st.text())
def test_printable_text_is_one_line_that_no_terminal_obeys(text: str):
    assert printable(text).isprintable()
    assert len(printable(text).splitlines()) <= 1


def test_text_that_can_be_printed_is_left_alone():
    text = "größer → 100 %"
    assert printable(text) is text
    assert printable("a\nb\x1b[31m\u2028") == "a\\nb\\x1b[31m\\u2028"


def test_what_is_forgotten_is_masked_no_more_unless_others_have_it_too():
    redactor = Redactor(["first-secret", "second-secret"])
    generation = redactor.generation
    redactor.forget(["first-secret"])
    assert redactor.generation > generation
    assert redactor.text("first-secret second-secret") == "first-secret ***"
    assert not redactor.holds_registered("first-secret")
    redactor.forget(["second-secret", "unknown"])
    assert redactor.text("second-secret") == "second-secret"
    redactor.register(["second-secret"])
    assert redactor.text("second-secret") == "***"
