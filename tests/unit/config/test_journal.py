import asyncio
from collections.abc import AsyncGenerator

import msgspec

from modelmux.config.build import surface
from modelmux.config.journal import Journal
from modelmux.config.lasting import Lasting, Telemetry
from modelmux.config.schema import Config, Provider, Server
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.target.call import Call
from modelmux.telemetry.log import MAX_SHOWN_BYTES
from modelmux.wire import openai_chat
from tests.unit.config.gateways import Lines, loaded

WIRE = openai_chat.WIRE
BODY = b'{"model":"m","messages":[]}'
CALL = Call(WIRE, BODY, WIRE.envelope(BODY), id="c-1")


def journal(**server: object) -> tuple[Journal, Lines]:
    provider = Provider(name="a", type="openai", api_key="sk-the-gateways-own")
    config = Config(providers=(provider,), server=Server(**server))  # type: ignore[arg-type]
    lines = Lines()
    surface_, _ = surface(loaded(config), Lasting(Telemetry(config, output=lines)))
    assert isinstance(surface_.journal, Journal)
    return surface_.journal, lines


def request(body: bytes = b"{}") -> HttpRequest:
    fields = [(b"authorization", b"Bearer sk-callers-secret-key"), (b"user-agent", b"curl")]
    return HttpRequest("POST", "/v1/x", b"", fields, body, 0.0)


def test_what_is_said_is_told_in_debug_mode_without_secrets():
    told, lines = journal(debug=True)
    told.asked(CALL, request(BODY))
    answer = Answer(200, [(b"x-a", b"\xe9")], b"the answer")
    assert told.answered(CALL, answer) is answer
    assert "c-1" in lines.text
    assert "curl" in lines.text
    assert "the answer" in lines.text
    assert "sk-callers-secret-key" not in lines.text


class Pieces:
    """A stream that says whether it was closed."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.has_ended = False

    async def stream(self) -> AsyncGenerator[bytes]:
        try:
            for piece in self.pieces:
                yield piece
        finally:
            self.has_ended = True


def read(answer: Answer, most: int = 1000) -> list[bytes]:
    """The first pieces of an answer; then it is closed."""

    async def reading() -> list[bytes]:
        assert not isinstance(answer.body, bytes)
        got: list[bytes] = []
        async for piece in answer.body:
            got.append(piece)
            if len(got) == most:
                break
        await answer.aclose()
        return got

    return asyncio.run(reading())


def test_a_stream_is_told_once_it_has_ended_and_passed_on_as_it_is():
    told, lines = journal(debug=True)
    pieces = Pieces(b"data: one\n\n", b"data: sk-the-gateways-own\n\n")
    answer = told.answered(CALL, Answer(200, [], pieces.stream()))
    assert "data:" not in lines.text
    assert read(answer) == list(pieces.pieces)
    assert "caller is answered 200" in lines.text
    assert "data: one" in lines.text
    assert "sk-the-gateways-own" not in lines.text


def test_a_stream_whose_caller_left_is_told_as_far_as_it_went():
    told, lines = journal(debug=True)
    pieces = Pieces(b"the first, ", b"the second")
    answer = told.answered(CALL, Answer(200, [], pieces.stream()))
    assert read(answer, most=1) == [b"the first, "]
    assert pieces.has_ended
    assert "caller is answered 200, and left" in lines.text
    assert "the first" in lines.text
    assert "the second" not in lines.text


def test_of_a_long_stream_the_beginning_is_told_and_its_size():
    told, lines = journal(debug=True)
    pieces = Pieces(*[b"x" * 1000] * 100)
    answer = told.answered(CALL, Answer(200, [], pieces.stream()))
    assert b"".join(read(answer)) == b"x" * 100_000
    assert "(100000 bytes in all)" in lines.text
    assert len(lines.text) < MAX_SHOWN_BYTES


def test_closing_an_answer_closes_what_it_stands_for():
    told, _ = journal(debug=True)
    closed: list[bool] = []

    async def aclose() -> None:
        closed.append(True)

    answer = told.answered(CALL, Answer(200, [], Pieces(b"never read").stream(), aclose))
    asyncio.run(answer.aclose())
    assert closed == [True]


def test_a_defect_is_told_with_its_id_and_its_traceback():
    told, lines = journal(log_format="json")
    try:
        raise ZeroDivisionError("oh")
    except ZeroDivisionError as exc:
        told.failed(request(), "id-1", exc)
    line = msgspec.json.decode(lines.text)
    assert "id-1" in lines.text
    assert "ZeroDivisionError" in lines.text
    assert "Traceback" in lines.text
    assert isinstance(line, dict)
