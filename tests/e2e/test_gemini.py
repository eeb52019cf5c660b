"""Gemini as a target: conversations that keep what it wants back, and answers that are none."""

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass

import anthropic
import msgspec
import openai
import pytest

from tests.support import http1, plain, stage
from tests.support.cases import case
from tests.support.gateway import Gateway, running
from tests.support.goldens import Golden, goldens
from tests.support.stage import Stage
from tests.support.upstream import Do

MODEL = "gemini-3.1-pro-preview"
TURNS = 10

SPARES = 120
"""Providers, one for each test: an error takes out the key that it came for."""

PROVIDER = """
[[providers]]
name = "google-{number}"
type = "gemini"
base_url = "{base_url}"
api_key = "goog-1"
"""

Piece = dict[str, object]


@dataclass(frozen=True)
class House:
    """A gateway in front of a stage that plays Google."""

    gateway: Gateway
    google: Stage
    numbers: Iterator[int]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House, None, None]:
    with stage.running() as google:
        config = "[server]\nenable_retries = false\n"
        for number in range(SPARES):
            config += PROVIDER.format(number=number, base_url=google.base_url)
        with running(config, tmp_path_factory.mktemp("house")) as made:
            yield House(made, google, iter(range(SPARES)))


@pytest.fixture
def gateway(house: House) -> Gateway:
    return house.gateway


@pytest.fixture
def google(house: House) -> Stage:
    house.google.play()
    return house.google


@pytest.fixture
def model(house: House) -> str:
    """A model whose key no test has used."""
    return f"google-{next(house.numbers)}/{MODEL}"


def signature(turn: int, name: str) -> str:
    """Base64 with every odd letter that there is."""
    import base64

    return base64.b64encode(bytes([0xFB, 0xEF, 0xFF, turn]) + name.encode() * (turn + 1)).decode()


def said(turn: int) -> list[Piece]:
    """What the model says in a turn: it thinks, speaks, and calls two tools, or speaks at last."""
    thought: Piece = {"text": f"Thinking of {turn}.", "thought": True}
    text: Piece = {"text": f"I look {turn}.", "thoughtSignature": signature(turn, "text")}
    if turn == TURNS - 1:
        return [thought, text]
    first: Piece = {
        "functionCall": {"name": "look", "args": {"at": turn}},
        "thoughtSignature": signature(turn, "call"),
    }
    second: Piece = {"functionCall": {"name": "now", "args": {}}}
    if turn % 3 == 1:  # sometimes the API gives ids, and no words
        first["functionCall"] = {"name": "look", "args": {"at": turn}, "id": f"own{turn}"}
        second["functionCall"] = {"name": "now", "args": {}, "id": f"own{turn}b"}
        return [first, second]
    return [thought, text, first, second]


def answer(turn: int, *, streamed: bool) -> list[bytes]:
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    about = {"modelVersion": MODEL, "responseId": f"resp{turn}", "usageMetadata": usage}

    def piece(*parts: Piece, finish: str | None = None) -> object:
        content = {"parts": list(parts), "role": "model"}
        return {"candidates": [{"content": content, "finishReason": finish, "index": 0}], **about}

    if not streamed:
        return [http1.answer(200, piece(*said(turn), finish="STOP"))]
    frames = [piece(part) for part in said(turn)]
    frames.append(piece({"text": ""}, finish="STOP"))
    data = b"".join([b"data: " + msgspec.json.encode(frame) + b"\r\n\r\n" for frame in frames])
    return [http1.stream_head(), http1.chunk(data), http1.LAST_CHUNK]


def expected(turn: int) -> list[Piece]:
    """How the model's turn comes back: all but its unsigned thoughts, which nobody wants."""
    return [piece for piece in said(turn) if "thought" not in piece]


def results(turn: int) -> list[Piece]:
    calls = [part["functionCall"] for part in said(turn) if "functionCall" in part]
    out: list[Piece] = []
    for call in calls:
        assert isinstance(call, dict)
        response: Piece = {"name": call["name"], "response": {"result": f"{call['name']} {turn}"}}
        if "id" in call:
            response["id"] = call["id"]
        out.append({"functionResponse": response})
    return out


def check(google: Stage) -> None:
    """Every request held all turns before it, as they were said."""
    assert len(google.requests) == TURNS
    for turn, request in enumerate(google.requests):
        contents = msgspec.json.decode(request.body)["contents"]
        history: list[Piece] = [{"role": "user", "parts": [{"text": "Begin."}]}]
        for before in range(turn):
            history.append({"role": "model", "parts": expected(before)})
            history.append({"role": "user", "parts": results(before)})
        assert contents == history, turn


def openai_turns(gateway: Gateway, model: str, *, streamed: bool, forgetful: bool = False) -> None:
    """Ten turns of a caller of OpenAI's; a forgetful one sends back only what OpenAI documents."""
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
        for name in ("look", "now")
    ]
    history: list[dict[str, object]] = [{"role": "user", "content": "Begin."}]
    with openai.OpenAI(base_url=gateway.openai_url, api_key="x", max_retries=0) as client:
        for turn in range(TURNS):
            body = {"model": model, "messages": history, "tools": tools}
            if streamed:
                message = _gathered(client.chat.completions.create(**body, stream=True))  # type: ignore[call-overload]
            else:
                completion = client.chat.completions.create(**body)  # type: ignore[call-overload]
                message = completion.choices[0].message.model_dump(exclude_none=True)
            if forgetful:
                known = ("role", "content", "tool_calls")
                message = {name: message[name] for name in known if name in message}
            history.append(message)
            history += [
                {
                    "role": "tool",
                    "tool_call_id": call["id"],
                    "content": f"{call['function']['name']} {turn}",
                }
                for call in message.get("tool_calls", ())
            ]


def _gathered(chunks: "openai.Stream[openai.types.chat.ChatCompletionChunk]") -> dict[str, object]:
    """The message that a stream is, as chat clients put it together."""
    message: dict[str, object] = {"role": "assistant"}
    calls: dict[int, dict[str, object]] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            delta = choice.delta.model_dump(exclude_none=True)
            if "content" in delta:
                message["content"] = f"{message.get('content', '')}{delta['content']}"
            if "reasoning_details" in delta:
                message.setdefault("reasoning_details", []).extend(delta["reasoning_details"])  # type: ignore[attr-defined]
            for call in delta.get("tool_calls", ()):
                known = calls.setdefault(call["index"], {"type": "function", "function": {}})
                if "id" in call:
                    known["id"] = call["id"]
                function = known["function"]
                assert isinstance(function, dict)
                for name, value in call["function"].items():
                    function[name] = function.get(name, "") + value
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return message


def anthropic_turns(gateway: Gateway, model: str, *, streamed: bool) -> None:
    """Ten turns of a caller of Anthropic's, which sends back what it got."""
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("look", "now")]
    history: list[dict[str, object]] = [{"role": "user", "content": "Begin."}]
    with anthropic.Anthropic(base_url=gateway.base_url, api_key="x", max_retries=0) as client:
        for turn in range(TURNS):
            body = {
                "model": model,
                "max_tokens": 1000,
                "messages": history,
                "tools": tools,
            }
            if streamed:
                with client.messages.stream(**body) as stream:  # type: ignore[arg-type]
                    message = stream.get_final_message()
            else:
                message = client.messages.create(**body)  # type: ignore[call-overload]
            blocks = [block.model_dump(exclude_none=True) for block in message.content]
            history.append({"role": "assistant", "content": blocks})
            answers = [
                {
                    "type": "tool_result",
                    "tool_use_id": block["id"],
                    "content": f"{block['name']} {turn}",
                }
                for block in blocks
                if block["type"] == "tool_use"
            ]
            history.append({"role": "user", "content": answers or "Thanks."})


@case(59)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("turns", [openai_turns, anthropic_turns])
def test_ten_turns_come_back_as_they_were_said(
    gateway: Gateway, google: Stage, model: str, turns: Callable[..., None], streamed: bool
) -> None:
    google.play(*[answer(turn, streamed=streamed) for turn in range(TURNS)])
    turns(gateway, model, streamed=streamed)
    check(google)


@case(59)
def test_a_caller_that_keeps_ids_only_keeps_the_signatures_of_calls(
    gateway: Gateway, google: Stage, model: str
) -> None:
    google.play(*[answer(turn, streamed=False) for turn in range(TURNS)])
    openai_turns(gateway, model, streamed=False, forgetful=True)
    last = msgspec.json.decode(google.requests[-1].body)["contents"]
    calls = [part for turn in last for part in turn["parts"] if "functionCall" in part]
    assert [part.get("thoughtSignature") for part in calls] == [
        each for turn in range(TURNS - 1) for each in (signature(turn, "call"), None)
    ]


def ask(gateway: Gateway, model: str, dialect: str, *, stream: bool) -> plain.Answer:
    """One question in a dialect of a caller's."""
    if dialect == "gemini":
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        path, body = f"/v1beta/models/{model}:{verb}", {"contents": [{"parts": [{"text": "hi"}]}]}
    elif dialect == "ollama":
        path = "/api/chat"
        message = {"role": "user", "content": "hi"}
        body = {"model": model, "stream": stream, "messages": [message]}
    else:
        path = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}[dialect]
        message = {"role": "user", "content": "hi"}
        body = {"model": model, "max_tokens": 9, "stream": stream, "messages": [message]}
    return plain.request(gateway.base_url, "POST", path, body)


ERROR = {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}
PIECE = {"candidates": [{"content": {"parts": [{"text": "half"}], "role": "model"}, "index": 0}]}

BROKEN: Mapping[str, tuple[bytes, int]] = {
    "not JSON": (http1.answer(200, b"{"), 502),
    "a page": (http1.answer(200, b"<html>"), 502),
    "an error in a 200": (http1.answer(200, ERROR), 429),
    "an error in a list in a 200": (http1.answer(200, [ERROR]), 429),
    "an error in a list": (http1.answer(429, [ERROR]), 429),
    "an empty object": (http1.answer(200, {}), 502),
    "cut short": (http1.answer(200, PIECE)[:-5], 502),
}
"""Whole answers that are none, and the status that callers get."""

DIALECTS = ("openai", "anthropic", "gemini", "ollama")


def error_of(dialect: str, body: bytes) -> str:
    """The message of an error in a dialect."""
    told = msgspec.json.decode(body)["error"]
    if dialect == "ollama":
        assert isinstance(told, str)
        return told
    assert {"openai": "type", "anthropic": "type", "gemini": "status"}[dialect] in told
    return told["message"]


@case(102, 106)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", BROKEN)
def test_a_whole_answer_that_is_none_is_an_error_in_the_caller_s_words(
    gateway: Gateway, google: Stage, model: str, dialect: str, name: str
) -> None:
    sent, status = BROKEN[name]
    google.play([sent, Do.CLOSE] if name == "cut short" else [sent])
    answered = ask(gateway, model, dialect, stream=False)
    assert answered.status == status
    assert error_of(dialect, answered.body)


@case(92, 93)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("how", ["ended", "error", "malformed", "error in a list"])
def test_a_stream_that_breaks_never_looks_finished(
    gateway: Gateway, google: Stage, model: str, dialect: str, how: str
) -> None:
    first = http1.chunk(b"data: " + msgspec.json.encode(PIECE) + b"\r\n\r\n")
    rest = {
        "ended": b"",
        "error": b"data: " + msgspec.json.encode(ERROR) + b"\r\n\r\n",
        "malformed": b'data: {"candidates": 7}\r\n\r\n',
        "error in a list": b"data: " + msgspec.json.encode([ERROR]) + b"\r\n\r\n",
    }[how]
    tail = [http1.chunk(rest)] if rest else []
    google.play([http1.stream_head(), first, *tail, http1.LAST_CHUNK])
    answered = ask(gateway, model, dialect, stream=True)
    assert answered.status == 200
    body = answered.body
    assert b'"error"' in body
    for ending in (b"[DONE]", b"message_stop", b'"finishReason"', b'"done":true'):
        assert ending not in body


@case(94)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_error_first_thing_in_a_stream_is_a_real_status(
    gateway: Gateway, google: Stage, model: str, dialect: str
) -> None:
    frame = b"data: " + msgspec.json.encode(ERROR) + b"\r\n\r\n"
    google.play([http1.stream_head(), http1.chunk(frame), http1.LAST_CHUNK])
    answered = ask(gateway, model, dialect, stream=True)
    assert answered.status == 429
    assert "quota" in error_of(dialect, answered.body)


@case(98, 99)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_json_array_where_events_were_asked_for_is_understood(
    gateway: Gateway, google: Stage, model: str, dialect: str
) -> None:
    last = msgspec.json.decode(msgspec.json.encode(PIECE))
    last["candidates"][0]["finishReason"] = "STOP"
    google.play([http1.answer(200, [PIECE, last])])
    answered = ask(gateway, model, dialect, stream=True)
    assert answered.status == 200
    assert answered.body.count(b"half") in (1, 2)
    assert b'"error"' not in answered.body


def test_what_a_caller_of_gemini_s_says_reaches_it_as_it_was_said(
    gateway: Gateway, google: Stage, model: str
) -> None:
    google.play(answer(0, streamed=False))
    body = b'{ "contents":[{"parts":[{"text":"hi"}]}],\n "safetySettings" : [] }'
    path = f"/v1/models/{model}:generateContent?key=x"
    answered = plain.request(gateway.base_url, "POST", path, body)
    assert answered.status == 200
    assert google.request.body == body
    assert google.request.target == f"/v1beta/models/{MODEL}:generateContent"
    assert google.request.header("x-goog-api-key") == "goog-1"
    assert msgspec.json.decode(answered.body)["candidates"][0]["content"]["parts"] == said(0)


GOLDENS = [golden for golden in goldens("request.json") if golden.wire_name == "gemini"]
STREAMS = [
    golden
    for golden in goldens("stream.txt")
    if golden.wire_name == "gemini" and golden.case != "error-first"
]


@pytest.mark.parametrize("golden", GOLDENS, ids=str)
def test_a_recorded_request_goes_through_byte_for_byte(
    house: House, google: Stage, golden: Golden
) -> None:
    google.play(answer(0, streamed=False))
    path = f"/v1beta/models/google-0/{MODEL}:generateContent"
    plain.request(house.gateway.base_url, "POST", path, golden.read())
    assert google.request.body == golden.read()


@pytest.mark.parametrize("golden", STREAMS, ids=str)
@pytest.mark.parametrize("step", [7, 1000])
def test_a_recorded_stream_goes_through_however_it_is_cut_up(
    house: House, google: Stage, golden: Golden, step: int
) -> None:
    body = golden.read()
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    google.play(http1.stream(*pieces))
    path = f"/v1beta/models/google-0/{MODEL}:streamGenerateContent?alt=sse"
    asked = {"contents": [{"parts": [{"text": "hi"}]}]}
    got = plain.request(house.gateway.base_url, "POST", path, asked).body
    own = msgspec.json.encode(MODEL).strip(b'"')
    said = _MODEL.sub(b'"modelVersion":"google-0/%b"' % own, body)
    assert got == said


_MODEL = re.compile(rb'"modelVersion"\s*:\s*"[^"]*"')
