import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux import errors
from modelmux.provider.auth.static import NoCredential, StaticCredential
from modelmux.provider.keys import (
    FIRST_BENCH_S,
    FIRST_REST_S,
    MAX_BENCH_S,
    MAX_REST_S,
    MAX_SCOPES,
    MAX_TOLD_REST_S,
    Key,
    KeyRing,
)


def ring(count: int = 1, policy: str = "sticky") -> KeyRing:
    credentials = [StaticCredential("bearer", f"sk-secret-{n}") for n in range(1, count + 1)]
    return KeyRing("openai", credentials, policy=policy)


def limited(after_s: float | None = None) -> errors.TargetError:
    return errors.RateLimited("slow down", status=429, retry_after_s=after_s)


def refused(status: int | None = 401) -> errors.TargetError:
    return errors.CredentialRefused("no", status=status)


def pick(keys: KeyRing, now: float, scope: str = "") -> Key:
    """The key that the next call would use, were there no limits."""
    for key in keys.in_turn():
        if not key.has_trouble or key.ready_at(scope) <= now:
            keys.use(key)
            return key
    raise keys.exhausted(now, scope)


def fail(keys: KeyRing, error: errors.TargetError, now: float, scope: str = "") -> bool:
    """One call that fails with the key it gets."""
    key = pick(keys, now, scope)
    return keys.failed(key, error, now, scope, block=key.credential.block() or b"")


class Renewable:
    """A credential whose tokens are counted."""

    def __init__(self, *, repeats: bool = False) -> None:
        self.number = 1
        self.repeats = repeats
        self.is_expired = False

    def block(self) -> bytes | None:
        return None if self.is_expired else b"authorization: Bearer %d\r\n" % self.number

    @property
    def identity(self) -> object:
        return self

    async def refresh(self) -> bytes:
        if self.is_expired and not self.repeats:
            self.number += 1
        self.is_expired = False
        return self.block() or b""

    def expire(self, block: bytes) -> bool:
        if block == self.block():
            self.is_expired = True
        return True

    async def aclose(self) -> None: ...


def test_keys_are_called_by_number_and_never_by_what_they_are():
    keys = ring(2)
    assert [key.name for key in keys.keys] == ["openai#1", "openai#2"]
    for text in (repr(keys), repr(keys.keys[0]), repr(keys.keys[0].credential), repr(vars)):
        assert "secret" not in text


def test_a_ring_needs_a_key():
    with pytest.raises(ValueError, match="at least one"):
        KeyRing("x", [])


def test_a_sticky_ring_stays_with_its_key_until_that_must_rest():
    keys = ring(3)
    assert [pick(keys, 0).name for _ in range(3)] == ["openai#1"] * 3
    assert fail(keys, limited(10), 0)
    assert [pick(keys, 1).name for _ in range(3)] == ["openai#2"] * 3


def test_a_sticky_ring_does_not_come_back_as_soon_as_it_could():
    keys = ring(2)
    fail(keys, limited(10), 0)
    assert pick(keys, 5).name == "openai#2"
    assert pick(keys, 50).name == "openai#2"


def test_round_robin_takes_each_in_turn_and_leaves_out_who_rests():
    keys = ring(3, "round_robin")
    assert [pick(keys, 0).name[-1] for _ in range(4)] == ["1", "2", "3", "1"]
    keys.failed(keys.keys[1], limited(10), 0, block=b"")
    assert [pick(keys, 1).name[-1] for _ in range(4)] == ["3", "1", "3", "1"]
    assert {pick(keys, 11).name[-1] for _ in range(3)} == {"1", "2", "3"}


# 429: rest.


def test_a_key_rests_for_as_long_as_it_was_told():
    keys = ring()
    assert not fail(keys, limited(20), 100)
    with pytest.raises(errors.RateLimited) as caught:
        pick(keys, 119.5)
    assert caught.value.retry_after_s == pytest.approx(0.5)
    assert pick(keys, 120).name == "openai#1"


def test_a_key_told_nothing_rests_longer_each_time_in_a_row():
    keys = ring()
    now, rests = 0.0, []
    for _ in range(8):
        fail(keys, limited(), now)
        with pytest.raises(errors.RateLimited) as caught:
            pick(keys, now)
        rests.append(caught.value.retry_after_s)
        now += caught.value.retry_after_s
    assert rests == [FIRST_REST_S * 2**n for n in range(5)] + [MAX_REST_S] * 3


def test_success_makes_the_next_rest_short_again():
    keys = ring()
    for now in (0, 10, 30):
        fail(keys, limited(), now)
    key = pick(keys, 100)
    keys.succeeded(key, 100)
    assert not key.has_trouble
    fail(keys, limited(), 100)
    assert pick(keys, 100 + FIRST_REST_S) is key


def test_many_calls_that_meet_one_limit_together_are_one_rest():
    keys = ring()
    key = pick(keys, 0)
    for _ in range(32):
        keys.failed(key, limited(), 0, block=b"")
    assert pick(keys, FIRST_REST_S) is key


def test_a_late_success_does_not_end_a_rest():
    keys = ring()
    key = pick(keys, 0)
    keys.failed(key, limited(20), 0, block=b"")
    keys.succeeded(key, 1)
    with pytest.raises(errors.RateLimited):
        pick(keys, 2)


def test_nobody_is_believed_who_says_to_come_back_in_years():
    keys = ring()
    fail(keys, limited(10_000_000), 0)
    assert pick(keys, MAX_TOLD_REST_S).name == "openai#1"


def test_a_key_rests_only_for_the_model_that_ran_out():
    keys = ring()
    fail(keys, limited(20), 0, "gpt-a")
    assert pick(keys, 1, "gpt-b").name == "openai#1"
    with pytest.raises(errors.RateLimited, match="'gpt-a'"):
        pick(keys, 1, "gpt-a")
    assert keys.usable(1) == 1


def test_a_key_that_rests_as_a_whole_rests_for_every_model():
    keys = ring()
    fail(keys, limited(20), 0)
    with pytest.raises(errors.RateLimited):
        pick(keys, 1, "gpt-b")


def test_models_that_wait_are_bounded():
    keys = ring()
    key = pick(keys, 0)
    for number in range(MAX_SCOPES):
        keys.failed(key, limited(20), 0, f"m{number}", block=b"")
    assert pick(keys, 1, "other") is key
    keys.failed(key, limited(20), 1, "other", block=b"")
    with pytest.raises(errors.RateLimited):
        pick(keys, 2, "yet another")
    assert len(key._rests) <= MAX_SCOPES + 1
    assert pick(keys, 30, "yet another") is key


def test_other_failures_say_nothing_about_the_key():
    keys = ring()
    for error in (errors.Overloaded("x", status=503), errors.Unreachable("x"), errors.Rejected("")):
        assert not fail(keys, error, 0)
        assert pick(keys, 0).name == "openai#1"


# 401, 402, 403: the bench.


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_a_refused_key_is_benched_and_the_next_one_used(status):
    keys = ring(2)
    assert fail(keys, refused(status), 0)
    assert pick(keys, 1).name == "openai#2"
    assert keys.usable(1) == 1
    assert keys.usable(FIRST_BENCH_S) == 2


def test_a_benched_key_comes_back_and_is_benched_for_longer_if_refused_again():
    keys = ring()
    now, benches = 0.0, []
    for _ in range(5):
        fail(keys, refused(), now)
        with pytest.raises(errors.CredentialRefused) as caught:
            pick(keys, now)
        benches.append(caught.value.retry_after_s)
        now += caught.value.retry_after_s
    assert benches[:3] == [FIRST_BENCH_S, FIRST_BENCH_S * 2, FIRST_BENCH_S * 4]
    assert max(benches) == MAX_BENCH_S


def test_the_only_key_is_not_benched_for_what_may_be_about_one_model():
    keys = ring()
    assert not fail(keys, refused(403), 0)
    assert pick(keys, 0).name == "openai#1"


def test_of_two_keys_the_last_is_kept_as_well():
    keys = ring(2)
    assert fail(keys, refused(403), 0)
    assert not fail(keys, refused(403), 1)
    assert pick(keys, 2).name == "openai#2"


def test_who_has_no_key_left_is_told_how_many_there_were_and_what_to_do():
    keys = ring(2)
    fail(keys, refused(), 0)
    assert not fail(keys, refused(), 60)
    with pytest.raises(errors.CredentialRefused) as caught:
        pick(keys, 100)
    message = caught.value.message
    assert "all 2 keys" in message
    assert "replace" in message
    assert f"{FIRST_BENCH_S - 100:.0f} s" in message
    assert "secret" not in message


def test_while_one_only_rests_the_answer_is_when_to_come_back():
    keys = ring(3)
    fail(keys, refused(), 0)
    fail(keys, limited(30), 0)
    fail(keys, limited(20), 0)
    with pytest.raises(errors.RateLimited) as caught:
        pick(keys, 5)
    assert caught.value.retry_after_s == pytest.approx(15)
    assert "2 over a rate limit, 1 refused" in caught.value.message


# Credentials that can be got anew.


def test_a_refused_token_is_got_anew_before_its_key_is_benched():
    credential = Renewable()
    keys = KeyRing("vertex", [credential])
    key = pick(keys, 0)
    old = credential.block()
    assert keys.failed(key, refused(), 0, block=old)
    assert credential.block() is None
    new = asyncio.run(credential.refresh())
    assert pick(keys, 0) is key
    assert not keys.failed(key, refused(), 1, block=new)
    with pytest.raises(errors.CredentialRefused):
        pick(keys, 2)


def test_calls_that_were_under_way_with_the_old_token_bench_nobody():
    credential = Renewable()
    keys = KeyRing("vertex", [credential])
    key = pick(keys, 0)
    old = credential.block()
    assert keys.failed(key, refused(), 0, block=old)
    assert keys.failed(key, refused(), 0, block=old)
    new = asyncio.run(credential.refresh())
    assert keys.failed(key, refused(), 1, block=old)
    assert credential.block() == new
    assert pick(keys, 1) is key


def test_an_issuer_that_repeats_the_refused_token_is_not_asked_for_ever():
    credential = Renewable(repeats=True)
    keys = KeyRing("vertex", [credential])
    key = pick(keys, 0)
    assert keys.failed(key, refused(), 0, block=credential.block())
    again = asyncio.run(credential.refresh())
    assert not keys.failed(key, refused(), 0, block=again)


def test_after_a_success_a_refused_token_may_be_got_anew_again():
    credential = Renewable()
    keys = KeyRing("vertex", [credential])
    key = pick(keys, 0)
    assert keys.failed(key, refused(), 0, block=credential.block())
    asyncio.run(credential.refresh())
    keys.succeeded(key, 1)
    assert keys.failed(key, refused(), 2, block=credential.block())


def test_an_issuer_that_refuses_benches_the_key():
    keys = KeyRing("vertex", [Renewable()])
    assert not fail(keys, refused(None), 0)
    with pytest.raises(errors.CredentialRefused):
        pick(keys, 1)


# Status.


def test_states_say_how_each_key_stands():
    keys = ring(3)
    fail(keys, refused(), 0)
    fail(keys, limited(30), 0)
    states = keys.states(10)
    assert [(each.name, each.state) for each in states] == [
        ("openai#1", "refused"),
        ("openai#2", "resting"),
        ("openai#3", "usable"),
    ]
    assert [each.back_in_s for each in states] == [FIRST_BENCH_S - 10, 20, 0]
    assert (keys.usable(10), keys.total) == (1, 3)


def test_closing_a_ring_closes_its_credentials():
    closed = []

    class Closing(NoCredential):
        async def aclose(self) -> None:
            closed.append(self)

    asyncio.run(KeyRing("x", [Closing(), Closing()]).aclose())
    assert len(closed) == 2


_failures = st.sampled_from([limited(), limited(5), limited(0), refused(), refused(403)])
_steps = st.lists(
    st.tuples(st.floats(0, 700), st.sampled_from(["", "a", "b"]), st.none() | _failures),
    max_size=40,
)


@given(st.integers(1, 3), st.sampled_from(["sticky", "round_robin"]), _steps)
def test_whatever_happens_a_key_is_usable_or_it_is_said_when_one_will_be(count, policy, steps):
    keys = ring(count, policy)
    now = 0.0
    for wait_s, scope, failure in steps:
        now += wait_s
        try:
            key = pick(keys, now, scope)
        except (errors.RateLimited, errors.CredentialRefused) as exhausted:
            assert 0 < exhausted.retry_after_s <= MAX_BENCH_S
            # What is said is true: then there is one.
            now += exhausted.retry_after_s + 1e-6
            key = pick(keys, now, scope)
        assert key.ready_at(scope) <= now
        if failure is None:
            keys.succeeded(key, now, scope)
        else:
            again = keys.failed(key, failure, now, scope, block=key.credential.block() or b"")
            if again:
                pick(keys, now, scope)


def test_a_ring_that_takes_anothers_place_lets_the_same_keys_go_on_resting():
    before = ring(3)
    fail(before, limited(30.0), 0.0)
    fail(before, refused(), 0.0)
    same = [StaticCredential("bearer", f"sk-secret-{n}") for n in (9, 2, 1)]
    after = KeyRing("openai", same)
    after.inherit(before)
    assert [state.state for state in after.states(1.0)] == ["usable", "refused", "resting"]
    assert after.keys[2].ready_at(None) == 30.0
    # From then on each goes its own way.
    before.keys[0].rest(1.0, 3600.0, "")
    assert after.keys[2].ready_at(None) == 30.0
    assert pick(after, 1.0).name == "openai#1"


def test_a_credential_that_may_have_changed_by_itself_begins_anew():
    before = KeyRing("google", [Renewable()])
    fail(before, limited(30.0), 0.0)
    after = KeyRing("google", [Renewable()])
    after.inherit(before)
    assert after.usable(0.0) == 1
