"""Whole answers to and from the neutral response: of choices, the first is followed."""

import re

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import Extra, Part, Refusal, Text
from modelmux.ir.request import Envelope
from modelmux.ir.response import NO_USAGE, Failure, FinishReason, Response, Summary
from modelmux.wire import extra
from modelmux.wire.openai import errors, usage
from modelmux.wire.openai.values import objects, present, raws
from modelmux.wire.openai_completions import schema
from modelmux.wire.openai_completions.schema import NAME

OBJECT = "text_completion"

_OF_OTHERS = re.compile(r"/choices/[1-9]")
_OTHER = re.compile(r"/choices/[0-9]+")

Json = dict[str, object]


class _SeenChoice(Struct):
    finish_reason: str | None = None


class _Seen(Struct):
    object: str | None = None
    choices: list[_SeenChoice] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()


_seen = msgspec.json.Decoder(_Seen)


def decode(body: bytes) -> Response:
    """The response in `body`.

    Raises:
        ProtocolViolation: It is no answer, or it is an error for all that its status says.
    """
    r, unknown = schema.response.decode(body)
    failure = failed(r.object, r.error, body)
    if failure is not None:
        raise ProtocolViolation(
            f"the answer is an error: {failure.message}", upstream_code=failure.code
        )
    if not r.choices:
        raise ProtocolViolation("expected an answer with choices, got none")
    choice = r.choices[0]
    kept = dict(unknown)
    if present(r.usage):
        kept["/usage"] = r.usage
    if present(r.system_fingerprint):
        kept["/system_fingerprint"] = r.system_fingerprint
    for name in ("logprobs", "stop_reason"):
        raw: Raw = getattr(choice, name)
        if present(raw):
            kept[f"/choices/0/{name}"] = raw
    if len(r.choices) > 1:
        kept = {k: v for k, v in kept.items() if not _OF_OTHERS.match(k)}
        others = raws.decode(objects.decode(body)["choices"])[1:]
        kept.update({f"/choices/{n}": raw for n, raw in enumerate(others, 1)})
    kept.update(usage.kept_reason(choice.finish_reason, called=False))
    return Response(
        r.id or "",
        r.model or "",
        (Text(choice.text),) if choice.text else (),
        usage.reason(choice.finish_reason),
        usage.decode(r.usage) or NO_USAGE,
        None,
        int(r.created or 0),
        Extra(NAME, kept) if kept else None,
    )


def failed(object_: str | None, error: Raw, body: bytes) -> Failure | None:
    """The error that an answer is, in any of the places where servers put it."""
    if present(error):
        return errors.from_error(error)
    return errors.from_error(Raw(body)) if object_ == "error" else None


def said(part: Part) -> str:
    """What of a part is text: the API's answers are nothing else."""
    match part:
        case Text(text=text) | Refusal(text=text):
            return text
        case _:
            return ""  # thinking, and what tools did, has no place


def ending(reason: FinishReason) -> str:
    """The API's word for why an answer ended: it knows no calls."""
    said: FinishReason = "stop" if reason == "tool_call" else reason
    return usage.reason_name(said, called=False, legacy=False)


def encode(response: Response, envelope: Envelope) -> bytes:
    """The answer to a caller who asked with `envelope`."""
    choice: Json = {
        "text": "".join([said(part) for part in response.parts]),
        "index": 0,
        "logprobs": None,
        "finish_reason": ending(response.reason),
    }
    choices: list[object] = [choice]
    out: Json = {
        "id": response.id,
        "object": OBJECT,
        "created": response.created_at_s,
        "model": envelope.model or response.model,
        "choices": choices,
    }
    if response.usage != NO_USAGE:
        out["usage"] = usage.encode(response.usage)
    if response.extra is not None and response.extra.wire == NAME:
        extra.merge(out, response.extra, NAME)
        choices += [
            raw for pointer, raw in response.extra.fields.items() if _OTHER.fullmatch(pointer)
        ]
    return msgspec.json.encode(out)


def summarise(body: bytes) -> Summary:
    """Usage, finish reason and failure of a whole answer. Raises `ProtocolViolation`."""
    try:
        seen = _seen.decode(body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None
    failure = failed(seen.object, seen.error, body)
    if seen.choices is None and failure is None:
        raise ProtocolViolation("expected an answer with `choices`, got none")
    choice = seen.choices[0] if seen.choices else None
    return Summary(
        usage.decode(seen.usage),
        usage.reason(choice.finish_reason) if choice is not None else None,
        failure,
    )
