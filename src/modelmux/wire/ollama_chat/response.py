"""Whole answers of both kinds, to the neutral response and back."""

from collections.abc import Mapping, Sequence
from typing import assert_never

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import (
    Blob,
    Extra,
    File,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.request import Envelope
from modelmux.ir.response import Response, Summary
from modelmux.wire import extra
from modelmux.wire.ollama_chat import answers, chat, errors, images, schema
from modelmux.wire.ollama_chat.schema import CHAT, GENERATE
from modelmux.wire.ollama_chat.settings import Body, held

_chat = extra.Schema(schema.ChatResponse, ProtocolViolation)
_generate = extra.Schema(schema.GenerateResponse, ProtocolViolation)
_summary = msgspec.json.Decoder(schema.Summary)
_object = msgspec.json.Decoder(dict[str, Raw])

_EMPTY = Raw(b"{}")


def decode_chat(body: bytes) -> Response:
    """The neutral response. Raises `ProtocolViolation`."""
    answer, unknown = _chat.decode(body)
    _check(answer, body, said=answer.message is not None)
    message = answer.message or schema.Message()
    parts = message_parts(message, answer.created_at, dict(unknown))
    called = bool(message.tool_calls)
    return _response(answer, tuple(parts), called, _apart(unknown, parts), CHAT)


def decode_generate(body: bytes) -> Response:
    """The same for `/api/generate`."""
    answer, unknown = _generate.decode(body)
    _check(answer, body, said=answer.response is not None)
    parts: list[Part] = []
    if answer.thinking is not None:
        parts.append(Reasoning(answer.thinking, origin=CHAT))
    parts.append(Text(answer.response or ""))
    return _response(answer, tuple(parts), False, unknown, GENERATE)


def _check(answer: schema.Counts, body: bytes, *, said: bool) -> None:
    if answer.error:
        raise ProtocolViolation(errors.decode(200, body).message)
    if not said:
        raise ProtocolViolation("the answer is neither a message nor an error")


def message_parts(
    message: schema.Message, created_at: str, unknown: Mapping[str, Raw], first: int = 0
) -> list[Part]:
    """The parts of a message of an answer.

    Args:
        message: The message.
        created_at: When it was made, which tells its calls from those of others.
        unknown: Unknown fields of the answer, by pointer.
        first: How many calls came before.
    """
    parts: list[Part] = []
    if message.thinking is not None:
        parts.append(Reasoning(message.thinking, origin=CHAT))
    if message.content or not (message.tool_calls or parts or message.images):
        parts.append(Text(message.content or ""))
    parts += [images.decode(image) for image in message.images or ()]
    when = "".join([char for char in created_at if char.isdigit()])
    for number, call in enumerate(message.tool_calls or ()):
        part = chat.tool_call(call, f"{chat.MADE}{when}_{first + number}", ProtocolViolation)
        prefix = f"/message/tool_calls/{number}"
        fields = {
            at.removeprefix(prefix): raw
            for at, raw in unknown.items()
            if at.startswith(prefix + "/")
        }
        parts.append(replace(part, extra=Extra(CHAT, fields)) if fields else part)
    return parts


def _apart(unknown: Mapping[str, Raw], parts: Sequence[Part]) -> dict[str, Raw]:
    """Unknown fields but for those that stand in calls."""
    return {at: raw for at, raw in unknown.items() if not at.startswith("/message/tool_calls/")}


def _response(
    answer: schema.Counts,
    parts: tuple[Part, ...],
    called: bool,
    unknown: Mapping[str, Raw],
    name: str,
) -> Response:
    return Response(
        "",
        answer.model,
        parts,
        answers.reason(answer.done_reason, called=called),
        answers.usage(answer.prompt_eval_count, answer.eval_count),
        created_at_s=answers.created_at_s(answer.created_at),
        extra=answers.kept(answer, unknown, name),
    )


def encode_chat(response: Response, envelope: Envelope) -> bytes:
    """The answer's body, under the name that the caller asked for."""
    message: Body = {"role": "assistant", "content": ""}
    for part in response.parts:
        add(part, message)
    return _body(response, envelope, {"message": message}, CHAT)


def encode_generate(response: Response, envelope: Envelope) -> bytes:
    """The same for `/api/generate`."""
    message: Body = {"content": ""}
    for part in response.parts:
        add(part, message)
    said: Body = {"response": message["content"]}
    if "thinking" in message:
        said["thinking"] = message["thinking"]
    return _body(response, envelope, said, GENERATE)


def _body(response: Response, envelope: Envelope, said: Body, name: str) -> bytes:
    body: Body = {
        "model": envelope.model or response.model,
        "created_at": answers.created_at(response.created_at_s),
        **said,
        **answers.ending(response.reason, response.usage),
    }
    return msgspec.json.encode(extra.merge(body, response.extra, name))


def add(part: Part, message: Body) -> None:
    """Say `part` in the message of an answer."""
    match part:
        case Text(text=text) | Refusal(text=text):
            message["content"] = f"{message['content']}{text}"
        case Reasoning(text=text):
            if text or part.origin == CHAT:
                message["thinking"] = f"{message.get('thinking', '')}{text}"
        case ToolCall():
            held(message, "tool_calls").append(chat.said_call(part, _arguments(part)))
        case Blob(modality="image", content=content):
            held(message, "images").append(content)
        case Blob() | Uri() | File():  # say what is missing
            what = part.uri if isinstance(part, Uri) else part.mime_type or "file"
            message["content"] = f"{message['content']}[{part.modality}: {what}]"
        case Generic() | ServerToolCall() | ServerToolResult() | ToolResult():
            pass  # what another provider's tools did means nothing to the caller's client
        case _:
            assert_never(part)


def _arguments(part: ToolCall) -> Raw:
    """What the model wrote goes to the caller in any case, as the object that it must be."""
    if not part.custom:
        if not part.arguments or part.arguments.isspace():
            return _EMPTY
        try:
            _object.decode(part.arguments)
        except extra.MALFORMED:
            pass
        else:
            return Raw(part.arguments.encode())
    return Raw(msgspec.json.encode({"input": part.arguments}))


def summarise(body: bytes) -> Summary:
    """Usage, finish reason and failure of a whole answer. Raises `ProtocolViolation`."""
    try:
        answer = _summary.decode(body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None
    if answer.error:
        return Summary(failure=errors.decode(200, body))
    if b'"message"' not in body and b'"response"' not in body:
        raise ProtocolViolation("the answer is neither a message nor an error")
    called = b'"tool_calls"' in body
    return Summary(
        answers.usage(answer.prompt_eval_count, answer.eval_count),
        answers.reason(answer.done_reason, called=called),
    )


def rename(body: bytes, model: str) -> bytes:
    """A whole answer under the name that the caller asked for; one without a name as it is."""
    try:
        name = _summary.decode(body).model
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None
    return body if name is None else extra.replace_string(body, "model", name, model)
