import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import pytest
from msgspec.structs import replace

from modelmux.errors import (
    CredentialRefused,
    GatewayError,
    Interrupted,
    InvalidRequest,
    Overloaded,
    ProtocolViolation,
    RateLimited,
    Rejected,
    TargetError,
    TargetTimeout,
    Unreachable,
    Unrepresentable,
)
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.provider import catalog
from modelmux.provider.auth.base import Credential
from modelmux.provider.auth.static import NoCredential, StaticCredential
from modelmux.provider.body import BodyEdits
from modelmux.provider.endpoint import Endpoint
from modelmux.provider.forward import Forward
from modelmux.provider.keys import KeyRing
from modelmux.provider.model import MAX_RESPONSE_BYTES, Credentials, Host, ModelTarget
from modelmux.target.call import Call
from modelmux.target.reply import Reply
from modelmux.transport.base import Timeouts
from modelmux.transport.fake import Exchange, FakeClient
from modelmux.wire import anthropic_messages, openai_chat, openai_responses
from modelmux.wire.base import Operation, Wire
from modelmux.wire.registry import BY_NAME
from tests.support.targets import FakeClock, admission

OPENAI = openai_chat.WIRE
ANTHROPIC = anthropic_messages.WIRE
TIMEOUTS = Timeouts(connect_s=1.0)
JSON = (b"content-type", b"application/json")
SSE = (b"content-type", b"text/event-stream; charset=utf-8")

COMPLETION = (
    b'{"id":"c-1","object":"chat.completion","created":1,"model":"up-1","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
)
ANSWER = (
    b'{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"up-1",'
    b'"output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant",'
    b'"content":[{"type":"output_text","text":"hi","annotations":[]}]}],'
    b'"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}'
)
MESSAGE = (
    b'{"id":"m-1","type":"message","role":"assistant","model":"up-1","content":[{"type":"text",'
    b'"text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,'
    b'"usage":{"input_tokens":3,"output_tokens":2}}'
)


def chunk(delta: object, finish: str | None = None) -> bytes:
    said = {
        "id": "c-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "up-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + msgspec.json.encode(said) + b"\n\n"


CHUNKS = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "hi"}),
    chunk({}, "stop"),
    b"data: [DONE]\n\n",
]


class Gate(asyncio.Event):
    """Holds a script back; `reached` says that it stands here."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def wait(self) -> Literal[True]:
        self.reached.set()
        return await super().wait()


class World:
    """A provider's model, and everything round it that can be looked at."""

    def __init__(
        self,
        *exchanges: Exchange,
        type_: str = "openai",
        credentials: Sequence[Credential] = (StaticCredential("bearer", "sk-ours-1"),),
        passthrough: Credentials | None = None,
        upstream: str = "up-1",
        profile: Profile = UNKNOWN,
    ) -> None:
        row = catalog.load().provider(type_)
        self.clock = FakeClock()
        self.client = FakeClient(exchanges)
        self.ring = KeyRing("prov", credentials)
        host = Host(
            name="prov",
            wires=tuple(BY_NAME[wire.wire] for wire in row.wires),
            endpoint=Endpoint(row, base_url="http://prov.invalid/v1"),
            client=self.client,
            admission=admission(self.ring, self.clock),
            forward=Forward(row),
            edits=BodyEdits(row),
            timeouts=TIMEOUTS,
            now=self.clock,
            unix_time=lambda: 1_795_000_000.0,
            passthrough=passthrough,
        )
        self.target = ModelTarget(host, "asked", upstream, profile)

    def send(self, call: Call) -> Reply:
        return asyncio.run(self.target.send(call))

    def read(self, call: Call) -> bytes:
        """The whole of what the caller gets."""

        async def run() -> bytes:
            reply = await self.target.send(call)
            if call.envelope.stream:
                return b"".join([piece async for piece in reply.stream(call.wire, call.envelope)])
            return await reply.body(call.wire, call.envelope)

        return asyncio.run(run())

    @property
    def head(self) -> str:
        return self.client.requests[-1].head.decode()

    @property
    def sent(self) -> dict[str, object]:
        """The body that was sent last."""
        return msgspec.json.decode(self.client.requests[-1].body)

    @property
    def keys_sent(self) -> list[str]:
        heads = [request.head.decode() for request in self.client.requests]
        return [head.partition("authorization: Bearer ")[2].split("\r\n")[0] for head in heads]

    def leaks(self) -> bool:
        """Whether some response was neither read to its end nor closed."""
        return any(not (each.is_closed or each.is_exhausted) for each in self.client.responses)


def ok(body: bytes = COMPLETION, *more: tuple[bytes, bytes]) -> Exchange:
    return Exchange(200, [JSON, *more], [body])


def streamed(*pieces: bytes | GatewayError | asyncio.Event) -> Exchange:
    return Exchange(200, [SSE], pieces or CHUNKS)


def error(status: int, *more: tuple[bytes, bytes], message: str = "no") -> Exchange:
    body = b'{"error":{"message":"%s","type":"t","code":null}}' % message.encode()
    return Exchange(status, [JSON, *more], [body])


def call(
    wire: Wire = OPENAI,
    *,
    stream: bool = False,
    operation: Operation = "chat",
    headers: Mapping[str, str] | None = None,
    **fields: object,
) -> Call:
    said: dict[str, object] = {"model": "asked", "messages": [{"role": "user", "content": "yo"}]}
    if wire is ANTHROPIC and operation == "chat":
        said["max_tokens"] = 10
    if stream:
        said["stream"] = True
    body = msgspec.json.encode({**said, **fields})
    made = Call(wire, body, wire.envelope(body), operation=operation, id="c1")
    made.headers = headers or {}
    return made


def keys(count: int) -> list[Credential]:
    return [StaticCredential("bearer", f"sk-ours-{number}") for number in range(1, count + 1)]


# What is sent


def test_a_callers_body_on_the_providers_wire_is_sent_as_it_came_but_for_the_model():
    world = World(ok())
    odd = b'{"messages":[{"role":"user","content":"\\u0079o"}],"unheard_of":[1, 2],"model":"asked"}'
    world.read(Call(OPENAI, odd, OPENAI.envelope(odd)))
    assert world.client.requests[0].body == (
        b'{"messages":[{"role":"user","content":"\\u0079o"}],"unheard_of":[1, 2],"model":"up-1"}'
    )


def test_a_caller_on_another_wire_is_translated():
    world = World(ok())
    answer = world.read(call(ANTHROPIC, system="be brief"))
    messages = world.sent["messages"]
    assert isinstance(messages, list)
    assert [message["role"] for message in messages] == ["system", "user"]
    assert world.sent["model"] == "up-1"
    assert msgspec.json.decode(answer)["content"] == [{"type": "text", "text": "hi"}]


def test_what_the_model_needs_is_respected_in_translation():
    world = World(ok(), profile=Profile(refuses=frozenset({"temperature"})))
    reply = world.send(call(ANTHROPIC, temperature=0.5))
    assert "temperature" not in world.sent
    assert ["temperature" in loss.path for loss in reply.losses] == [True]


def test_the_request_goes_where_the_operation_is_with_our_key():
    world = World(ok())
    world.read(call())
    assert world.head.startswith("POST /v1/chat/completions HTTP/1.1\r\nhost: prov.invalid\r\n")
    assert world.keys_sent == ["sk-ours-1"]
    assert world.client.requests[0].timeouts == TIMEOUTS


def test_the_callers_deadline_is_the_transports():
    world = World(ok())
    world.read(call().with_deadline(77.0))
    assert world.client.requests[0].deadline == 77.0


def test_a_model_in_the_path_is_not_in_the_body():
    row = catalog.load().provider("vertex")
    settings = {"project": "p", "location": "l", "publisher": "anthropic"}
    world = World(ok(MESSAGE))
    host = Host(
        name="vertex",
        wires=(ANTHROPIC,),
        endpoint=Endpoint(row, base_url="http://v.invalid/v1", settings=settings),
        client=world.client,
        admission=admission(world.ring, world.clock),
        forward=Forward(row),
        edits=BodyEdits(row),
        timeouts=TIMEOUTS,
        now=world.clock,
        unix_time=world.clock,
    )
    asked = call(ANTHROPIC, headers={"anthropic-beta": "context-1m-2025-08-07,nonsense"})
    reply = asyncio.run(ModelTarget(host, "asked", "claude@1", UNKNOWN).send(asked))
    line = "POST /v1/projects/p/locations/l/publishers/anthropic/models/claude@1:rawPredict "
    assert world.head.startswith(line)
    assert "model" not in world.sent
    assert world.sent["anthropic_beta"] == ["context-1m-2025-08-07"]
    assert "anthropic-beta" not in world.head
    assert [loss.path for loss in reply.losses] == ["anthropic-beta"]


# Whose credentials travel

STRANGE = {
    "authorization": "Bearer callers-secret",
    "x-api-key": "callers-secret",
    "x-goog-api-key": "callers-secret",
    "cookie": "callers-secret",
    "x-forwarded-for": "callers-secret",
    "host": "callers-secret",
}


@pytest.mark.parametrize("type_", ["openai", "anthropic", "openai_compatible", "ollama"])
def test_nothing_of_the_callers_headers_leaks(type_: str):
    wire = ANTHROPIC if type_ == "anthropic" else OPENAI
    world = World(ok(MESSAGE if wire is ANTHROPIC else COMPLETION), type_=type_)
    world.read(call(wire, headers=STRANGE))
    assert "callers-secret" not in world.head


def test_what_the_providers_row_allows_travels():
    world = World(ok())
    world.read(call(headers={"idempotency-key": "k-1", "anthropic-beta": "some-beta"}))
    assert "idempotency-key: k-1\r\n" in world.head
    assert "anthropic-beta" not in world.head


def test_a_beta_that_the_provider_refuses_is_a_loss():
    world = World(ok(MESSAGE), type_="anthropic")
    reply = world.send(call(ANTHROPIC, headers={"anthropic-beta": "good-1,oauth-2025-04-20"}))
    assert "anthropic-beta: good-1\r\n" in world.head
    assert ["oauth" in loss.reason for loss in reply.losses] == [True]


def test_a_header_that_would_break_the_framing_does_not_travel():
    world = World(ok())
    world.read(call(headers={"idempotency-key": "a\r\nx-evil: 1"}))
    assert "evil" not in world.head


def passing(headers: Mapping[str, str]) -> bytes:
    return f"authorization: {headers.get('authorization', '-')}\r\n".encode()


def test_with_passthrough_the_callers_credentials_travel_and_ours_do_not():
    world = World(ok(), passthrough=passing)
    world.read(call(headers=STRANGE))
    assert world.keys_sent == ["callers-secret"]
    assert "sk-ours" not in world.head
    assert "x-api-key" not in world.head


@pytest.mark.parametrize("status", [401, 402, 403])
def test_with_passthrough_a_refusal_is_for_the_caller_and_benches_no_key(status: int):
    world = World(error(status), passthrough=passing, credentials=keys(2))
    with pytest.raises(Rejected) as caught:
        world.send(call(headers=STRANGE))
    assert caught.value.status == status
    assert len(world.client.requests) == 1
    assert world.ring.usable(world.clock()) == 2


def test_with_passthrough_a_rate_limit_is_not_tried_with_the_same_key():
    world = World(error(429), passthrough=passing, credentials=keys(2))
    with pytest.raises(RateLimited):
        world.send(call())
    assert len(world.client.requests) == 1


# What comes back


def test_the_answer_on_the_callers_wire_is_the_providers_under_the_name_asked_for():
    world = World(ok())
    assert world.read(call()) == COMPLETION.replace(b'"up-1"', b'"asked"')


def test_the_answer_is_untouched_where_the_provider_calls_the_model_the_same():
    world = World(ok(), upstream="asked")
    assert world.read(call()) == COMPLETION


def test_a_stream_on_the_callers_wire_is_passed_on_under_the_name_asked_for():
    world = World(streamed())
    answer = world.read(call(stream=True))
    assert answer.startswith(CHUNKS[0].replace(b"up-1", b"asked"))
    assert answer.endswith(b"data: [DONE]\n\n")
    assert world.head.startswith("POST /v1/chat/completions ")


def test_a_stream_on_another_wire_is_translated():
    world = World(streamed())
    answer = world.read(call(ANTHROPIC, stream=True))
    assert b"event: message_start" in answer
    assert b'"hi"' in answer
    assert b"event: message_stop" in answer
    assert not world.leaks()


def test_a_stream_that_nobody_asked_for_is_folded_into_the_answer():
    world = World(streamed())
    answer = msgspec.json.decode(world.read(call()))
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"] == "hi"
    assert not world.leaks()


def test_a_whole_answer_where_a_stream_was_asked_for_is_told_as_one():
    world = World(ok())
    answer = world.read(call(stream=True))
    assert b"chat.completion.chunk" in answer
    assert b'"hi"' in answer
    assert answer.endswith(b"data: [DONE]\n\n")


def test_without_a_content_type_the_answer_is_what_was_asked_for():
    assert World(Exchange(200, (), CHUNKS)).send(call(stream=True)).is_stream
    assert not World(Exchange(200, (), [COMPLETION])).send(call()).is_stream


@pytest.mark.parametrize(
    ("fields", "shown", "logged"),
    [
        ([(b"request-id", b"req-1")], {b"request-id": b"req-1"}, "req-1"),
        ([(b"x-request-id", b"req-2")], {}, "req-2"),
        ([(b"request-id", b"a"), (b"x-request-id", b"b")], {b"request-id": b"a"}, "a"),
        ([(b"request-id", b"\xe9")], {b"request-id": b"\xe9"}, "\xe9"),
        ([], {}, ""),
    ],
)
def test_the_providers_own_id_is_kept(
    fields: list[tuple[bytes, bytes]], shown: dict[bytes, bytes], logged: str
):
    reply = World(ok(COMPLETION, *fields)).send(call())
    assert dict(reply.headers) == shown
    assert reply.upstream_id == logged


def test_time_spent_waiting_for_the_provider_is_not_the_gateways():
    async def run() -> None:
        before, inside = Gate(), Gate()
        world = World(Exchange(200, [JSON], [inside, COMPLETION], [before]))
        asked = call()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(world.target.send(asked))
            for gate, seconds in ((before, 2.0), (inside, 3.0)):
                await gate.reached.wait()
                world.clock.advance(seconds)
                gate.set()
        assert asked.meter.waited_s == 5.0

    asyncio.run(run())


# Counting tokens


def test_tokens_are_counted_by_a_provider_that_counts():
    world = World(ok(b'{"input_tokens":42}'), type_="anthropic")
    asked = call(ANTHROPIC, operation="count_tokens")

    async def run() -> bytes:
        reply = await world.target.send(asked)
        await reply.peek(ANTHROPIC)
        assert reply.losses == ()
        return await reply.body(ANTHROPIC, asked.envelope)

    assert asyncio.run(run()) == b'{"input_tokens":42}'
    assert world.head.startswith("POST /v1/messages/count_tokens ")
    assert world.sent["model"] == "up-1"


def test_tokens_are_guessed_where_the_provider_speaks_another_wire():
    world = World()
    asked = call(ANTHROPIC, operation="count_tokens")
    body = msgspec.json.decode(world.read(asked))
    assert body["input_tokens"] > 0
    assert world.client.requests == []


def test_a_provider_that_breaks_off_counting_is_told_as_such():
    world = World(error(529), type_="anthropic")
    with pytest.raises(Overloaded):
        world.send(call(ANTHROPIC, operation="count_tokens"))


# What cannot be said

AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}


def test_content_that_would_not_be_heard_is_refused_by_name_and_nothing_is_sent():
    world = World(type_="anthropic")
    with pytest.raises(Unrepresentable) as caught:
        world.send(call(messages=[{"role": "user", "content": [AUDIO]}]))
    assert caught.value.status == 422
    (loss,) = caught.value.losses
    assert "audio" in loss
    assert caught.value.message == f"prov/asked cannot be told all of the request: {loss}"
    assert world.client.requests == []


def test_a_body_that_is_no_request_is_the_callers_mistake_and_nothing_is_sent():
    world = World()
    with pytest.raises(InvalidRequest):
        world.send(call(ANTHROPIC, messages=[{"role": "nobody", "content": "x"}]))
    assert world.client.requests == []


# Keys


def test_a_rate_limited_key_makes_room_for_the_next_at_once():
    world = World(error(429), ok(), credentials=keys(2))
    reply = world.send(call())
    assert world.keys_sent == ["sk-ours-1", "sk-ours-2"]
    assert reply.attempts == 2
    assert not world.leaks()


def test_a_rate_limit_of_every_key_is_the_callers_to_wait_for():
    world = World(*[error(429, (b"retry-after", b"7"))] * 3, credentials=keys(3))
    with pytest.raises(RateLimited) as caught:
        world.send(call())
    assert world.keys_sent == ["sk-ours-1", "sk-ours-2", "sk-ours-3"]
    assert caught.value.attempts == 3
    assert caught.value.retry_after_s == 7
    assert caught.value.target == "prov/asked"


@pytest.mark.parametrize("count", [1, 3])
def test_a_provider_that_always_wants_the_call_again_at_once_does_not_get_it_for_ever(count: int):
    world = World(*[error(429, (b"retry-after", b"0"))] * 100, credentials=keys(count))
    with pytest.raises(RateLimited) as caught:
        world.send(call())
    assert caught.value.attempts == len(world.client.requests) == 2 * count


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_key_is_benched_and_the_next_one_tried(status: int):
    world = World(error(status), ok(), ok(), credentials=keys(2))
    assert world.send(call()).attempts == 2
    assert world.send(call()).attempts == 1
    assert world.keys_sent == ["sk-ours-1", "sk-ours-2", "sk-ours-2"]
    assert world.ring.usable(world.clock()) == 1


@pytest.mark.parametrize("status", [401, 402, 403])
def test_when_every_key_is_refused_so_is_the_call(status: int):
    world = World(error(status), error(status), credentials=keys(2))
    with pytest.raises(CredentialRefused) as caught:
        world.send(call())
    assert caught.value.attempts == 2
    assert caught.value.status == 502


def test_keys_that_all_rest_are_not_tried():
    world = World(error(429, (b"retry-after", b"9")), credentials=keys(1))
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            world.send(call())
    assert len(world.client.requests) == 1
    assert caught.value.attempts == 0
    assert caught.value.target == "prov/asked"
    assert caught.value.retry_after_s == 9


def test_a_key_that_rests_for_one_model_serves_another():
    world = World(error(429), ok(), credentials=keys(1))
    with pytest.raises(RateLimited):
        world.send(call())
    other = ModelTarget(world.target._host, "other", "up-2", UNKNOWN)
    assert asyncio.run(other.send(call())).attempts == 1


@pytest.mark.parametrize("status", [400, 404, 408, 409, 413, 422, 500, 502, 503, 504, 529])
def test_what_is_not_about_the_key_is_not_tried_with_another(status: int):
    world = World(error(status), credentials=keys(2))
    with pytest.raises(TargetError):
        world.send(call())
    assert len(world.client.requests) == 1
    assert world.ring.usable(world.clock()) == 2


class Token:
    """A credential that is got by asking, and then got anew."""

    def __init__(self, *steps: str | TargetError) -> None:
        self._steps = iter(steps)
        self._block: bytes | None = None

    def block(self) -> bytes | None:
        return self._block

    async def refresh(self) -> bytes:
        step = next(self._steps)
        if isinstance(step, TargetError):
            raise step
        self._block = f"authorization: Bearer {step}\r\n".encode()
        return self._block

    def expire(self, block: bytes) -> bool:
        if block == self._block:
            self._block = None
        return True

    async def aclose(self) -> None: ...


def test_a_token_that_was_withdrawn_is_got_anew_once():
    world = World(error(401), ok(), credentials=[Token("t-1", "t-2")])
    assert world.send(call()).attempts == 2
    assert world.keys_sent == ["t-1", "t-2"]


def test_a_token_that_is_refused_again_ends_the_call():
    world = World(*[error(401)] * 9, credentials=[Token(*(f"t-{n}" for n in range(9)))])
    with pytest.raises(CredentialRefused) as caught:
        world.send(call())
    assert caught.value.attempts == len(world.client.requests) == 2


def test_an_issuer_that_cannot_be_reached_is_told_of_and_nothing_is_sent():
    world = World(credentials=[Token(Unreachable("no route to the issuer"))])
    with pytest.raises(Unreachable) as caught:
        world.send(call())
    assert caught.value.target == "prov/asked"
    assert world.client.requests == []


# Failures


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Rejected),
        (404, Rejected),
        (413, Rejected),
        (418, Rejected),
        (429, RateLimited),
        (408, TargetTimeout),
        (500, TargetError),
        (503, Overloaded),
        (504, TargetTimeout),
        (529, Overloaded),
        (301, ProtocolViolation),
        (304, ProtocolViolation),
        (307, ProtocolViolation),
        (199, ProtocolViolation),
        (600, ProtocolViolation),
        (999, ProtocolViolation),
    ],
)
def test_every_status_but_success_is_an_error_of_its_kind(status: int, expected: type[TargetError]):
    world = World(error(status, (b"location", b"http://elsewhere.invalid/")))
    with pytest.raises(expected) as caught:
        world.send(call())
    assert caught.value.target == "prov/asked"
    assert caught.value.attempts == 1
    assert caught.value.upstream_status == status
    assert len(world.client.requests) == 1
    assert not world.leaks()


def test_a_refusal_keeps_the_providers_words():
    with pytest.raises(Rejected, match="no such parameter"):
        World(error(400, message="no such parameter")).send(call())


@pytest.mark.parametrize("broken", [Interrupted("cut"), ProtocolViolation("too long")])
def test_an_error_whose_body_cannot_be_read_is_what_its_status_says(broken: GatewayError):
    world = World(Exchange(401, [JSON], [b'{"err', broken]), ok(), credentials=keys(2))
    assert world.send(call()).attempts == 2
    assert not world.leaks()


def test_an_error_body_without_end_is_not_read():
    endless = Exchange(503, [JSON], [b"x" * 1024 * 1024] * 3)
    world = World(endless)
    with pytest.raises(Overloaded):
        world.send(call())
    assert not world.leaks()


def test_no_connection_is_told_with_the_targets_name():
    world = World(Exchange(before=[Unreachable("refused")]), credentials=keys(2))
    with pytest.raises(Unreachable) as caught:
        world.send(call())
    assert caught.value.target == "prov/asked"
    assert len(world.client.requests) == 1


def test_an_answer_that_breaks_off_before_it_is_whole_is_a_failure_with_all_its_attempts():
    cut = Exchange(200, [JSON], [b'{"id":', Interrupted("cut")])
    world = World(error(429), cut, credentials=keys(2))
    with pytest.raises(Interrupted) as caught:
        world.send(call())
    assert caught.value.target == "prov/asked"
    assert caught.value.attempts == 2


def test_an_answer_too_long_to_be_one_is_not_kept():
    half = b"x" * (MAX_RESPONSE_BYTES // 2 + 1)
    world = World(Exchange(200, [JSON], [half, half]))
    with pytest.raises(ProtocolViolation):
        world.send(call())
    assert not world.leaks()


# Closing


def test_a_stream_that_is_given_up_closes_its_response():
    async def run() -> None:
        world = World(streamed(CHUNKS[0], asyncio.Event()))
        reply = await world.target.send(call(stream=True))
        await reply.aclose()
        assert [response.is_closed for response in world.client.responses] == [True]

    asyncio.run(run())


@pytest.mark.parametrize("status", [200, 429, 500])
def test_a_caller_who_leaves_while_the_answer_is_read_leaves_no_response_open(status: int):
    async def run() -> None:
        gate = Gate()
        world = World(Exchange(status, [JSON], [b"{", gate]), credentials=keys(2))
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(world.target.send(call()))
            await gate.reached.wait()
            sending.cancel()
        assert sending.cancelled()
        assert [response.is_closed for response in world.client.responses] == [True]
        assert world.ring.usable(world.clock()) == 2

    asyncio.run(run())


def test_a_caller_who_leaves_before_the_answer_has_begun_is_noticed():
    async def run() -> None:
        gate = Gate()
        world = World(Exchange(before=[gate]))
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(world.target.send(call()))
            await gate.reached.wait()
            sending.cancel()
        assert sending.cancelled()
        assert world.client.responses == []

    asyncio.run(run())


def test_a_provider_without_keys_is_asked_without_one():
    world = World(ok(), type_="ollama", credentials=[NoCredential()])
    world.read(call())
    assert "authorization" not in world.head


# Which of the provider's wires is spoken

RESPONSES = openai_responses.WIRE
TOOLS = [{"type": "function", "function": {"name": "f"}}]
THINKS = Profile(wire="openai.responses", tools_wire="openai.responses", reasoning="effort")


@pytest.mark.parametrize(
    ("profile", "fields", "path"),
    [
        (UNKNOWN, {"tools": TOOLS, "reasoning_effort": "high"}, "/chat/completions"),
        (THINKS, {}, "/chat/completions"),
        (THINKS, {"tools": [], "reasoning_effort": "high"}, "/chat/completions"),
        (THINKS, {"tools": TOOLS, "reasoning_effort": "none"}, "/chat/completions"),
        (THINKS, {"tools": TOOLS, "reasoning_effort": "low"}, "/responses"),
        (THINKS, {"tools": TOOLS}, "/responses"),
        (replace(THINKS, default_effort="none"), {"tools": TOOLS}, "/chat/completions"),
    ],
)
def test_a_model_that_calls_tools_while_it_thinks_on_one_wire_only_is_asked_there(
    profile: Profile, fields: dict[str, object], path: str
):
    world = World(ok(ANSWER if path == "/responses" else COMPLETION), profile=profile)
    body = msgspec.json.decode(world.read(call(**fields)))
    assert body["choices"][0]["message"]["content"] == "hi"
    assert world.head.startswith(f"POST /v1{path} ")


@pytest.mark.parametrize(
    ("profile", "path"), [(UNKNOWN, "/chat/completions"), (THINKS, "/responses")]
)
def test_callers_of_another_wire_are_answered_on_the_models_best(profile: Profile, path: str):
    world = World(ok(ANSWER if path == "/responses" else COMPLETION), profile=profile)
    assert msgspec.json.decode(world.read(call(ANTHROPIC)))["content"][0]["text"] == "hi"
    assert world.head.startswith(f"POST /v1{path} ")
