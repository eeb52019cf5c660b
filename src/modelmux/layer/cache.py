"""Answer again what was answered before, and ask once for what several ask at the same time.

The layer stands round a whole call, outside of retries: a kept answer calls nobody. What is kept,
for whom and for how long is the configuration's to say (`Policy`); a caller can ask for less with
the header `x-modelmux-cache`. Only whole answers are kept: none that failed, was cut at a limit of
length, or was refused.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from hashlib import blake2b
from typing import Final, Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from modelmux.errors import GatewayError, InvalidRequest, TargetError
from modelmux.ir.parts import Refusal
from modelmux.ir.response import Response
from modelmux.layer.semantic import Question, Semantic
from modelmux.target import kept
from modelmux.target.base import Target
from modelmux.target.call import Call
from modelmux.target.facts import Facts, World
from modelmux.target.kept import Kept
from modelmux.target.reply import Reply
from modelmux.target.rules import Condition
from modelmux.target.sharing import Sharing

MAX_ALIASES: Final = 8192
"""Requests as they came whose keys are remembered, so that they need not be decoded again."""
MAX_TASKS: Final = 256
"""Writes and refreshes under way; what would be more is left out."""

Scope = Literal["key", "team", "all"]
"""Who shares answers: calls with the same key, of the same team (a tag of keys), or all."""

TEAM_TAG: Final = "team"
CREDENTIALS: Final = ("authorization", "x-api-key", "x-goog-api-key")

SIMILARITY: Final = b"x-modelmux-cache-similarity"


class Store(Protocol):
    """Where answers are kept. It never fails: what cannot be had is not there."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes, ttl_s: float) -> None: ...

    async def aclose(self) -> None: ...


class Rule(Struct, frozen=True):
    """What a rule of the configuration says; the first that holds decides."""

    cache_if: Condition | None = None
    skip_if: Condition | None = None
    ttl_s: float | None = None


class Policy(Struct, frozen=True):
    """What is kept, for whom, and for how long."""

    ttl_s: float
    stale_s: float = 0.0
    """For how long after that an answer still will do while a new one is asked for."""
    scope: Scope = "key"
    rules: tuple[Rule, ...] = ()

    def ttl_of(self, facts: Facts) -> float | None:
        """How long the answer to a call may be used; `None`: it is not to be kept."""
        has_condition = False
        for rule in self.rules:
            if rule.skip_if is not None and rule.skip_if.holds(facts):
                return None
            if rule.cache_if is not None:
                has_condition = True
                if rule.cache_if.holds(facts):
                    return self.ttl_s if rule.ttl_s is None else rule.ttl_s
        return None if has_condition else self.ttl_s


class Figures:
    """What the metrics tell."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.results: dict[str, int] = {
            "hit": 0,
            "stale": 0,
            "shared": 0,
            "similar": 0,
            "miss": 0,
            "bypass": 0,
        }


class Flight:
    """A call under way, and those who wait for its answer to begin."""

    __slots__ = ("_sharing", "_waiting")

    def __init__(self) -> None:
        self._sharing: Sharing | None = None
        self._waiting: list[asyncio.Future[Reply | None]] = []

    async def join(self) -> Reply | None:
        """The answer for one more; `None`: it is not to be had. Raises as `send` does."""
        if self._sharing is not None:
            return self._reader()
        future: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                reply = future.result()  # it had been given one just before
                if reply is not None:
                    await reply.aclose()
            raise

    def begin(self, sharing: Sharing | None) -> None:
        """The answer begins; or, with nothing, who asked for it has left.

        Those who wait have theirs at once: it may be over before they go on.
        """
        self._sharing = sharing
        for future in self._taken():
            future.set_result(self._reader())

    def fail(self, exc: GatewayError) -> None:
        """Nobody answered."""
        for future in self._taken():
            future.set_exception(_again(exc))

    def _taken(self) -> list[asyncio.Future[Reply | None]]:
        waiting, self._waiting = self._waiting, []
        return [future for future in waiting if not future.done()]

    def _reader(self) -> Reply | None:
        sharing = self._sharing
        return sharing.reader() if sharing is not None and sharing.is_open else None


class Cache:
    """What all calls share. For one event loop.

    Attributes:
        figures: For the metrics.
        policy: What is kept.
        place: Where.
        store: Keeps it.
        semantic: Finds what was asked in other words, where that is wanted.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy,
        world: World,
        *,
        now: Callable[[], float],
        unix_time: Callable[[], float],
        place: str = "",
    ) -> None:
        """Keep answers.

        Args:
            store: Where.
            policy: Which, for whom, and for how long.
            world: What rules know beside the call.
            now: Monotonic clock.
            unix_time: Wall clock.
            place: Where `store` keeps them: two in the same place hold the same.
        """
        self.place = place
        self.semantic: Semantic | None = None
        self.figures = Figures()
        self.policy = policy
        self.now = now
        self.unix_time = unix_time
        self.store = store
        self.flights: dict[str, Flight] = {}
        self._world = world
        self._aliases: dict[bytes, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._has_heir = False

    def ttl_of(self, call: Call) -> float | None:
        """How long the answer to `call` may be used; `None`: it is none of the cache's."""
        if call.operation != "chat" or call.envelope.choices != 1:
            return None
        if not self.policy.rules:
            return self.policy.ttl_s
        return self.policy.ttl_of(Facts(call, self._world))

    def scope_of(self, call: Call, route: Sequence[str], *, is_passed: bool) -> Sequence[str]:
        """What beside the request must be the same: who asks, and who would answer."""
        beta = call.headers.get("anthropic-beta", "")
        return (*route, self._who(call, is_passed=is_passed), beta)

    def key_of(self, call: Call, scope: Sequence[str]) -> str | None:
        """The key of `call`; `None`: it is no request."""
        asked = call.envelope.model  # some wires have it in the path, and not in the body
        alias = kept.alias(call.wire.name, call.body, (*scope, asked)) if call.body_bytes else b""
        key = self._aliases.get(alias)
        if key is None:
            try:
                key = kept.key(replace(call.request, model=asked), scope)
            except InvalidRequest:
                return None  # whoever is asked says so
            if alias:
                if len(self._aliases) >= MAX_ALIASES:
                    self._aliases.clear()
                self._aliases[alias] = key
        return key

    async def find(self, key: str, max_age_s: float) -> tuple[Kept, float] | None:
        """What is kept, and how old it is in seconds, if it is not older than that."""
        data = await self.store.get(key)
        found = kept.decode(data) if data is not None else None
        if found is None:
            return None
        age_s = max(0.0, self.unix_time() - found.kept_at_s)
        return (found, age_s) if age_s <= max_age_s else None

    def keep(self, asked: "_Asked", reply: Reply, response: Response) -> None:
        """Keep an answer, if it is one to be kept."""
        if response.reason not in {"stop", "tool_call"}:
            return
        if any(isinstance(part, Refusal) for part in response.parts):
            return
        entry = Kept(response, reply.target, self.unix_time(), tuple(reply.losses))
        data = kept.encode(entry)
        self.spawn(self.store.put(asked.key, data, asked.ttl_s + self.policy.stale_s))
        if self.semantic is not None and asked.question is not None:
            self.semantic.add(asked.question, asked.key)

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Do `work` beside the call, if there is not too much of it already."""
        if len(self._tasks) >= MAX_TASKS:
            work.close()
            return
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def inherit(self, earlier: "Cache") -> None:
        """Go on in place of `earlier`, which leaves its store open if it is this one's too."""
        self.figures = earlier.figures
        if self.semantic is not None and earlier.semantic is not None:
            self.semantic.inherit(earlier.semantic)
        earlier._has_heir = self.store is earlier.store

    async def aclose(self) -> None:
        """Finish writing, and close the store if nobody else has it."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        for task in self._tasks:
            task.cancel()
        if not self._has_heir:
            await self.store.aclose()

    def _who(self, call: Call, *, is_passed: bool) -> str:
        """Who shares answers with the caller."""
        scope, caller = self.policy.scope, call.caller
        who = ""
        if scope == "team" and (team := caller.tags.get(TEAM_TAG)):
            who = f"team {team}"
        elif scope != "all":
            who = f"key {caller.name}"
        if is_passed or scope != "all":
            # A credential for somebody else is as good as a name.
            foreign = [call.headers[name] for name in CREDENTIALS if name in call.headers]
            if foreign and (is_passed or not caller.name):
                who += " " + blake2b(" ".join(foreign).encode(), digest_size=20).hexdigest()
        return who


class Caching:
    """A target whose answers are kept."""

    __slots__ = ("_background", "_cache", "_inner", "_is_passed", "_route", "name")

    def __init__(
        self,
        inner: Target,
        *,
        cache: Cache,
        route: Sequence[str],
        background: Target,
        is_passed: bool = False,
    ) -> None:
        """Wrap `inner`.

        Args:
            inner: The target.
            cache: What is shared by all.
            route: The names of those who may answer: an answer is kept for the same only.
            background: The same target for calls that nobody waits for, with a record each.
            is_passed: The caller's own credential may be used, so that answers are theirs.
        """
        self.name = inner.name
        self._inner = inner
        self._cache = cache
        self._route = tuple(route)
        self._background = background
        self._is_passed = is_passed

    async def send(self, call: Call) -> Reply:
        """Answer `call`, from what is kept if that will do."""
        cache, wish = self._cache, call.freshness
        ttl_s = cache.ttl_of(call) if wish.reads or wish.writes else None
        scope = cache.scope_of(call, self._route, is_passed=self._is_passed)
        key = cache.key_of(call, scope) if ttl_s is not None else None
        if ttl_s is None or key is None:
            cache.figures.results["bypass"] += 1
            reply = await self._inner.send(call)
            reply.cache = "bypass"
            return reply
        asked = _Asked(key, ttl_s)
        if wish.reads:
            found = await self._found(call, asked)
            if found is not None:
                return found
        if cache.semantic is not None:
            started = cache.now()
            asked.question = await cache.semantic.question(call, scope)
            call.meter.waited_s += cache.now() - started
            if wish.reads and asked.question is not None:
                found = await self._similar(call, cache.semantic, asked)
                if found is not None:
                    return found
        return await self._ask(call, asked)

    async def _found(self, call: Call, asked: "_Asked") -> Reply | None:
        cache, wish = self._cache, call.freshness
        longest_s = asked.ttl_s + cache.policy.stale_s
        if wish.max_age_s is not None:
            longest_s = min(longest_s, wish.max_age_s)
        started = cache.now()
        found = await cache.find(asked.key, longest_s)
        call.meter.waited_s += cache.now() - started
        if found is None:
            return None
        entry, age_s = found
        is_stale = age_s > asked.ttl_s
        if is_stale and asked.key not in cache.flights:
            cache.spawn(self._refresh(call.step(), asked))
        cache.figures.results["stale" if is_stale else "hit"] += 1
        reply = Reply(entry.response, target=entry.target, losses=entry.losses)
        reply.cache, reply.saved, reply.attempts = "hit", True, 0
        reply.headers = {b"age": b"%d" % age_s}
        return reply

    async def _similar(self, call: Call, semantic: Semantic, asked: "_Asked") -> Reply | None:
        """The answer to a question that was asked in other words."""
        near = semantic.nearest(asked.question) if asked.question is not None else None
        if near is None or near.key == asked.key:
            return None
        cache, longest_s = self._cache, asked.ttl_s
        if call.freshness.max_age_s is not None:
            longest_s = min(longest_s, call.freshness.max_age_s)
        found = await cache.find(near.key, longest_s)
        if found is None:
            return None
        entry, age_s = found
        cache.figures.results["similar"] += 1
        reply = Reply(entry.response, target=entry.target, losses=entry.losses)
        reply.cache, reply.saved, reply.attempts = "hit", True, 0
        reply.headers = {b"age": b"%d" % age_s, SIMILARITY: b"%.4f" % near.similarity}
        return reply

    async def _ask(self, call: Call, asked: "_Asked") -> Reply:
        """Ask for the answer, or share that of somebody who does already."""
        cache, key = self._cache, asked.key
        # Who has less time than others must not ask for them, nor wait for them too long.
        if not call.freshness.reads or call.deadline is not None:
            return await self._ask_alone(call, asked)
        while (flight := cache.flights.get(key)) is not None:
            started = cache.now()
            try:
                reply = await flight.join()
            finally:
                call.meter.waited_s += cache.now() - started
            if reply is not None:
                cache.figures.results["shared"] += 1
                reply.cache = "hit"
                return reply
            # It has ended meanwhile, or who asked has left: then one of those who wait asks now.
            found = await self._found(call, asked)
            if found is not None:
                return found
            if cache.flights.get(key) is flight:
                return await self._ask_alone(call, asked)  # it is not to be shared
        return await self._lead(call, asked, self._started(key), self._inner)

    async def _ask_alone(self, call: Call, asked: "_Asked") -> Reply:
        return await self._lead(call, asked, Flight(), self._inner)

    def _started(self, key: str) -> Flight:
        flight = self._cache.flights[key] = Flight()
        return flight

    async def _lead(self, call: Call, asked: "_Asked", flight: Flight, target: Target) -> Reply:
        """Ask `target`, for oneself and for those who wait."""
        cache = self._cache
        if target is self._inner:
            cache.figures.results["miss"] += 1

        def over(sharing: Sharing, response: Response | None) -> None:
            self._ended(asked.key, flight)
            if response is not None:
                cache.keep(asked, sharing.reply, response)

        try:
            sharing = Sharing(await target.send(call), over)
        except GatewayError as exc:
            self._ended(asked.key, flight)
            flight.fail(exc)
            raise
        except BaseException:  # the caller left, or a defect: another one asks
            self._ended(asked.key, flight)
            flight.begin(None)
            raise
        reply = sharing.reader()
        reply.cache = "miss"
        flight.begin(sharing)
        return reply

    def _ended(self, key: str, flight: Flight) -> None:
        if self._cache.flights.get(key) is flight:
            del self._cache.flights[key]

    async def _refresh(self, call: Call, asked: "_Asked") -> None:
        """Replace what is kept and no more fresh. Nobody waits for it: a failure is in the log."""
        try:
            reply = await self._lead(call, asked, self._started(asked.key), self._background)
            await reply.response()
        except GatewayError:
            return


class _Asked:
    """One call, as the cache sees it."""

    __slots__ = ("key", "question", "ttl_s")

    def __init__(self, key: str, ttl_s: float) -> None:
        self.key = key
        self.ttl_s = ttl_s
        self.question: Question | None = None


def _again(exc: GatewayError) -> GatewayError:
    """The same failure for another caller, who has tried nobody."""
    made = type(exc)(exc.message, param=exc.param)
    made.__dict__.update(exc.__dict__)
    if isinstance(made, TargetError):
        made.attempts = 0
    return made
