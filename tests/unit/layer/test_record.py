import asyncio
from decimal import Decimal

import pytest
from msgspec import Struct

from modelmux.errors import (
    GatewayError,
    Interrupted,
    InvalidRequest,
    RateLimited,
    UnknownModel,
    Unreachable,
)
from modelmux.ir.request import Loss
from modelmux.ir.response import Usage
from modelmux.layer.record import Record, Recorder
from modelmux.target.call import Call, Caller, Peer
from modelmux.target.record import CALLER_LEFT, CallRecord
from modelmux.target.reply import Reply
from modelmux.wire.base import Wire
from tests.support import linewire, targets
from tests.support.choices import balance
from tests.support.linewire import LineWire
from tests.support.targets import Connection, Fake, FakeClock

WIRE = LineWire("test.lines")


class Penny:
    """A cent for each token."""

    def cost_usd(self, usage: Usage) -> Decimal | None:
        return Decimal("0.01") * (usage.input_tokens + usage.output_tokens)


class Books:
    """Where records go."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.records: list[CallRecord] = []
        self.counted: list[CallRecord] = []
        self.clock = FakeClock(1000.0)
        self.recorder = Recorder(
            self,
            (self.records.append,),
            prices={"p/m": Penny()}.get,
            now=self.clock,
            unix_time=lambda: self.clock() + 1_700_000_000.0,
        )

    def count(self, record: CallRecord) -> None:
        self.counted.append(record)

    @property
    def only(self) -> CallRecord:
        (record,) = self.records
        assert self.counted == [record]
        assert self.in_flight == 0
        return record

    def target(
        self, *script: targets.Answer | BaseException, name: str = "p/m", composite: bool = False
    ) -> Record:
        return Record(Fake(*script, name=name), recorder=self.recorder, composite=composite)


async def exchange(target: Record, call: Call) -> None:
    await targets.read(await target.send(call), call)


def test_an_answered_call_leaves_a_record_of_all_there_is_to_know():
    books = Books()

    def answer() -> Reply:
        reply = targets.whole(linewire.answer_body(tokens=(7, 5)), wire=WIRE)()
        reply.attempts = 2
        reply.upstream_id = "req_1"
        reply.losses = (Loss("/top_k", "no such field"),)
        return reply

    call = Call(
        WIRE,
        linewire.request_body(model="fast"),
        WIRE.envelope(linewire.request_body(model="fast")),
        caller=Caller("team-a"),
        id="c1",
    )
    call.tags = {"team": "a"}
    call.meter.started = 999.0

    async def run() -> None:
        reply = await books.target(answer).send(call)
        assert books.in_flight == 1
        assert books.records == []
        books.clock.advance(1.0)
        await targets.read(reply, call)

    asyncio.run(run())
    assert books.only == CallRecord(
        id="c1",
        started_at_s=1_700_000_999.0,
        caller="team-a",
        wire="test.lines",
        operation="chat",
        model="fast",
        target="p/m",
        attempts=2,
        status=200,
        outcome="ok",
        reason="stop",
        usage=Usage(7, 5),
        cost_usd=Decimal("0.12"),
        duration_s=2.0,
        overhead_s=1.0,
        losses=1,
        upstream_id="req_1",
        tags={"team": "a"},
        body_bytes=len(linewire.request_body(model="fast")),
    )


def test_a_stream_is_recorded_when_it_ends_with_the_time_of_its_first_event():
    books = Books()
    call = targets.call(WIRE, stream=True)
    call.meter.started = 1000.0

    async def wait() -> None:
        books.clock.advance(0.5)
        call.meter.waited_s += 0.4

    async def run() -> None:
        connection = Connection(linewire.stream(tokens=(3, 2)))
        target = Record(
            Fake(targets.streamed(connection, wire=WIRE), on_send=wait), recorder=books.recorder
        )
        reply = await target.send(call)
        async for _ in reply.stream(call.wire, call.envelope):
            assert books.records == []
            books.clock.advance(1.0)

    asyncio.run(run())
    record = books.only
    assert record.stream
    assert (record.first_s, record.duration_s) == (0.5, 4.5)
    assert record.overhead_s == pytest.approx(0.1)
    assert (record.outcome, record.usage, record.reason) == ("ok", Usage(3, 2), "stop")


def test_a_stream_that_breaks_off_is_an_error_although_it_began_with_200():
    books = Books()
    connection = Connection(linewire.stream()[:2], error=Interrupted("reset"))
    call = targets.call(WIRE, stream=True)
    asyncio.run(exchange(books.target(targets.streamed(connection, wire=WIRE)), call))
    record = books.only
    assert (record.outcome, record.status) == ("error", 502)
    assert (record.error_kind, record.error_code) == ("unavailable", "interrupted")
    assert record.error == "p/m: reset"


def test_a_caller_who_leaves_a_stream_has_cancelled_it():
    books = Books()
    call = targets.call(WIRE, stream=True)

    async def run() -> None:
        connection = Connection(linewire.stream())
        reply = await books.target(targets.streamed(connection, wire=WIRE)).send(call)
        pieces = reply.stream(call.wire, call.envelope)
        await anext(pieces)
        await pieces.aclose()

    asyncio.run(run())
    record = books.only
    assert (record.outcome, record.status) == ("cancelled", CALLER_LEFT)
    assert record.cost_usd is None


def test_a_caller_who_hangs_up_at_the_last_event_has_not_left_early():
    books = Books()
    call = targets.call(WIRE, stream=True)

    async def run() -> None:
        connection = Connection(linewire.stream("hi"))
        reply = await books.target(targets.streamed(connection, wire=WIRE)).send(call)
        pieces = reply.stream(call.wire, call.envelope)
        for _ in range(3):
            await anext(pieces)
        await pieces.aclose()

    asyncio.run(run())
    assert (books.only.outcome, books.only.status) == ("ok", 200)


def test_a_reply_that_is_given_up_unread_was_cancelled():
    books = Books()

    async def run() -> None:
        reply = await books.target(targets.whole(wire=WIRE)).send(targets.call(WIRE))
        await reply.aclose()

    asyncio.run(run())
    assert books.only.outcome == "cancelled"


def test_a_caller_who_leaves_before_any_answer_has_cancelled_the_call():
    books = Books()

    async def run() -> None:
        never = asyncio.Event()
        target = Record(Fake(targets.whole(wire=WIRE), on_send=never.wait), recorder=books.recorder)
        sending = asyncio.ensure_future(target.send(targets.call(WIRE)))
        await asyncio.sleep(0)
        assert books.in_flight == 1
        sending.cancel()
        await asyncio.wait((sending,))

    asyncio.run(run())
    record = books.only
    assert (record.outcome, record.status) == ("cancelled", CALLER_LEFT)
    assert (record.target, record.attempts, record.overhead_s) == ("p/m", 0, None)


def test_a_targets_failure_is_recorded_under_the_name_of_who_failed():
    books = Books()
    exc = RateLimited("slow down")
    exc.target, exc.attempts = "q/n", 3
    with pytest.raises(RateLimited):
        asyncio.run(exchange(books.target(exc, name="fast"), targets.call(WIRE)))
    record = books.only
    assert (record.target, record.attempts, record.provider) == ("q/n", 3, "q")
    assert (record.status, record.outcome) == (429, "error")
    assert (record.error_kind, record.error_code) == ("rate_limit", "rate_limit_exceeded")
    assert record.error == "slow down"
    assert record.overhead_s is None


def test_a_callers_mistake_is_recorded_and_has_cost_no_attempt():
    books = Books()
    with pytest.raises(InvalidRequest):
        asyncio.run(exchange(books.target(InvalidRequest("no messages")), targets.call(WIRE)))
    record = books.only
    assert (record.status, record.attempts, record.target) == (400, 0, "p/m")


def test_a_defect_is_recorded_without_its_words():
    class Defect(Exception):
        pass

    books = Books()
    with pytest.raises(Defect):
        asyncio.run(exchange(books.target(Defect("the password is 1234")), targets.call(WIRE)))
    record = books.only
    assert (record.status, record.error_code) == (500, "internal_error")
    assert record.error == "Defect in the gateway"


def test_a_price_that_is_not_known_is_no_cost_of_zero():
    books = Books()
    answer = targets.whole(wire=WIRE, target="p/unpriced")
    asyncio.run(exchange(books.target(answer), targets.call(WIRE)))
    assert books.only.cost_usd is None


def test_the_price_is_of_who_answered_and_not_of_who_was_asked():
    books = Books()
    answer = targets.whole(linewire.answer_body(tokens=(1, 1)), wire=WIRE, target="p/m")
    asyncio.run(exchange(books.target(answer, name="fast", composite=True), targets.call(WIRE)))
    record = books.only
    assert (record.target, record.cost_usd, record.composite) == ("p/m", Decimal("0.02"), True)


def test_a_step_of_a_composition_is_no_request_of_its_own_and_starts_when_it_is_sent():
    books = Books()
    parent = targets.call(WIRE)
    parent.meter.started = 900.0
    step = parent.step()

    async def run() -> None:
        reply = await books.target(targets.whole(wire=WIRE)).send(step)
        assert books.in_flight == 0
        books.clock.advance(2.0)
        await targets.read(reply, step)

    asyncio.run(run())
    record = books.only
    assert (record.id, record.parent_id) == ("c1.1", "c1")
    assert (record.duration_s, record.overhead_s) == (2.0, None)


def test_a_step_has_its_own_attempts_and_not_those_of_the_steps_before_it():
    books = Books()
    first = books.target(Unreachable("gone"), name="p/first")
    second = books.target(targets.whole(wire=WIRE, target="p/second"), name="p/second")
    chain = balance(first, second)
    whole = Record(chain, recorder=books.recorder, composite=True)
    asyncio.run(exchange(whole, targets.call(WIRE)))
    attempts = {record.id: record.attempts for record in books.records}
    assert attempts == {"c1.1": 1, "c1.2": 1, "c1": 2}


def test_a_call_that_nobody_stamped_starts_when_it_is_sent():
    books = Books()
    asyncio.run(exchange(books.target(targets.whole(wire=WIRE)), targets.call(WIRE)))
    assert books.only.duration_s == 0.0


def test_time_that_was_spent_waiting_twice_makes_no_negative_overhead():
    books = Books()
    call = targets.call(WIRE)
    call.meter.started, call.meter.waited_s = 999.0, 5.0
    asyncio.run(exchange(books.target(targets.whole(wire=WIRE)), call))
    assert books.only.overhead_s == 0.0


class Refusal(Struct, frozen=True):
    id: str
    caller: Caller
    wire: Wire
    model: str
    error: GatewayError
    started: float
    body_bytes: int
    peer: Peer = Peer("unix:/s", uid=1000)


def test_a_call_refused_at_the_door_is_recorded_too():
    books = Books()
    error = UnknownModel("nobody offers 'x'")
    books.recorder.refused(Refusal("c9", Caller("team-a"), WIRE, "x", error, 999.5, 12))
    assert books.only == CallRecord(
        id="c9",
        started_at_s=1_700_000_999.5,
        caller="team-a",
        wire="test.lines",
        model="x",
        attempts=0,
        status=404,
        outcome="error",
        error_kind="not_found",
        error_code="model_not_found",
        error="nobody offers 'x'",
        duration_s=0.5,
        body_bytes=12,
        peer=Peer("unix:/s", uid=1000),
    )


def test_every_sink_gets_the_record():
    books = Books()
    more: list[CallRecord] = []
    books.recorder._sinks = (*books.recorder._sinks, more.append)
    with pytest.raises(Unreachable):
        asyncio.run(exchange(books.target(Unreachable("down")), targets.call(WIRE)))
    assert more == [books.only]
