"""Targets, answers and a clock for tests: what a layer stands between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from itertools import count

from modelmux.errors import GatewayError
from modelmux.provider.admission import Admission, Rules
from modelmux.provider.keys import KeyRing
from modelmux.target.call import Call
from modelmux.target.chunks import Chunks
from modelmux.target.reply import Reply, Whole
from modelmux.wire.base import Wire
from tests.support import linewire
from tests.support.linewire import LineWire


class FakeClock:
    """Time that passes when told to. An instance is a clock: calling it gives the time."""

    def __init__(self, start: float = 1000.0) -> None:
        self.time = start
        self.slept: list[float] = []
        """Every pause that `sleep` was asked for."""
        self._timers: list[FakeTimer] = []
        self._numbers = count()

    def __call__(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        """Let time pass, and run what falls due, in order and at its own time."""
        end = self.time + seconds
        while due := [timer for timer in self._timers if timer.when <= end]:
            timer = min(due, key=lambda timer: (timer.when, timer.number))
            self._timers.remove(timer)
            self.time = max(self.time, timer.when)
            timer.callback()
        self.time = end

    async def sleep(self, seconds: float) -> None:
        """Pass the time at once, and let other tasks run."""
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)

    def later(self, delay: float, callback: Callable[[], object]) -> "FakeTimer":
        """As `loop.call_later`."""
        timer = FakeTimer(self.time + delay, next(self._numbers), callback, self._timers)
        self._timers.append(timer)
        return timer

    @property
    def pending(self) -> int:
        """How many timers are set."""
        return len(self._timers)


class FakeTimer:
    """What `FakeClock.later` gives."""

    def __init__(
        self,
        when: float,
        number: int,
        callback: Callable[[], object],
        timers: "list[FakeTimer]",
    ) -> None:
        self.when = when
        self.number = number
        self.callback = callback
        self._timers = timers

    def cancel(self) -> None:
        if self in self._timers:
            self._timers.remove(self)


class Connection:
    """Where an answer comes from: says whether it was given up, and can break, or hold back."""

    def __init__(
        self,
        chunks: Iterable[bytes],
        *,
        error: GatewayError | None = None,
        gate: asyncio.Event | None = None,
        hold_after: int = 0,
    ) -> None:
        """Take what is to come.

        Args:
            chunks: What arrives, in order.
            error: What is raised after the last of them.
            gate: Holds back all but the first `hold_after` chunks until it is set.
            hold_after: How many come before the gate.
        """
        self._chunks = list(chunks)
        self._error = error
        self._gate = gate
        self._hold_after = hold_after
        self.closed = 0
        """How many times it was closed."""
        self.taken = 0
        """How many chunks were taken."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._gate is not None and self.taken >= self._hold_after:
            await self._gate.wait()
        if self.taken < len(self._chunks):
            self.taken += 1
            return self._chunks[self.taken - 1]
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


def admission(ring: KeyRing, clock: FakeClock, rules: Rules | None = None) -> Admission:
    """The gate before a provider's keys; without `rules` nobody waits at it."""
    if rules is None:
        rules = Rules(max_wait_s=0.0)
    return Admission(ring, rules, now=clock, unix_time=clock, later=clock.later)


Answer = Callable[[], Reply]
"""Makes one answer: an answer can be read once, and a target may be asked again."""


def whole(body: bytes | None = None, *, wire: Wire, target: str = "p/m") -> Answer:
    """Answers with a whole body."""
    return lambda: Reply(Whole(wire, body or linewire.answer_body()), target=target)


def streamed(connection: Connection, *, wire: Wire, target: str = "p/m") -> Answer:
    """Answers with a stream, once."""
    return lambda: Reply(Chunks(wire, connection), target=target, aclose=connection.aclose)


class Fake:
    """A target that does in turn what it is told: answer, or raise. The last is repeated.

    Attributes:
        calls: What it was sent.
        on_send: Awaited before each answer, so that a test can look, wait, or let time pass.
    """

    def __init__(
        self,
        *script: Answer | BaseException,
        name: str = "p/m",
        on_send: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.name = name
        self.calls: list[Call] = []
        self.on_send = on_send
        self._script = script

    async def send(self, call: Call) -> Reply:
        self.calls.append(call)
        if self.on_send is not None:
            await self.on_send()
        step = self._script[min(len(self.calls), len(self._script)) - 1]
        if isinstance(step, BaseException):
            raise step
        return step()


def call(wire: Wire | None = None, *, stream: bool = False, id: str = "c1") -> Call:
    """A call that says hello."""
    wire = wire or LineWire()
    body = linewire.request_body(stream=stream)
    return Call(wire, body, wire.envelope(body), id=id)


async def read(reply: Reply, asked: Call) -> bytes:
    """All of an answer as the caller of `asked` gets it."""
    if asked.envelope.stream:
        return b"".join([piece async for piece in reply.stream(asked.wire, asked.envelope)])
    return await reply.body(asked.wire, asked.envelope)
