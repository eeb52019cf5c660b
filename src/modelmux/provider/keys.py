"""A provider's keys: which one is used next, and which must rest.

A key that is out of requests rests until the provider wants it back, and only for the model that
ran out, because limits are the model's. A key that was refused is benched for long, and comes
back by itself: credit is bought and permissions are granted while the gateway runs. Time is a
parameter, in seconds of a monotonic clock.
"""

from collections.abc import Sequence
from copy import copy
from typing import Final, Literal

from msgspec import Struct
from typing_extensions import override

from modelmux.errors import CredentialRefused, RateLimited, TargetError
from modelmux.provider.auth.base import Credential

FIRST_REST_S: Final = 2.0
"""Rest after a 429 that does not say when to come back; doubled for each in a row."""
MAX_REST_S: Final = 60.0
"""Longest such rest: limits are counted by the minute."""
MAX_TOLD_REST_S: Final = 3600.0
"""Longest rest for a provider that asks for more: a wrong header must not end a key."""
FIRST_BENCH_S: Final = 600.0
"""How long a refused key is left alone; doubled for each time in a row."""
MAX_BENCH_S: Final = 3600.0
MAX_SCOPES: Final = 256
"""Models for which one key may rest at once. With more, it rests as a whole."""

Policy = Literal["sticky", "round_robin"]
"""`sticky`: the same key while it is good, so that the provider's prompt caches stay warm.
`round_robin`: each call the next key."""

State = Literal["usable", "resting", "refused"]


class KeyState(Struct, frozen=True):
    """How one key stands."""

    name: str
    state: State
    """`usable` may still mean that some models wait for it."""
    back_in_s: float = 0.0


class _Pause(Struct):
    until: float = 0.0
    length_s: float = 0.0
    """What the next pause is to be longer than."""

    def begin(self, now: float, length_s: float) -> None:
        """Pause for `length_s` from `now`, or for as long as it does anyway."""
        self.until = max(self.until, now + length_s)
        self.length_s = length_s


class Key:
    """One key of a ring."""

    __slots__ = ("_bench", "_refused", "_rests", "credential", "has_trouble", "name")

    def __init__(self, name: str, credential: Credential) -> None:
        self.name = name
        """Of provider and number, such as `openai#1`: what logs and messages say."""
        self.credential = credential
        self.has_trouble = False
        """It rests, is benched, or did so since it last worked."""
        self._refused: bytes | None = None
        self._bench = _Pause()
        self._rests: dict[str, _Pause] = {}

    @override
    def __repr__(self) -> str:
        return f"Key({self.name!r})"

    def refused_until(self) -> float:
        """When its bench ends; it may have ended."""
        return self._bench.until

    def ready_at(self, scope: str | None) -> float:
        """From when it may be used for `scope`; `None`: for whatever waits least."""
        if scope is None:
            whole = self._rests.get("")
            until = whole.until if whole is not None else 0.0
        else:
            waits = (self._rests.get(scope), self._rests.get(""))
            until = max((rest.until for rest in waits if rest is not None), default=0.0)
        return max(until, self._bench.until)

    def rest(self, now: float, told_s: float | None, scope: str) -> None:
        """Be left alone for a while."""
        self.has_trouble = True
        rest = self._rests.get(scope)
        if rest is None:
            name = self._room_for(scope, now)
            rest = self._rests.setdefault(name, _Pause())
        if told_s is not None:
            rest.begin(now, min(told_s, MAX_TOLD_REST_S))
        elif now >= rest.until:
            # One pause for all calls that were under way when the limit was met.
            rest.begin(now, min(max(FIRST_REST_S, rest.length_s * 2), MAX_REST_S))

    def bench(self, now: float) -> None:
        """Be left alone for long."""
        self.has_trouble = True
        if now >= self._bench.until:
            self._bench.begin(now, min(max(FIRST_BENCH_S, self._bench.length_s * 2), MAX_BENCH_S))

    def renew(self, block: bytes) -> bool:
        """Have the credential got anew, because `block` was refused.

        A token may be withdrawn, or expire on a clock that is not ours, and the next one is good.
        Returns false if the next one was refused as well, or there is none.
        """
        if self._refused is None:
            if not self.credential.expire(block):
                return False
            self._refused = block
            self.has_trouble = True
            return True
        # Calls that were under way with the old one come here too, each for itself. But some
        # issuers give the refused one out again.
        return block == self._refused and self.credential.block() != block

    def inherit(self, earlier: "Key") -> None:
        """Stand as `earlier` does, which is the same credential."""
        self.has_trouble = earlier.has_trouble
        self._refused = earlier._refused
        self._bench = copy(earlier._bench)
        self._rests = {scope: copy(rest) for scope, rest in earlier._rests.items()}

    def recover(self, now: float, scope: str) -> None:
        """It worked: what is over is forgotten, what lasts is not."""
        self._refused = None
        if now >= self._bench.until:
            self._bench = _Pause()
        self._rests = {
            name: rest
            for name, rest in self._rests.items()
            if now < rest.until or (name not in {scope, ""} and now < rest.until + MAX_REST_S)
        }
        self.has_trouble = bool(self._rests) or self._bench.until > 0.0

    def _room_for(self, scope: str, now: float) -> str:
        if len(self._rests) >= MAX_SCOPES:
            self._rests = {name: rest for name, rest in self._rests.items() if rest.until > now}
        return scope if len(self._rests) < MAX_SCOPES else ""


class KeyRing:
    """The keys of one provider. For one event loop."""

    def __init__(
        self, name: str, credentials: Sequence[Credential], *, policy: Policy = "sticky"
    ) -> None:
        """Make a ring.

        Args:
            name: The provider's.
            credentials: At least one.
            policy: Which of the usable keys comes next.
        """
        if not credentials:
            raise ValueError("a ring has at least one key")
        self.name = name
        self.keys = tuple(
            Key(f"{name}#{number}", credential) for number, credential in enumerate(credentials, 1)
        )
        self._step = 0 if policy == "sticky" else 1
        self._next = 0

    @override
    def __repr__(self) -> str:
        return f"KeyRing({self.name!r}, {len(self.keys)} keys)"

    @property
    def total(self) -> int:
        return len(self.keys)

    def usable(self, now: float) -> int:
        """How many keys can be used for one model or another."""
        return sum(key.ready_at(None) <= now for key in self.keys)

    def usable_for(self, now: float, scope: str) -> bool:
        """Whether a key can be used for the model."""
        return self._has_usable(now, scope)

    def is_refused(self, now: float) -> bool:
        """Whether the provider has refused every key."""
        return all(key.has_trouble and key.refused_until() > now for key in self.keys)

    def states(self, now: float) -> tuple[KeyState, ...]:
        """How each key stands, for status and metrics."""
        return tuple(_state(key, now) for key in self.keys)

    def in_turn(self) -> Sequence[Key]:
        """All keys, the one to try first at the front."""
        following = self._next
        return self.keys if not following else self.keys[following:] + self.keys[:following]

    def use(self, key: Key) -> None:
        """Take note that `key` was chosen, so that the policy can say what comes next."""
        if len(self.keys) > 1:
            self._next = (self.keys.index(key) + self._step) % len(self.keys)

    def failed(
        self, key: Key, error: TargetError, now: float, scope: str = "", *, block: bytes
    ) -> bool:
        """Take note that a call failed.

        Args:
            key: The one that was used for it.
            error: How it failed.
            now: The time.
            scope: The model it was for.
            block: What the key's credential gave for it; empty if that failed.

        Returns:
            Whether the same call may succeed at once, with this key or another.
        """
        if isinstance(error, RateLimited):
            key.rest(now, error.retry_after_s, scope)
            return self._has_usable(now, scope)
        if not isinstance(error, CredentialRefused):
            return False
        if error.upstream_status == 401 and key.renew(block):
            return True
        if error.upstream_status != 403 or self._has_usable(now, scope, other_than=key):
            # A 403 may be about one model. The only key is not taken from the others for that.
            key.bench(now)
        return self._has_usable(now, scope, other_than=key)

    def succeeded(self, key: Key, now: float, scope: str = "") -> None:
        """Take note that a call with `key` worked: its next pause will be short again."""
        if key.has_trouble:
            key.recover(now, scope)

    def inherit(self, earlier: "KeyRing") -> Sequence[tuple[Key, Key]]:
        """Let each key that `earlier` has too rest for as long as it would have there.

        Returns:
            Those keys, each with what it is there.
        """
        known = {key.credential.identity: key for key in earlier.keys}
        same = [
            (key, known[key.credential.identity])
            for key in self.keys
            if key.credential.identity in known
        ]
        for key, before in same:
            key.inherit(before)
        return same

    async def aclose(self) -> None:
        """Give back what the credentials hold."""
        for key in self.keys:
            await key.credential.aclose()

    def _has_usable(self, now: float, scope: str, other_than: Key | None = None) -> bool:
        return any(key is not other_than and key.ready_at(scope) <= now for key in self.keys)

    def exhausted(self, now: float, scope: str) -> RateLimited | CredentialRefused:
        """Why no key can be used for the model, and when one can be again."""
        back_in_s = min(key.ready_at(scope) for key in self.keys) - now
        refused = sum(key.refused_until() > now for key in self.keys)
        what = "its key" if self.total == 1 else f"all {self.total} keys"
        if refused == self.total:
            return CredentialRefused(
                f"{self.name} refused {what}: replace it or see to the account there; "
                f"the next try is in {back_in_s:.0f} s",
                retry_after_s=back_in_s,
            )
        model = f" for {scope!r}" if scope else ""
        others = f", {refused} refused" if refused else ""
        return RateLimited(
            f"{self.name} asked for a pause with {what}{model} "
            f"({self.total - refused} over a rate limit{others}); "
            f"the first is back in {back_in_s:.1f} s",
            retry_after_s=back_in_s,
        )


def _state(key: Key, now: float) -> KeyState:
    if key.refused_until() > now:
        return KeyState(key.name, "refused", key.refused_until() - now)
    ready_at = key.ready_at(None)
    return KeyState(key.name, "resting" if ready_at > now else "usable", max(0.0, ready_at - now))
