"""Whole answers to and from the neutral response."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import Extra, Generic, Part, ToolCall
from modelmux.ir.request import Envelope, Message
from modelmux.ir.response import NO_USAGE, Failure, FinishReason, Response, Summary
from modelmux.wire import extra
from modelmux.wire.openai import errors
from modelmux.wire.openai.values import objects, present
from modelmux.wire.openai_responses import envelopes, items, schema, usage
from modelmux.wire.openai_responses.item_encode import Ids, Json, Writer, spaces
from modelmux.wire.openai_responses.schema import NAME

PREFIX = "resp_"
"""What the id of every answer of this API begins with."""

WHOLE = "answer"
"""The note of an answer of this wire: all of it, as it came."""

_SAID = frozenset({"id", "object", "created_at", "model", "output"})
"""Fields of an answer that the neutral response says; all others go back as they came."""

_UNDECIDED = frozenset({"queued", "in_progress"})

_DEFAULTS: Json = {
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": (),
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""What an answer says of a request that did not say it."""


class _Seen(Struct):
    """What the gateway reads of an answer that it does not decode."""

    object: str | None = None
    status: str | None = None
    incomplete_details: schema.IncompleteDetails | None = None
    output: list[schema.Kind] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()


class _Model(Struct):
    model: str | None = None


_seen = msgspec.json.Decoder(_Seen)
_model = msgspec.json.Decoder(_Model)

_CALLS = items.ASKED_OF_CALLER | {"function_call", "custom_tool_call"}


def decode(body: bytes) -> Response:
    """The response in `body`.

    Raises:
        ProtocolViolation: It is no answer, or it is an error for all that its status says.
    """
    try:
        r = schema.response.decode(body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None
    failure = failed(r.object, r.status, r.error, body)
    if failure is not None:
        raise ProtocolViolation(
            f"the answer is an error: {failure.message}", upstream_code=failure.code
        )
    if r.output is None:
        raise ProtocolViolation("expected an answer with `output`, got none")
    if r.status in _UNDECIDED:
        raise ProtocolViolation(f"the answer is not there yet: it is {r.status}")
    parts: list[Part] = []
    for index, raw in enumerate(r.output):
        parts += item_parts(items.decode(raw, f"/output/{index}", ProtocolViolation, answers=True))
    return Response(
        r.id or "",
        r.model or "",
        tuple(parts),
        reason(r, parts),
        usage.decode(r.usage) or NO_USAGE,
        None,
        int(r.created_at or 0),
        Extra(NAME, {WHOLE: Raw(body)}),
    )


def item_parts(message: Message) -> tuple[Part, ...]:
    """The parts of one item of an answer."""
    if message.role == "assistant" or all(isinstance(part, Generic) for part in message.parts):
        return message.parts
    raise ProtocolViolation(f"the answer holds a message of the role {message.role!r}")


def reason(r: schema.Response, parts: list[Part]) -> FinishReason:
    """Why an answer ended."""
    incomplete = r.incomplete_details.reason if r.incomplete_details is not None else None
    return usage.reason(r.status, incomplete, called=any(map(asks, parts)))


def asks(part: Part) -> bool:
    """Whether a part asks the caller to do something."""
    if isinstance(part, Generic):
        return part.type.removeprefix(items.ITEM_TYPE) in items.ASKED_OF_CALLER
    return isinstance(part, ToolCall)


def kept(answer: Raw) -> Extra:
    """What the end of a stream keeps of the answer: all that its events have not said."""
    fields = objects.decode(answer)
    said = {name: raw for name, raw in fields.items() if name not in _SAID}
    return Extra(NAME, {WHOLE: Raw(msgspec.json.encode(said))})


def rest(kept: Extra | None) -> dict[str, Raw]:
    """The fields of an answer of this wire that the neutral response does not say."""
    if kept is None or kept.wire != NAME or WHOLE not in kept.fields:
        return {}
    fields = objects.decode(kept.fields[WHOLE])
    return {name: raw for name, raw in fields.items() if name not in _SAID}


def failed(object_: str | None, status: str | None, error: Raw, body: bytes) -> Failure | None:
    """The error that an answer is, in any of the places where servers put it."""
    if present(error):
        return errors.from_error(error)
    if status in {"failed", "cancelled"}:
        return Failure("unavailable", f"the answer is {status}", str(status), status=502)
    return errors.from_error(Raw(body)) if object_ == "error" else None


def encode(response: Response, envelope: Envelope) -> bytes:
    """The answer to a caller who asked with `envelope`."""
    answer_id = answer_name(response.id, envelope)
    echo = envelopes.echo(envelope)
    writer = Writer(Ids(answer_id), spaces(echo.get("tools")))
    for part in response.parts:
        writer.add(part)
    status, incomplete = usage.ending(response.reason)
    model = envelope.model or response.model
    out = head(answer_id, response.created_at_s, model, echo, response.extra)
    out |= {"status": status, "output": writer.items}
    if incomplete is not None:
        out["incomplete_details"] = {"reason": incomplete}
    if response.usage != NO_USAGE:
        out["usage"] = usage.encode(response.usage)
    return msgspec.json.encode({**out, **rest(response.extra)})


def answer_name(given: str, envelope: Envelope) -> str:
    """The id of an answer: the target's, where it is one of this API."""
    if given.startswith(PREFIX):
        return given
    return envelope.answer_id or PREFIX + given


def head(
    answer_id: str, created_at_s: int, model: str, echo: Mapping[str, Raw], kept: Extra | None
) -> Json:
    """What every answer begins with, the caller's own settings among it.

    An answer of this wire's own target has its own words for those.
    """
    out: Json = {
        "id": answer_id,
        "object": "response",
        "created_at": created_at_s,
        "model": model,
    }
    if kept is None or kept.wire != NAME:
        out |= _DEFAULTS
        out |= echo
    return out


def summarise(body: bytes) -> Summary:
    """Usage, finish reason and failure of a whole answer. Raises `ProtocolViolation`."""
    try:
        seen = _seen.decode(body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None
    failure = failed(seen.object, seen.status, seen.error, body)
    if failure is None and seen.output is None:
        raise ProtocolViolation("expected an answer with `output`, got none")
    found: FinishReason | None = None
    if failure is None and seen.status not in _UNDECIDED:
        incomplete = seen.incomplete_details.reason if seen.incomplete_details else None
        called = any(item.type in _CALLS for item in seen.output or ())
        found = usage.reason(seen.status, incomplete, called=called)
    return Summary(usage.decode(seen.usage), found, failure)


def rename(body: bytes, model: str) -> bytes:
    """A whole answer under another model name; a body that has none is left as it is."""
    try:
        old = _model.decode(body).model
    except extra.MALFORMED:
        return body
    return body if old is None else extra.replace_string(body, "model", old, model)


def is_mine(kept: Extra | None) -> bool:
    """Whether a part came on this wire."""
    return kept is not None and kept.wire == NAME
