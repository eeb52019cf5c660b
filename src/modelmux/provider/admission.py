"""Who may ask a provider now, with which of its keys, and who has to wait.

A call is let in when three things have room for it: what the configuration allows the provider,
what it allows one key, and what the provider itself has said is left for that key and model.
Whoever does not fit waits in a bounded queue: higher classes first, and within a class in the order
of coming, each model in a line of its own, so that one that is used up does not hold up the others.
Whoever would have to wait too long gets `Limited` at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final, Protocol

from msgspec import Struct

from modelmux.errors import CredentialRefused, Limited
from modelmux.ir.response import Usage
from modelmux.provider import demand, limit_headers
from modelmux.provider.keys import Key, KeyRing
from modelmux.provider.quota import FIRST_OUTPUT_TOKENS, Account, Cost, Limits, Quota
from modelmux.target.call import PRIORITIES, Call
from modelmux.target.estimate import BYTES_PER_TOKEN
from modelmux.target.reply import Reply
from modelmux.transport.base import Headers

MAX_ACCOUNTS: Final = 1024
"""Keys and models of which the provider's word is kept; beyond, the oldest is forgotten."""
SWEEP_INTERVAL_S: Final = 0.1
"""How often waiting calls are looked through, and so how late one may give up. One timer for all
of them, and none while nobody waits."""
SHORTEST_TIMER_S: Final = 0.001


class Timer(Protocol):
    """A callback that is due."""

    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], object]], Timer]
"""Calls a function after so many seconds, as `loop.call_later` does."""


class Rules(Struct, frozen=True):
    """What a gate lets in, and who may wait."""

    limits: Limits = Limits()
    """Of all keys and models together."""
    key_limits: Limits = Limits()
    """Of each key, all models together."""
    max_waiting: int = 1024
    """Calls that may wait; the next one is refused at once."""
    max_wait_s: float = 30.0
    """Longest wait of any of them."""
    learns: bool = True
    """Whether the provider's own word on what is left counts."""


class Figures:
    """What the metrics tell of one provider's queue."""

    __slots__ = ("refused", "waited", "waited_s", "waiting")

    def __init__(self) -> None:
        """Start at nothing."""
        self.waiting = 0
        self.waited = 0
        self.waited_s = 0.0
        self.refused = 0


_REQUEST: Final[Cost] = (1.0, 0.0, 0.0, 0.0)


class Entry:
    """One request on its way in. After `enter` was true, or `wait` returned, it holds its place.

    Then it is told what the provider says (`heard`), and once that it is over (`ended`, `failed`).
    """

    __slots__ = (
        "_admission",
        "_call",
        "_demand",
        "account",
        "body",
        "cost",
        "due",
        "future",
        "key",
        "keyless",
        "mark",
        "number",
        "rank",
        "scope",
        "sent_at",
        "tokens",
    )

    future: asyncio.Future[None]
    due: float
    number: int

    def __init__(
        self, admission: "Admission", call: Call, scope: str, body: bytes, *, keyless: bool = False
    ) -> None:
        """Come to the gate.

        Args:
            admission: The gate.
            call: Whose request it is.
            scope: What the provider's own limits are about: a model, as it calls it.
            body: The request, on the provider's wire.
            keyless: The caller's own credential is used, of whose limits nothing is known.
        """
        self._admission = admission
        self._call = call
        self._demand: tuple[int, int | None] | None = None
        self.body = body
        self.scope = scope
        self.keyless = keyless
        self.key: Key | None = None
        self.account: Account | None = None
        self.cost = _REQUEST
        self.tokens = 0.0
        """What is taken of the configuration's limits of tokens."""
        self.mark: list[float] = []
        self.sent_at = 0.0
        self.rank = 0

    def enter(self) -> bool:
        """Go in, if there is room at once and nobody waits for it; else `wait`."""
        return self._admission.admits(self)

    async def wait(self) -> None:
        """Go in once there is room.

        Raises:
            Limited: There is none in time, or the call may not wait.
            CredentialRefused: The provider has refused every key.
        """
        await self._admission.queue(self, self._call)

    def price(self, account: Account | None, *, counts_tokens: bool) -> None:
        """Work out `cost` and `tokens`, as `account` has it."""
        if not counts_tokens:
            if account is None or not account.counts_tokens:
                self.cost = _REQUEST
                return
            if not account.is_tight:
                # A guess will do, and costs a tenth of a look into the body.
                prompt = float(len(self.body) // BYTES_PER_TOKEN)
                self.cost = (1.0, prompt + account.longest, prompt, account.mean_output)
                return
        if self._demand is None:
            self._demand = demand.of(self.body, self._call)
        prompt, longest = self._demand
        output = account.mean_output if account is not None else FIRST_OUTPUT_TOKENS
        if self._call.operation != "chat":
            output = 0.0  # what is embedded or ranked is not answered in tokens
        elif longest is not None and longest < output:
            output = longest
        if account is not None:
            account.longest = longest or 0
        self.cost = (1.0, float(prompt + (longest or 0)), float(prompt), float(output))
        self.tokens = prompt + output

    def rank_of_call(self) -> int:
        """The place of the call's class among `PRIORITIES`; 0 goes first."""
        return PRIORITIES.index(self._call.priority)

    def heard(self, headers: Headers) -> None:
        """The head of the answer has come."""
        account = self.account
        if account is not None:
            now = self._admission.now()
            if account.listens(now):
                said = limit_headers.said(headers, self._admission.unix_time())
                account.hear(now, said, sent_at=self.sent_at, mark=self.mark)

    def failed(self) -> None:
        """There is no answer: its tokens are given back."""
        self._admission.leave(self.key, self.tokens)

    def ended(self, reply: Reply) -> None:
        """The answer is over."""
        self.done(reply.summary.usage)

    def done(self, usage: Usage | None) -> None:
        """The answer is over: its estimate is replaced by what was used, if that is known."""
        unused = 0.0
        if usage is not None and (usage.input_tokens or usage.output_tokens):
            unused = self.tokens - usage.input_tokens - usage.output_tokens
            if self.account is not None:
                self.account.answered(usage.output_tokens)
        self._admission.leave(self.key, unused)


class Admission:
    """The gate of one provider. For one event loop.

    Attributes:
        name: The provider's.
        ring: Its keys.
        figures: For the metrics.
        now: Monotonic clock.
        unix_time: Clock for header fields that tell the time.
    """

    def __init__(
        self,
        ring: KeyRing,
        rules: Rules,
        *,
        now: Callable[[], float],
        unix_time: Callable[[], float],
        later: Later,
    ) -> None:
        """Make the gate.

        Args:
            ring: The provider's keys.
            rules: What it lets in.
            now: Monotonic clock.
            unix_time: Unix time.
            later: Sets timers.
        """
        self.name = ring.name
        self.now = now
        self.unix_time = unix_time
        self.figures = Figures()
        self.ring = ring
        self._rules = rules
        self._later = later
        self._quota = Quota(rules.limits, now()) if rules.limits else None
        self._key_quotas: dict[Key, Quota] = {}
        if rules.key_limits:
            self._key_quotas = {key: Quota(rules.key_limits, now()) for key in ring.keys}
        self._counts_tokens = bool(
            rules.limits.tokens_per_minute or rules.key_limits.tokens_per_minute
        )
        self._accounts: dict[tuple[Key, str], Account] = {}
        self._lines: dict[tuple[int, str], deque[Entry]] = {}
        self._number = 0
        self._timer: Timer | None = None
        self._swept_at = 0.0

    def inherit(self, earlier: "Admission") -> None:
        """Go on where `earlier` stands, which is of the same provider, and goes on as it does.

        What is used of a limit is shared where the limit is the same, and else counted anew. So
        is what the provider has said of a key.
        """
        self.figures = earlier.figures
        if self._rules.limits == earlier._rules.limits:
            self._quota = earlier._quota
        same_limits = self._rules.key_limits == earlier._rules.key_limits
        for key, before in self.ring.inherit(earlier.ring):
            if same_limits and before in earlier._key_quotas:
                self._key_quotas[key] = earlier._key_quotas[before]
            for (owner, scope), account in earlier._accounts.items():
                if owner is before:
                    self._accounts[key, scope] = account

    def admits(self, entry: Entry) -> bool:
        """Let `entry` in, if there is room at once and nobody waits for it."""
        if self._lines and self._is_behind(entry):
            return False
        now = self.now()
        if self._wait_s(entry, now) > 0.0:
            return False
        self._take(entry, now)
        return True

    async def queue(self, entry: Entry, call: Call) -> None:
        """Let `entry` in once there is room. Raises as `Entry.wait` does."""
        started = self.now()
        allowed_s = self._rules.max_wait_s
        if call.deadline is not None:
            allowed_s = min(allowed_s, call.deadline - started)
        wait_s = self._wait_s(entry, started)
        if not call.may_wait or inf > wait_s > allowed_s:
            raise self._refusal(entry, wait_s)
        if self.figures.waiting >= self._rules.max_waiting:
            raise self._refusal(entry, wait_s, f"{self.figures.waiting} more are waiting")
        self._number += 1
        entry.number = self._number
        entry.due = started + allowed_s
        entry.rank = entry.rank_of_call()
        entry.future = asyncio.get_running_loop().create_future()
        self._lines.setdefault((entry.rank, entry.scope), deque()).append(entry)
        self.figures.waiting += 1
        self.figures.waited += 1
        self._pump()
        try:
            await entry.future
        except asyncio.CancelledError:
            if entry.future.cancelled():
                self._remove(entry)
                self._pump()  # whoever stands behind may fit
            elif entry.future.exception() is None:
                entry.failed()  # it had been let in just before
            raise
        finally:
            waited_s = self.now() - started
            self.figures.waiting -= 1
            self.figures.waited_s += waited_s
            call.meter.waited_s += waited_s

    def leave(self, key: Key | None, unused_tokens: float) -> None:
        """A call is over, and so many fewer tokens were used than it had taken."""
        if self._quota is not None:
            self._quota.end(unused_tokens)
        if key is not None and self._key_quotas:
            self._key_quotas[key].end(unused_tokens)
        if self._lines:
            self._pump()

    def _wait_s(self, entry: Entry, now: float) -> float:
        """How long until there is room; at 0 `entry` has the key to use.

        Infinite where that depends on other calls.
        """
        quota = self._quota
        if entry.keyless:
            entry.price(None, counts_tokens=self._counts_tokens)
            return quota.wait_s(now, entry.tokens) if quota is not None else 0.0
        soonest_s = inf
        for key in self.ring.in_turn():
            wait_s = key.ready_at(entry.scope) - now if key.has_trouble else 0.0
            account = self._account(key, entry.scope)
            entry.price(account, counts_tokens=self._counts_tokens)
            if account is not None:
                wait_s = max(wait_s, account.wait_s(now, entry.cost))
            if self._key_quotas:
                wait_s = max(wait_s, self._key_quotas[key].wait_s(now, entry.tokens))
            if wait_s < soonest_s:
                entry.key, entry.account, soonest_s = key, account, wait_s
            if wait_s <= 0.0:
                break
        if quota is not None:
            soonest_s = max(soonest_s, quota.wait_s(now, entry.tokens))
        return max(0.0, soonest_s)

    def _take(self, entry: Entry, now: float) -> None:
        entry.sent_at = now
        if self._quota is not None:
            self._quota.take(now, entry.tokens)
        key = entry.key
        if key is None:
            return
        self.ring.use(key)
        if self._key_quotas:
            self._key_quotas[key].take(now, entry.tokens)
        account = entry.account
        if account is not None:
            account.take(entry.cost)
            entry.mark = account.sent.copy()

    def _account(self, key: Key, scope: str) -> Account | None:
        if not self._rules.learns:
            return None
        account = self._accounts.get((key, scope))
        if account is None:
            if len(self._accounts) >= MAX_ACCOUNTS:
                del self._accounts[next(iter(self._accounts))]
            account = self._accounts[key, scope] = Account()
        return account

    def _is_behind(self, entry: Entry) -> bool:
        """Whether somebody waits whom `entry` must not overtake."""
        rank = entry.rank_of_call()
        return any(
            waiting <= rank and (scope == entry.scope or self._quota is not None)
            for waiting, scope in self._lines
        )

    def _pump(self) -> None:
        """Let in whoever fits, and come back when the next one may."""
        now = self.now()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if now >= self._swept_at + SWEEP_INTERVAL_S:
            self._swept_at = now
            self._sweep(now)
        delay_s = self._let_in(now)
        if self._lines:
            delay_s = max(SHORTEST_TIMER_S, min(delay_s, SWEEP_INTERVAL_S))
            self._timer = self._later(delay_s, self._pump)

    def _let_in(self, now: float) -> float:
        """Let in whoever fits; how long until the next one may."""
        blocked: set[str] = set()
        soonest_s = inf
        while True:
            heads = [line[0] for (_, scope), line in self._lines.items() if scope not in blocked]
            if not heads:
                return soonest_s
            entry = min(heads, key=lambda head: (head.rank, head.number))
            wait_s = self._wait_s(entry, now)
            if wait_s <= 0.0:
                self._take(entry, now)
                self._remove(entry)
                entry.future.set_result(None)
                continue
            soonest_s = min(soonest_s, wait_s)
            blocked.add(entry.scope)
            if self._quota is not None and self._quota.wait_s(now, entry.tokens) > 0.0:
                return soonest_s  # what all models share is used up: nobody overtakes

    def _sweep(self, now: float) -> None:
        """Send away whoever has waited long enough, or waits for keys that are refused."""
        for entry in [entry for line in self._lines.values() for entry in line]:
            why = ""
            if entry.due <= now:
                why = "the wait has been too long"
            elif not entry.keyless and self.ring.is_refused(now):
                why = "every key is refused"
            if why:
                self._remove(entry)
                entry.future.set_exception(self._refusal(entry, self._wait_s(entry, now), why))

    def _remove(self, entry: Entry) -> None:
        line = self._lines.get((entry.rank, entry.scope))
        if line is not None and entry in line:
            line.remove(entry)
            if not line:
                del self._lines[entry.rank, entry.scope]

    def _refusal(self, entry: Entry, wait_s: float, why: str = "") -> Limited | CredentialRefused:
        """Why there is no room; `wait_s` is how long until there is, if that is known."""
        now = self.now()
        self.figures.refused += 1
        if not entry.keyless and not self.ring.usable_for(now, entry.scope):
            error = self.ring.exhausted(now, entry.scope)
            if isinstance(error, CredentialRefused):
                return error
            message = error.message
        else:
            free = f"; there is room in {wait_s:.1f} s" if 0.0 < wait_s < inf else ""
            more = f", and {why}" if why else ""
            message = (
                f"the limit of {self._reason(entry, now)} is reached{more}{free}; "
                "raise the provider's `limits`, or add a target to fall back to"
            )
        # A place that another call must give back first has no known time: a second is polite.
        limited = Limited(message, retry_after_s=wait_s if wait_s < inf else 1.0)
        limited.target = self.name
        limited.attempts = 0
        return limited

    def _reason(self, entry: Entry, now: float) -> str:
        quota = self._quota
        if quota is not None and quota.wait_s(now, entry.tokens) > 0.0:
            return f"{quota.reason(now, entry.tokens)} at the provider"
        key = entry.key
        if key is not None and self._key_quotas:
            own = self._key_quotas[key]
            if own.wait_s(now, entry.tokens) > 0.0:
                return f"{own.reason(now, entry.tokens)} for a key"
        if entry.account is not None and entry.account.wait_s(now, entry.cost) > 0.0:
            return entry.account.reason(now, entry.cost)
        return "calls that may wait"
