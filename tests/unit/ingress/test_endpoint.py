import asyncio
from collections.abc import AsyncGenerator, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import (
    BodyTooLarge,
    CredentialRefused,
    GatewayError,
    Interrupted,
    InvalidRequest,
    LimitExceeded,
    Overloaded,
    RateLimited,
    TargetTimeout,
    Unreachable,
    Unrepresentable,
)
from modelmux.ingress.endpoint import (
    _TRAVELLING,
    MAX_LOSSES_BYTES,
    MAX_REQUEST_ID_BYTES,
    ModelDoor,
    _losses,
    refuse,
    request_id,
)
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.streaming import Mode
from modelmux.ingress.surface import Surface
from modelmux.ir.request import Loss
from modelmux.ir.response import Failure
from modelmux.provider import catalog
from modelmux.target.base import Target
from modelmux.target.call import ANONYMOUS, Caller
from modelmux.target.chunks import Chunks
from modelmux.target.failures import error_of
from modelmux.target.reply import Reply, Whole
from modelmux.wire import anthropic_messages, openai_chat
from modelmux.wire.base import Operation, Wire
from modelmux.wire.framing import sse
from tests.support import linewire, targets
from tests.support.linewire import LineWire
from tests.support.targets import Connection, Fake
from tests.unit.ingress.world import Notes, surface
from tests.unit.transport.loopback import begin, play, until

LOOP = asyncio.new_event_loop
WIRE = LineWire("ours")
OTHER = LineWire("theirs")


class World:
    """A door, and everything round it that can be looked at."""

    def __init__(
        self,
        *targets_: Target,
        wire: Wire = WIRE,
        operation: Operation = "chat",
        keys: dict[str, Caller] | None = None,
        mode: Mode = "standard",
        debug: bool = False,
    ) -> None:
        self.notes = Notes()
        self.now = 10.0
        self.surface: Surface = surface(
            *targets_, notes=self.notes, keys=keys, mode=mode, debug=debug
        )
        self.door = ModelDoor(
            wire, lambda: self.surface, lambda: "made-1", lambda: self.now, operation
        )

    def ask(self, body: bytes | None = None, **headers: str) -> Answer:
        return asyncio.run(self.door(request(body, **headers)))


def request(body: bytes | None = None, **headers: str) -> HttpRequest:
    fields = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, value in headers.items()
    ]
    return HttpRequest("POST", "/", b"", fields, body or linewire.request_body(), 9.0)


def whole(**options: object) -> Fake:
    return Fake(targets.whole(wire=WIRE, target="p/m"), name="p/m", **options)  # type: ignore[arg-type]


def streaming(connection: Connection, wire: Wire = WIRE) -> Fake:
    return Fake(targets.streamed(connection, wire=wire), name="p/m")


STREAM = linewire.request_body(stream=True)


async def read(answer: Answer) -> bytes:
    """All of a stream, as the adapter would read it."""
    assert not isinstance(answer.body, bytes)
    body = b"".join([piece async for piece in answer.body])
    await answer.aclose()
    return body


def error(answer: Answer) -> dict[str, str]:
    assert isinstance(answer.body, bytes)
    return msgspec.json.decode(answer.body)


def headers(answer: Answer) -> dict[bytes, bytes]:
    made = dict(answer.headers)
    assert len(made) == len(answer.headers), "a field is there twice"
    return made


# Answers


def test_a_whole_answer_says_who_gave_it_and_what_it_took():
    answer = World(whole()).ask()
    assert answer.status == 200
    assert answer.body == linewire.answer_body()
    assert headers(answer) == {
        b"content-type": b"application/json",
        b"x-request-id": b"made-1",
        b"x-modelmux-target": b"p/m",
        b"x-modelmux-attempts": b"1",
        b"x-modelmux-overhead-ms": b"1000.00",
    }


def test_a_stream_is_not_to_be_held_back_on_the_way():
    connection = Connection(linewire.stream())

    async def scene() -> None:
        answer = await World(streaming(connection)).door(request(STREAM))
        got = headers(answer)
        assert got[b"content-type"] == sse.MEDIA_TYPE
        assert got[b"cache-control"] == b"no-cache"
        assert got[b"x-accel-buffering"] == b"no"
        assert b"x-modelmux-streaming" not in got
        assert await read(answer) == b"".join(linewire.stream())

    play(scene, LOOP)
    assert connection.closed == 1


def test_time_that_others_took_is_not_overhead():
    world = World(whole())

    async def wait() -> None:
        world.now = 13.0
        fake.calls[0].meter.waited_s += 2.5

    fake = Fake(targets.whole(wire=WIRE), name="p/m", on_send=wait)
    world.surface = surface(fake)
    assert headers(world.ask())[b"x-modelmux-overhead-ms"] == b"1500.00"


def test_waits_that_overlap_make_no_negative_overhead():
    async def wait() -> None:
        fake.calls[0].meter.waited_s = 100.0

    fake = Fake(targets.whole(wire=WIRE), name="p/m", on_send=wait)
    assert headers(World(fake).ask())[b"x-modelmux-overhead-ms"] == b"0.00"


def test_what_the_target_lets_the_caller_see_is_seen():
    def answer() -> Reply:
        reply = Reply(Whole(WIRE, linewire.answer_body()), target="p/m")
        reply.headers = {b"request-id": b"req-1"}
        reply.attempts = 3
        reply.losses = [Loss("/a", "b")]
        return reply

    got = headers(World(Fake(answer, name="p/m")).ask())
    assert got[b"request-id"] == b"req-1"
    assert got[b"x-modelmux-attempts"] == b"3"
    assert got[b"x-modelmux-losses"] == b"/a: b"


def test_a_targets_name_is_a_legal_field_value_whatever_it_is():
    evil = "p/m\r\nx-evil: 1é"

    def answer() -> Reply:
        return Reply(Whole(WIRE, linewire.answer_body()), target=evil)

    assert headers(World(Fake(answer, name="p/m")).ask())[b"x-modelmux-target"] == (
        b"p/m??x-evil: 1?"
    )
    exc = Unreachable("gone")
    exc.target = evil
    assert headers(refuse(exc, WIRE, "id"))[b"x-modelmux-target"] == b"p/m??x-evil: 1?"


# What the target is told


def test_the_call_says_all_that_is_known_of_it():
    fake = whole()
    team = Caller("team")
    World(fake, keys={"secret": team}).ask(
        x_api_key="secret",
        x_request_id="mine",
        x_modelmux_tags=" a, b = c ,,d=e=f",
        x_modelmux_timeout="2.5",
        anthropic_beta="beta-1",
        user_agent="curl/8",
    )
    (call,) = fake.calls
    assert call.caller is team
    assert call.id == "mine"
    assert call.tags == {"a": "", "b": "c", "d": "e=f"}
    assert call.deadline == 9.0 + 2.5
    assert call.headers == {"anthropic-beta": "beta-1"}
    assert (call.operation, call.model, call.wire) == ("chat", "m", WIRE)
    assert call.meter.started == 9.0


def test_without_headers_a_call_has_nothing_of_them():
    fake = whole()
    World(fake).ask()
    (call,) = fake.calls
    assert (call.caller, call.id, call.tags) == (ANONYMOUS, "made-1", {})
    assert (call.deadline, call.headers) == (None, {})


def test_every_field_that_a_provider_may_be_sent_is_kept():
    assert catalog.load().forwarded <= set(_TRAVELLING)
    given_ = dict.fromkeys(_TRAVELLING, "x")
    fields = [(name.encode(), value.encode()) for name, value in given_.items()]
    kept = HttpRequest("POST", "/", b"", fields, b"", 0.0).headers
    assert kept == given_


def test_a_key_of_ours_is_not_in_the_call_and_another_is():
    """A provider with `auth = "passthrough"` is sent what is in the call."""
    fake = whole()
    World(fake, keys={"ours": Caller("team")}).ask(x_api_key="ours", authorization="Bearer theirs")
    assert fake.calls[0].headers == {"authorization": "Bearer theirs"}


def test_the_operation_is_the_doors():
    fake = whole()
    World(fake, operation="count_tokens").ask()
    assert fake.calls[0].operation == "count_tokens"


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "-inf", "x", "1s", "1e400"])
def test_a_timeout_that_is_none_is_refused(value: str):
    world = World(whole())
    answer = world.ask(x_modelmux_timeout=value)
    assert answer.status == 400
    (refusal,) = world.notes.refusals
    assert refusal.error.param == "x-modelmux-timeout"


# Refusals


def test_a_request_that_no_target_sees_is_written_down():
    world = World(whole(), keys={"secret": Caller("team")})
    body = linewire.request_body(model="unknown")
    answer = world.ask(body, x_api_key="secret")
    assert answer.status == 404
    (refusal,) = world.notes.refusals
    assert refusal.id == "made-1"
    assert refusal.caller.name == "team"
    assert (refusal.wire, refusal.model) == (WIRE, "unknown")
    assert (refusal.started, refusal.body_bytes) == (9.0, len(body))
    assert headers(answer)[b"x-request-id"] == b"made-1"
    assert b"x-modelmux-attempts" not in headers(answer)


@pytest.mark.parametrize(
    ("body", "fields", "status"),
    [
        (b"not json", {}, 400),
        (b'{"stream":true}', {}, 400),
        (None, {"content_encoding": "gzip"}, 400),
        (linewire.request_body(model="unknown"), {}, 404),
    ],
)
def test_what_is_no_call_reaches_no_target(body: bytes | None, fields: dict[str, str], status: int):
    fake = whole()
    world = World(fake)
    assert world.ask(body, **fields).status == status
    assert fake.calls == []
    assert len(world.notes.refusals) == 1


@pytest.mark.parametrize(("sent", "status"), [({}, 401), ({"x_api_key": "key-1"}, 413)])
def test_a_body_that_was_not_taken_is_a_call_that_was_refused(sent: dict[str, str], status: int):
    """And who is not known is not told how large a body may be."""
    fake = whole()
    world = World(fake, keys={"key-1": Caller("a")})
    asked = request(**sent)
    asked.fault = BodyTooLarge("too much")
    assert asyncio.run(world.door(asked)).status == status
    (refusal,) = world.notes.refusals
    assert (refusal.error.status, refusal.model) == (status, "")
    assert fake.calls == []


def test_a_caller_without_a_key_is_refused_before_the_body_is_looked_at():
    world = World(whole(), keys={"secret": Caller("team")})
    assert world.ask(b"not json").status == 401
    assert world.notes.refusals[0].caller is ANONYMOUS


def test_a_model_that_the_key_does_not_allow_is_denied():
    world = World(whole(), keys={"secret": Caller("team", ("other",))})
    assert world.ask(x_api_key="secret").status == 403


@pytest.mark.parametrize(
    ("exc", "status"),
    [
        (error_of(Failure("invalid_request", "no"), status=418), 418),
        (InvalidRequest("no"), 400),
        (Unrepresentable("no"), 422),
        (RateLimited("no"), 429),
        (LimitExceeded("no"), 429),
        (Overloaded("no"), 503),
        (Unreachable("no"), 502),
        (CredentialRefused("no"), 502),
        (TargetTimeout("no"), 504),
    ],
)
def test_what_a_target_says_is_told_in_the_callers_dialect(exc: GatewayError, status: int):
    world = World(Fake(exc, name="p/m"))
    answer = world.ask()
    assert answer.status == status
    assert "no" in error(answer)["message"]
    assert headers(answer)[b"x-request-id"] == b"made-1"
    assert world.notes.refusals == []  # the layers have written it down


def test_a_failure_says_who_failed_and_how_often_it_was_tried():
    exc = RateLimited("slow down", retry_after_s=1.2)
    exc.target, exc.attempts = "p/m", 3
    got = headers(World(Fake(exc, name="p/m")).ask())
    assert got[b"x-modelmux-target"] == b"p/m"
    assert got[b"x-modelmux-attempts"] == b"3"
    assert got[b"retry-after"] == b"2"


@pytest.mark.parametrize(("seconds", "said"), [(0.0, b"0"), (0.001, b"1"), (60.0, b"60")])
def test_a_pause_is_told_in_whole_seconds(seconds: float, said: bytes):
    exc = LimitExceeded("enough", retry_after_s=seconds)
    assert headers(refuse(exc, WIRE, "id"))[b"retry-after"] == said


@pytest.mark.parametrize(
    ("wire", "shape"), [(openai_chat.WIRE, "error"), (anthropic_messages.WIRE, "type")]
)
def test_every_wire_has_its_own_words_for_a_refusal(wire: Wire, shape: str):
    answer = refuse(InvalidRequest("no"), wire, "id")
    assert shape in error(answer)
    assert answer.status == 400


# The form of a stream


@pytest.mark.parametrize("mode", ["buffered", "never"])
def test_a_form_that_was_not_asked_for_is_told_with_how_to_get_the_other(mode: Mode):
    async def scene() -> None:
        world = World(streaming(Connection(linewire.stream())), mode=mode)
        answer = await world.door(request(STREAM))
        said = headers(answer)[b"x-modelmux-streaming"]
        assert said.startswith(b"buffered; " if mode == "buffered" else b"json; ")
        assert b"accept: text/event-stream" in said
        await answer.aclose()

    play(scene, LOOP)


def test_a_stream_may_be_told_as_a_whole_answer():
    async def scene() -> None:
        connection = Connection(linewire.stream("hi there"))
        answer = await World(streaming(connection), mode="never").door(request(STREAM))
        assert headers(answer)[b"content-type"] == b"application/json"
        assert answer.body == linewire.answer_body("hithere")
        assert connection.closed == 1

    play(scene, LOOP)


def test_a_stream_that_breaks_is_an_error_where_a_whole_answer_is_told():
    async def scene() -> None:
        connection = Connection(linewire.stream()[:2], error=Interrupted("cut"))
        answer = await World(streaming(connection), mode="never").door(request(STREAM))
        assert answer.status == 502
        assert connection.closed == 1

    play(scene, LOOP)


def test_an_answer_that_was_not_asked_for_as_a_stream_has_no_form_to_choose():
    answer = World(whole(), mode="buffered").ask()
    assert b"x-modelmux-streaming" not in headers(answer)


@pytest.mark.parametrize("wire", [WIRE, OTHER], ids=["same wire", "translated"])
@pytest.mark.parametrize(
    ("mode", "agent", "expected"),
    [
        ("standard", "", [b"say a", b"say b"]),
        ("buffered", "", [b"say ab"]),
        ("auto", "basebox", [b"say ab"]),
    ],
)
def test_every_form_says_the_same(wire: Wire, mode: Mode, agent: str, expected: list[bytes]):
    async def scene() -> None:
        connection = Connection(linewire.stream("a b"))
        world = World(streaming(connection, wire), mode=mode)
        answer = await world.door(request(STREAM, openai_organization=agent))
        said = await read(answer)
        assert [line for line in said.split(b"\n\n") if line.startswith(b"say")] == expected
        assert b"finish stop" in said
        assert connection.closed == 1

    play(scene, LOOP)


# Closing


@pytest.mark.parametrize(
    ("mode", "agent"), [("standard", ""), ("buffered", ""), ("auto", "basebox")]
)
@pytest.mark.parametrize("wire", [WIRE, OTHER], ids=["same wire", "translated"])
def test_a_stream_that_is_never_begun_closes_its_reply_once(wire: Wire, mode: Mode, agent: str):
    async def scene() -> None:
        connection = Connection(linewire.stream())
        world = World(streaming(connection, wire), mode=mode)
        answer = await world.door(request(STREAM, openai_organization=agent))
        await answer.aclose()
        assert connection.closed == 1

    play(scene, LOOP)


@pytest.mark.parametrize(
    ("mode", "agent"), [("standard", ""), ("buffered", ""), ("auto", "basebox")]
)
@pytest.mark.parametrize("wire", [WIRE, OTHER], ids=["same wire", "translated"])
def test_a_stream_that_is_left_in_the_middle_closes_its_reply_once(
    wire: Wire, mode: Mode, agent: str
):
    async def scene() -> None:
        connection = Connection(linewire.stream(), gate=asyncio.Event(), hold_after=1)
        world = World(streaming(connection, wire), mode=mode)
        answer = await world.door(request(STREAM, openai_organization=agent))
        assert not isinstance(answer.body, bytes)
        await anext(answer.body)
        await answer.aclose()
        assert connection.closed == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    play(scene, LOOP)


def test_a_caller_who_leaves_while_the_answer_is_gathered_closes_its_reply():
    async def scene() -> None:
        gate = asyncio.Event()
        connection = Connection(linewire.stream(), gate=gate, hold_after=2)
        asking = begin(World(streaming(connection), mode="never").door(request(STREAM)))
        await until(lambda: connection.taken == 2)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert connection.closed == 1

    play(scene, LOOP)


def test_a_defect_in_making_the_answer_closes_the_reply():
    class Broken(LineWire):
        def encode_response(self, response: object, envelope: object) -> bytes:
            raise ZeroDivisionError

        def relay(self, envelope: object, rename: object) -> AsyncGenerator[bytes]:  # type: ignore[override]
            raise ZeroDivisionError

    async def scene() -> None:
        wire = Broken("broken")
        for body in (STREAM, linewire.request_body()):
            connection = Connection(linewire.stream())
            reply = Reply(Chunks(OTHER, connection), target="p/m", aclose=connection.aclose)
            reply.headers = 7 if body is STREAM else {}  # type: ignore[assignment]
            world = World(Fake(lambda reply=reply: reply, name="p/m"), wire=wire)
            with pytest.raises((ZeroDivisionError, AttributeError)):
                await world.door(request(body))
            assert connection.closed == 1

    play(scene, LOOP)


# Debug


def test_what_is_said_is_told_in_debug_mode_only():
    for debug in (False, True):
        world = World(whole(), debug=debug)
        answer = world.ask()
        assert len(world.notes.questions) == debug
        assert world.notes.answers == ([answer] if debug else [])


def test_a_failure_is_told_in_debug_mode_too():
    world = World(Fake(Unreachable("gone"), name="p/m"), debug=True)
    answer = world.ask()
    assert world.notes.answers == [answer]


# Reloading


def test_the_surface_in_force_is_asked_for_each_request():
    world = World(whole())
    assert world.ask().status == 200
    world.surface = surface(Fake(Unreachable("gone"), name="p/m"))
    assert world.ask().status == 502


# Ids


@pytest.mark.parametrize("id_", ["a", "0123-abc_DEF.~", "x" * MAX_REQUEST_ID_BYTES])
def test_a_usable_id_of_the_callers_is_kept(id_: str):
    assert request_id(request(x_request_id=id_), lambda: "made") == id_


@pytest.mark.parametrize(
    "id_", ["", "x" * (MAX_REQUEST_ID_BYTES + 1), "é", "a\tb", "a\x00", "\x7f", "two words"]
)
def test_any_other_id_is_replaced(id_: str):
    assert request_id(request(x_request_id=id_), lambda: "made") == "made"


@given(st.binary(max_size=200))
def test_an_id_is_always_one_line_of_printable_ascii(value: bytes):
    made = HttpRequest("GET", "/", b"", [(b"x-request-id", value)], b"", 0.0)
    id_ = request_id(made, lambda: "made")
    assert 1 <= len(id_) <= MAX_REQUEST_ID_BYTES
    assert all(0x20 <= ord(char) < 0x7F for char in id_)


# Losses

LOSSES = st.lists(st.builds(Loss, st.text(max_size=300), st.text(max_size=300)), max_size=60)


@given(LOSSES)
def test_losses_are_always_a_legal_field_value_of_bounded_length(losses: Sequence[Loss]):
    made = _losses(losses)
    assert len(made) <= MAX_LOSSES_BYTES
    assert all(0x20 <= byte < 0x7F for byte in made)


@given(st.lists(st.builds(Loss, st.text("/ab", max_size=9), st.text("cd", min_size=1)), max_size=9))
def test_few_losses_are_all_told(losses: Sequence[Loss]):
    assert _losses(losses).decode() == "; ".join(f"{loss.path}: {loss.reason}" for loss in losses)


@pytest.mark.parametrize("count", [100, 1000, 100_000])
def test_many_losses_are_told_with_how_many_are_left_out(count: int):
    made = _losses([Loss(f"/messages/{n}", "it has no place") for n in range(count)]).decode()
    *told, rest = made.split("; ")
    assert told[0] == "/messages/0: it has no place"
    assert rest == f"and {count - len(told)} more"


def test_one_loss_that_is_too_long_is_cut_and_not_left_out():
    made = _losses([Loss("/a", "x" * 10_000), Loss("/b", "y")]).decode()
    assert made.startswith("/a: xxx")
    assert made.endswith("; /b: y")
