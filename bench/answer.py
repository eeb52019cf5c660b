"""Checks what an answer says: the same text, usage and ending, whatever wire it came on.

The load generator checks the status, length and number of events of every answer; a sample of the
bodies is read here in full.
"""

from collections.abc import Callable, Sequence

import msgspec

from bench.fixture import COMPLETION_TOKENS, PROMPT_TOKENS, Ask, text_of


class WrongAnswer(Exception):
    """An answer does not say what the mock upstream said."""


class _Loose(msgspec.Struct):
    """An object of which only some fields matter."""


class _Message(_Loose):
    content: str


class _Choice(_Loose):
    finish_reason: str | None = None
    message: _Message | None = None
    delta: "_Delta | None" = None


class _Delta(_Loose):
    content: str | None = None


class _OpenAIUsage(_Loose):
    prompt_tokens: int
    completion_tokens: int


class _OpenAI(_Loose):
    choices: list[_Choice]
    usage: _OpenAIUsage | None = None


class _AnthropicUsage(_Loose):
    output_tokens: int
    input_tokens: int | None = None


class _Block(_Loose):
    text: str = ""
    stop_reason: str | None = None


class _Anthropic(_Loose):
    type: str
    content: list[_Block] = []
    stop_reason: str | None = None
    delta: _Block | None = None
    usage: _AnthropicUsage | None = None


def check(ask: Ask, body: bytes) -> None:
    """Compare a body with what `ask` is answered.

    Raises:
        WrongAnswer: It says something else, or is no answer of the wire.
    """
    readers: dict[tuple[str, bool], Callable[[bytes], tuple[str, object]]] = {
        ("openai", False): _openai_whole,
        ("openai", True): _openai_stream,
        ("anthropic", False): _anthropic_whole,
        ("anthropic", True): _anthropic_stream,
    }
    try:
        text, ending = readers[ask.wire, ask.stream is not None](body)
    except (msgspec.MsgspecError, ValueError, IndexError, AttributeError) as error:
        message = f"{ask.wire}: cannot be read ({error!r}): {body[:600]!r}"
        raise WrongAnswer(message) from error
    expected = text_of(ask.stream)
    if text != expected:
        raise WrongAnswer(f"{ask.wire}: the text is {text[:200]!r}…, not {expected[:200]!r}…")
    stop = "stop" if ask.wire == "openai" else "end_turn"
    if ending != (stop, PROMPT_TOKENS, COMPLETION_TOKENS):
        raise WrongAnswer(f"{ask.wire}: ending and usage are {ending}")


def _events(body: bytes) -> Sequence[bytes]:
    if not body.endswith(b"\n\n"):
        raise ValueError("the last event is not finished")
    lines = (line for event in body[:-2].split(b"\n\n") for line in event.split(b"\n"))
    return [line[6:] for line in lines if line.startswith(b"data: ")]


def _openai_whole(body: bytes) -> tuple[str, object]:
    answer = msgspec.json.decode(body, type=_OpenAI)
    choice, usage = answer.choices[0], answer.usage
    text = choice.message.content if choice.message else ""
    return text, usage and (choice.finish_reason, usage.prompt_tokens, usage.completion_tokens)


def _openai_stream(body: bytes) -> tuple[str, object]:
    events = _events(body)
    if events[-1] != b"[DONE]":
        raise ValueError("does not end with [DONE]")
    chunks = [msgspec.json.decode(event, type=_OpenAI) for event in events[:-1]]
    choices = [choice for chunk in chunks for choice in chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices if choice.delta)
    stops = [choice.finish_reason for choice in choices if choice.finish_reason]
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    if len(stops) != 1 or len(usages) != 1:
        raise ValueError(f"{len(stops)} finish reasons and {len(usages)} usages, not one each")
    return text, (stops[0], usages[0].prompt_tokens, usages[0].completion_tokens)


def _anthropic_whole(body: bytes) -> tuple[str, object]:
    answer = msgspec.json.decode(body, type=_Anthropic)
    usage = answer.usage
    text = "".join(block.text for block in answer.content)
    return text, usage and (answer.stop_reason, usage.input_tokens, usage.output_tokens)


def _anthropic_stream(body: bytes) -> tuple[str, object]:
    events = [msgspec.json.decode(event, type=_Anthropic) for event in _events(body)]
    if events[-1].type != "message_stop":
        raise ValueError("does not end with message_stop")
    deltas = [event.delta for event in events if event.delta]
    text = "".join(delta.text for delta in deltas)
    stops = [delta.stop_reason for delta in deltas if delta.stop_reason]
    usage = next(event.usage for event in reversed(events) if event.usage)
    return text, (stops[0], usage.input_tokens, usage.output_tokens)
