"""What an emulator does not play: the details of both APIs, scripted, as the SDKs see them."""

from collections.abc import Mapping, Sequence

import anthropic
import httpx2
import msgspec
import openai
import pytest

from tests.sdk.conftest import Behind, played
from tests.support import http1
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, OPENAI, TEXT, WORDS, Dialect
from tests.support.sdks import Sdk
from tests.support.upstream import Do, Gate, Part

OpenAI = Sdk[openai.OpenAI]
Anthropic = Sdk[anthropic.Anthropic]

HELLO = [{"role": "user", "content": "hello"}]

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5E"
    "rkJggg=="
)
PHOTO = "https://example.invalid/photo.jpg"


def whole(upstream: Dialect) -> list[Part]:
    return [http1.answer(200, upstream.answer())]


def changed(body: bytes, **changes: object) -> list[Part]:
    """A whole answer of Anthropic's with other fields."""
    return [http1.answer(200, {**msgspec.json.decode(body), **changes})]


def ask_openai(sdk: OpenAI, upstream: Dialect, **more: object):
    asked = {"model": played(upstream), "messages": HELLO, **more}
    return sdk.do(lambda client: client.chat.completions.create(**asked))


def ask_anthropic(sdk: Anthropic, upstream: Dialect, **more: object):
    asked = {"model": played(upstream), "max_tokens": 100, "messages": HELLO, **more}
    return sdk.do(lambda client: client.messages.create(**asked))


# Images.


IMAGES_SENT = {
    "openai": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": {"url": PHOTO}},
    ],
    "anthropic": [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": PHOTO}},
    ],
}


def parts_heard(behind: Behind, upstream: Dialect) -> list[dict[str, object]]:
    sent = msgspec.json.decode(behind.stage(upstream).request.body)
    return sent["messages"][-1]["content"]


@case(67, 68)
def test_openais_images(openai_sdk: OpenAI, upstream: Dialect, behind: Behind):
    behind.stage(upstream).play(whole(upstream))
    messages = [{"role": "user", "content": IMAGES_SENT["openai"]}]
    ask_openai(openai_sdk, upstream, messages=messages)
    assert parts_heard(behind, upstream) == IMAGES_SENT[upstream.name]


@case(67, 68)
def test_anthropics_images(anthropic_sdk: Anthropic, upstream: Dialect, behind: Behind):
    behind.stage(upstream).play(whole(upstream))
    messages = [{"role": "user", "content": IMAGES_SENT["anthropic"]}]
    ask_anthropic(anthropic_sdk, upstream, messages=messages)
    assert parts_heard(behind, upstream) == IMAGES_SENT[upstream.name]


# Stop sequences and limits.


@case(44, 48)
def test_openais_stop_and_limit(openai_sdk: OpenAI, upstream: Dialect, behind: Behind):
    behind.stage(upstream).play(whole(upstream))
    ask_openai(openai_sdk, upstream, stop=["END", "STOP"], max_completion_tokens=7)
    sent = msgspec.json.decode(behind.stage(upstream).request.body)
    if upstream is OPENAI:
        assert (sent["stop"], sent["max_completion_tokens"]) == (["END", "STOP"], 7)
    else:
        assert (sent["stop_sequences"], sent["max_tokens"]) == (["END", "STOP"], 7)


@case(48)
def test_anthropics_stop_sequence_comes_back(anthropic_sdk: Anthropic, behind: Behind):
    stopped = {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    behind.anthropic.play(changed(ANTHROPIC.answer(), **stopped))
    message = ask_anthropic(anthropic_sdk, ANTHROPIC, stop_sequences=["END"])
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
    behind.openai.play(whole(OPENAI))
    ask_anthropic(anthropic_sdk, OPENAI, stop_sequences=["END"])
    assert msgspec.json.decode(behind.openai.request.body)["stop"] == ["END"]


# Usage.


@case(79, 80)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_cached_tokens_are_counted_openais_way(
    openai_sdk: OpenAI, upstream: Dialect, behind: Behind, stream: bool
):
    behind.stage(upstream).play(http1.stream(*upstream.frames()) if stream else whole(upstream))
    if stream:
        asked = {"model": played(upstream), "messages": HELLO, "stream": True}
        options = {"stream_options": {"include_usage": True}}
        chunks = openai_sdk.all(lambda client: client.chat.completions.create(**asked, **options))
        usage = chunks[-1].usage
    else:
        usage = ask_openai(openai_sdk, upstream).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (12, 7, 19)
    assert usage.prompt_tokens_details.cached_tokens == 4
    if upstream is OPENAI:
        assert usage.completion_tokens_details.reasoning_tokens == 2


@case(79, 80)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_cached_tokens_are_counted_anthropics_way(
    anthropic_sdk: Anthropic, upstream: Dialect, behind: Behind, stream: bool
):
    behind.stage(upstream).play(http1.stream(*upstream.frames()) if stream else whole(upstream))
    if stream:
        asked = {"model": played(upstream), "max_tokens": 100, "messages": HELLO}
        _, message = anthropic_sdk.final(
            lambda client: client.messages.stream(**asked), "get_final_message"
        )
    else:
        message = ask_anthropic(anthropic_sdk, upstream)
    assert (message.usage.input_tokens, message.usage.output_tokens) == (8, 7)
    assert message.usage.cache_read_input_tokens == 4


# Thinking.


SIGNATURE = "EuYBCkQYBSpAyX/6xTFnPSkoEcSMwMYhXAnpYJGmVWSmMJeyXzcsbcGDhTGoMbkLxMnVdmYzNe5fQGzOtA=="
THOUGHT = {"type": "thinking", "thinking": "Rain, then.", "signature": SIGNATURE}
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgBEgyAAAA="}
SPOKEN = {"type": "text", "text": TEXT}


def thinking_frames() -> list[bytes]:
    """A stream that thinks before it speaks."""

    def event(value: Mapping[str, object]) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (
            str(value["type"]).encode(),
            msgspec.json.encode(value),
        )

    start, _, _, *rest = ANTHROPIC.frames()
    deltas = [
        {"type": "thinking_delta", "thinking": "Rain,"},
        {"type": "thinking_delta", "thinking": " then."},
        {"type": "signature_delta", "signature": SIGNATURE},
    ]
    block = {"type": "thinking", "thinking": "", "signature": ""}
    return [
        start,
        event({"type": "content_block_start", "index": 0, "content_block": block}),
        *[event({"type": "content_block_delta", "index": 0, "delta": each}) for each in deltas],
        event({"type": "content_block_stop", "index": 0}),
        event({"type": "content_block_start", "index": 1, "content_block": REDACTED}),
        event({"type": "content_block_stop", "index": 1}),
        event(
            {
                "type": "content_block_start",
                "index": 2,
                "content_block": {"type": "text", "text": ""},
            }
        ),
        *[each.replace(b'"index":0', b'"index":2') for each in rest],
    ]


@case(55, 56, 57)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_anthropics_thinking_comes_and_goes_byte_for_byte(
    anthropic_sdk: Anthropic, behind: Behind, stream: bool
):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    asked = {
        "model": played(ANTHROPIC),
        "max_tokens": 2000,
        "messages": HELLO,
        "thinking": thinking,
    }
    if stream:
        behind.anthropic.play(http1.stream(*thinking_frames()))
        _, message = anthropic_sdk.final(
            lambda client: client.messages.stream(**asked), "get_final_message"
        )
    else:
        behind.anthropic.play(changed(ANTHROPIC.answer(), content=[THOUGHT, REDACTED, SPOKEN]))
        message = anthropic_sdk.do(lambda client: client.messages.create(**asked))
    content = [block.model_dump(exclude_none=True) for block in message.content]
    assert content == [THOUGHT, REDACTED, SPOKEN]
    turns = [*HELLO, {"role": "assistant", "content": message.content}, *HELLO]
    behind.anthropic.play(whole(ANTHROPIC))
    ask_anthropic(anthropic_sdk, ANTHROPIC, messages=turns, thinking=thinking, max_tokens=2000)
    sent = msgspec.json.decode(behind.anthropic.request.body)
    assert sent["messages"][1]["content"] == [THOUGHT, REDACTED, SPOKEN]


@case(58, 62)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_openais_sdk_reads_what_claude_thought(openai_sdk: OpenAI, behind: Behind, stream: bool):
    if stream:
        behind.anthropic.play(http1.stream(*thinking_frames()))
        asked = {"model": played(ANTHROPIC), "messages": HELLO, "stream": True}
        chunks = openai_sdk.all(lambda client: client.chat.completions.create(**asked))
        deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
        thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        text = "".join(delta.content or "" for delta in deltas)
    else:
        behind.anthropic.play(changed(ANTHROPIC.answer(), content=[THOUGHT, REDACTED, SPOKEN]))
        message = ask_openai(openai_sdk, ANTHROPIC).choices[0].message
        thought, text = message.reasoning_content, message.content
    assert (thought, text) == ("Rain, then.", TEXT)


# Errors.


@case(104)
@pytest.mark.parametrize("status", [429, 503])
def test_openais_sdk_is_told_when_to_come_back(
    openai_sdk: OpenAI, upstream: Dialect, behind: Behind, status: int
):
    body = upstream.error("rate_limit_error", "slowly")
    behind.stage(upstream).play([http1.answer(status, body, ("retry-after", "17"))])
    model = behind.unused(upstream)
    with pytest.raises(openai.APIStatusError) as caught:
        openai_sdk.do(lambda client: client.chat.completions.create(model=model, messages=HELLO))
    assert caught.value.status_code == status
    assert caught.value.response.headers["retry-after"] == "17"


@case(104)
def test_anthropics_sdk_is_told_when_to_come_back(
    anthropic_sdk: Anthropic, upstream: Dialect, behind: Behind
):
    body = upstream.error("rate_limit_error", "slowly")
    behind.stage(upstream).play([http1.answer(429, body, ("retry-after", "17"))])
    model = behind.unused(upstream)
    with pytest.raises(anthropic.RateLimitError) as caught:
        anthropic_sdk.do(
            lambda client: client.messages.create(model=model, max_tokens=9, messages=HELLO)
        )
    assert caught.value.response.headers["retry-after"] == "17"


def broken_off(upstream: Dialect, how: str) -> Sequence[Part]:
    begun = [http1.stream_head(), *map(http1.chunk, upstream.frames()[:4])]
    error = http1.chunk(upstream.error_frame("overloaded_error", "too many at once"))
    rest = {
        "closed": [Do.CLOSE],
        "reset": [Do.RESET],
        "ended": [http1.LAST_CHUNK],
        "error": [error, http1.LAST_CHUNK],
    }
    return [*begun, *rest[how]]


HOW = pytest.mark.parametrize("how", ["closed", "reset", "ended", "error"])


@case(92, 93)
@HOW
def test_a_broken_stream_raises_in_openais_sdk(
    openai_sdk: OpenAI, upstream: Dialect, behind: Behind, how: str
):
    behind.stage(upstream).play(broken_off(upstream, how))
    asked = {"model": played(upstream), "messages": HELLO, "stream": True}
    with pytest.raises(openai.APIError) as caught:
        openai_sdk.all(lambda client: client.chat.completions.create(**asked))
    if how == "error":
        assert "too many at once" in caught.value.message
        assert caught.value.type == "overloaded_error"


@case(92, 93)
@HOW
def test_a_broken_stream_raises_in_anthropics_sdk(
    anthropic_sdk: Anthropic, upstream: Dialect, behind: Behind, how: str
):
    behind.stage(upstream).play(broken_off(upstream, how))
    asked = {"model": played(upstream), "max_tokens": 9, "messages": HELLO}
    with pytest.raises(anthropic.APIStatusError) as caught:
        anthropic_sdk.final(lambda client: client.messages.stream(**asked), "get_final_message")
    if how == "error":
        assert "too many at once" in str(caught.value)


@case(94)
def test_an_error_first_thing_is_a_real_error_to_the_sdks(
    openai_sdk: OpenAI, upstream: Dialect, behind: Behind
):
    error = upstream.error_frame("overloaded_error", "too many at once")
    behind.stage(upstream).play(http1.stream(error))
    asked = {"model": played(upstream), "messages": HELLO, "stream": True}
    with pytest.raises(openai.InternalServerError) as caught:
        openai_sdk.all(lambda client: client.chat.completions.create(**asked))
    assert caught.value.status_code == 503


@case(85)
def test_openais_sdk_that_times_out_ends_the_upstreams_work(
    openai_sdk: OpenAI, upstream: Dialect, behind: Behind
):
    behind.stage(upstream).play([Do.WAIT_FOR_CLOSE])
    with pytest.raises(openai.APITimeoutError):
        ask_openai(openai_sdk, upstream, timeout=0.2)
    assert behind.stage(upstream).request.abandoned.wait(1)


@case(85)
def test_anthropics_sdk_that_times_out_ends_the_upstreams_work(
    anthropic_sdk: Anthropic, upstream: Dialect, behind: Behind
):
    behind.stage(upstream).play([Do.WAIT_FOR_CLOSE])
    with pytest.raises(anthropic.APITimeoutError):
        ask_anthropic(anthropic_sdk, upstream, timeout=0.2)
    assert behind.stage(upstream).request.abandoned.wait(1)


def test_the_gateways_limit_is_the_sdks_timeout_status(
    openai_sdk: OpenAI, upstream: Dialect, behind: Behind
):
    behind.stage(upstream).play([Do.WAIT_FOR_CLOSE])
    with pytest.raises(openai.InternalServerError) as caught:
        ask_openai(openai_sdk, upstream, extra_headers={"x-modelmux-timeout": "0.2"})
    assert (caught.value.status_code, caught.value.code) == (504, "timeout")


@case(76)
def test_a_refusal_reaches_openais_sdk(openai_sdk: OpenAI, upstream: Dialect, behind: Behind):
    if upstream is OPENAI:
        message = {"role": "assistant", "content": None, "refusal": "I cannot."}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        behind.openai.play(changed(OPENAI.answer(), choices=[choice]))
        answer = ask_openai(openai_sdk, upstream).choices[0]
        assert answer.message.refusal == "I cannot."
    else:
        behind.anthropic.play(changed(ANTHROPIC.answer(), stop_reason="refusal"))
        answer = ask_openai(openai_sdk, upstream).choices[0]
        assert answer.finish_reason == "content_filter"


def test_each_piece_is_there_when_it_comes(openai_sdk: OpenAI, upstream: Dialect, behind: Behind):
    gates = [Gate() for _ in WORDS]
    frames = upstream.frames()
    parts: list[Part] = [http1.stream_head()]
    for frame in frames:
        parts.append(http1.chunk(frame))
        held = [gate for word, gate in zip(WORDS, gates, strict=True) if word.encode() in frame]
        parts += held
    behind.stage(upstream).play([*parts, http1.LAST_CHUNK])
    asked = {"model": played(upstream), "messages": HELLO, "stream": True}
    told: list[str] = []

    class Opening(list):
        """Opens each word's gate once the word has been heard."""

        def append(self, chunk: openai.types.chat.ChatCompletionChunk) -> None:
            text = chunk.choices[0].delta.content if chunk.choices else None
            if text:
                told.append(text)
                gates[len(told) - 1].open()

    openai_sdk.all(lambda client: client.chat.completions.create(**asked), Opening())
    assert told == list(WORDS)


@case(101)
def test_ids_and_targets_are_in_the_headers(
    openai_sdk: OpenAI, anthropic_sdk: Anthropic, upstream: Dialect, behind: Behind
):
    behind.stage(upstream).play(whole(upstream))
    asked = {"model": played(upstream), "messages": HELLO}
    headers = {"x-request-id": "req-of-the-caller"}
    completion = openai_sdk.do(
        lambda client: client.chat.completions.create(**asked, extra_headers=headers)
    )
    assert completion._request_id == "req-of-the-caller"
    raw = anthropic_sdk.do(
        lambda client: client.messages.with_raw_response.create(**asked, max_tokens=9)
    )
    assert isinstance(raw.headers, httpx2.Headers)
    assert raw.headers["x-modelmux-target"] == played(upstream)


@case(65)
def test_anthropics_beta_client(anthropic_sdk: Anthropic, upstream: Dialect, behind: Behind):
    behind.stage(upstream).play(whole(upstream))
    message = anthropic_sdk.do(
        lambda client: client.beta.messages.create(
            model=played(upstream), max_tokens=9, messages=HELLO, betas=["some-beta-2026-11-01"]
        )
    )
    assert message.content[0].text == TEXT
    sent = behind.stage(upstream).request.header("anthropic-beta")
    assert sent == ("some-beta-2026-11-01" if upstream is ANTHROPIC else None)


@case(85)
def test_a_stream_that_is_closed_early_ends_the_upstreams_work(
    openai_sdk: OpenAI, upstream: Dialect, behind: Behind
):
    gate = Gate()
    begun = map(http1.chunk, upstream.frames()[:4])
    behind.stage(upstream).play([http1.stream_head(), *begun, gate])
    asked = {"model": played(upstream), "messages": HELLO, "stream": True}
    stream = openai_sdk.do(lambda client: client.chat.completions.create(**asked))
    gate.wait_until_reached()
    openai_sdk.do(lambda _: stream.close())
    assert behind.stage(upstream).request.abandoned.wait(1)
