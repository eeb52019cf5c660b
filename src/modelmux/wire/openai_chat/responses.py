"""Whole answers to and from the neutral response."""

import re
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.parts import Blob, Extra, Generic, Part, Reasoning, Refusal, Text, ToolCall, Uri
from modelmux.ir.request import Envelope
from modelmux.ir.response import NO_USAGE, Failure, Response, Summary
from modelmux.wire import extra
from modelmux.wire.extra import Fields
from modelmux.wire.openai import errors, media, usage, values
from modelmux.wire.openai.values import present
from modelmux.wire.openai_chat import audio, calls, citations, reasoning, schema
from modelmux.wire.openai_chat.content import Json
from modelmux.wire.openai_chat.schema import NAME

_MESSAGE = "/choices/0/message"
_OF_CALL = re.compile(r"/choices/0/message/tool_calls/\d+(?=/)")
_MAY_BE_TAG = frozenset(("<", " ", "\n", "\r", "\t"))
_OF_OTHERS = re.compile(r"/choices/[1-9]")
_OTHER = re.compile(r"/choices/[0-9]+")


class _SeenChoice(Struct):
    finish_reason: str | None = None
    error: Raw = Raw()


class _Seen(Struct):
    """What the gateway reads of an answer that it does not decode."""

    object: str | None = None
    choices: list[_SeenChoice] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()


_seen = msgspec.json.Decoder(_Seen)


def decode(body: bytes) -> Response:
    """The response in `body`, of whose choices it is the first.

    Raises:
        ProtocolViolation: It is no answer, or it is an error for all that its status says.
    """
    r, unknown = schema.response.decode(body)
    choice = r.choices[0] if r.choices else schema.Choice()
    failure = _failure(r.object, r.error, choice.error, body)
    if failure is not None:
        raise ProtocolViolation(
            f"the answer is an error: {failure.message}", upstream_code=failure.code
        )
    if not r.choices:
        raise ProtocolViolation("expected an answer with choices, got none")
    m = choice.message or schema.Message()
    response_id = r.id or ""
    parts: list[Part] = []
    kept = _kept(r, choice, unknown, body)
    if m.reasoning_content or m.reasoning or m.reasoning_details:
        parts += reasoning.decode(m.reasoning_content, m.reasoning, m.reasoning_details)
    parts += _content(m)
    if m.annotations is not None:
        cited = citations.attach(parts, m.annotations) if m.annotations else None
        if cited is None:
            kept[f"{_MESSAGE}/annotations"] = Raw(msgspec.json.encode(m.annotations))
        else:
            parts = cited
    if m.refusal:
        parts.append(Refusal(m.refusal))
    if present(m.audio):
        parts += audio.decode(m.audio)
    for image in m.images or ():
        parts += _image(image)
    called = _calls(m, response_id, kept, body)
    kept.update(usage.kept_reason(choice.finish_reason, called=bool(called)))
    return Response(
        response_id,
        r.model or "",
        (*parts, *called),
        usage.reason(choice.finish_reason),
        usage.decode(r.usage) or NO_USAGE,
        choice.stop_reason if isinstance(choice.stop_reason, str) else None,
        int(r.created or 0),
        Extra(NAME, kept) if kept else None,
    )


def _failure(object_: str | None, error: Raw, choice_error: Raw, body: bytes) -> Failure | None:
    """The error that an answer is, in any of the places where servers put it."""
    if present(error):
        return errors.from_error(error)
    if present(choice_error):
        return errors.from_error(choice_error)
    return errors.from_error(Raw(body)) if object_ == "error" else None


def _kept(
    r: schema.Response, choice: schema.Choice, unknown: Fields, body: bytes
) -> dict[str, Raw]:
    """Fields that the model has no word for, by pointer."""
    kept = dict(unknown)
    if r.system_fingerprint:
        kept["/system_fingerprint"] = r.system_fingerprint
    if r.service_tier:
        kept["/service_tier"] = r.service_tier
    if r.usage:
        kept["/usage"] = r.usage
    if present(choice.logprobs):
        kept["/choices/0/logprobs"] = choice.logprobs
    if choice.stop_reason is not None:
        kept["/choices/0/stop_reason"] = Raw(msgspec.json.encode(choice.stop_reason))
    if r.choices and len(r.choices) > 1:
        kept = {k: v for k, v in kept.items() if not _OF_OTHERS.match(k)}
        others = values.raws.decode(values.objects.decode(body)["choices"])[1:]
        kept.update({f"/choices/{n}": raw for n, raw in enumerate(others, 1)})
    return kept


def _content(m: schema.Message) -> Iterable[Part]:
    if isinstance(m.content, str):
        tagged = m.reasoning_content is None and m.reasoning is None
        if tagged and m.content[:1] in _MAY_BE_TAG:
            tags = reasoning.Tags()
            for kind, text in _joined([*tags.feed(m.content), *tags.finish()]):
                yield Reasoning(text, origin=NAME) if kind == "reasoning" else Text(text)
        elif m.content:
            yield Text(m.content)
    for part in m.content if isinstance(m.content, list) else ():
        if part.thinking is not None:  # Mistral's
            yield Reasoning(_thought(part.thinking), origin=NAME)
        elif part.text:
            yield Text(part.text)


def _joined(
    pieces: Iterable[tuple[reasoning.Kind, str]],
) -> Iterable[tuple[reasoning.Kind, str]]:
    """Neighbours of the same kind as one."""
    whole: dict[reasoning.Kind, str] = {}
    for kind, text in pieces:
        whole[kind] = whole.get(kind, "") + text
    return whole.items()


def _thought(thinking: str | list[schema.ContentPart]) -> str:
    if isinstance(thinking, str):
        return thinking
    return "".join([part.text or "" for part in thinking])


def _image(part: schema.ContentPart) -> list[Blob | Uri]:
    found = part.image_url
    if found is None:
        return []
    url, detail = (found, None) if isinstance(found, str) else (found.url, found.detail)
    return [drawn(url, detail)]


def drawn(url: str, detail: str | None = None) -> Blob | Uri:
    """An image in an answer. Raises `ProtocolViolation` where its data URL holds none."""
    try:
        return media.image(url, detail, f"{_MESSAGE}/images")
    except InvalidRequest as exc:
        raise ProtocolViolation(exc.message) from None


def _calls(
    m: schema.Message, response_id: str, kept: dict[str, Raw], body: bytes
) -> list[ToolCall | Generic]:
    """The calls of an answer; what is unknown of each is taken out of `kept`."""
    if m.function_call is not None:
        text = calls.arguments(m.function_call.arguments)
        return [ToolCall(calls.made_up_id(response_id, 0), m.function_call.name or "", text)]
    if not m.tool_calls:
        return []
    unknown: dict[str, dict[str, Raw]] = {}
    for pointer in list(kept):
        if owner := _OF_CALL.match(pointer):
            unknown.setdefault(owner.group(), {})[pointer[owner.end() :]] = kept.pop(pointer)
    out: list[ToolCall | Generic] = []
    for index, call in enumerate(m.tool_calls):
        own = extra.keep(unknown.get(f"{_MESSAGE}/tool_calls/{index}", {}), NAME)
        found = calls.decode(call, calls.made_up_id(response_id, index), own)
        out.append(found or _generic(call, body, index))
    return out


def _generic(call: schema.ToolCall, body: bytes, index: int) -> Generic:
    """A call of a kind that is not known, as it came."""
    choice = values.raws.decode(values.objects.decode(body)["choices"])[0]
    message = values.objects.decode(values.objects.decode(choice)["message"])
    raw = values.raws.decode(message["tool_calls"])[index]
    return Generic(f"{calls.CALL_TYPE}{call.type}", NAME, raw)


def encode(response: Response, envelope: Envelope) -> bytes:
    """The answer to a caller who asked with `envelope`."""
    legacy = calls.LEGACY in envelope.spelling
    called = any(isinstance(part, ToolCall) for part in response.parts)
    choice = {
        "index": 0,
        "message": _message(response.parts, legacy),
        "logprobs": None,
        "finish_reason": usage.reason_name(response.reason, called=called, legacy=legacy),
    }
    choices: list[object] = [choice]
    out: Json = {
        "id": response.id,
        "object": "chat.completion",
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


def _message(parts: Sequence[Part], legacy: bool) -> Json:
    only = parts[0] if len(parts) == 1 else None
    if isinstance(only, Text) and only.extra is None and not only.citations:
        return {"role": "assistant", "content": only.text, "refusal": None}
    answer = _Answer(legacy)
    for part in parts:
        answer.add(part)
    return answer.message()


class _Answer:
    """Collects the parts of an answer into its message."""

    def __init__(self, legacy: bool) -> None:
        self._legacy = legacy
        self._text = ""
        self._spoken = ""
        self._said = False  # some text has come, be it empty
        self._refusal: str | None = None
        self._thoughts: list[Reasoning] = []
        self._calls: list[object] = []
        self._more: Json = {}
        self._annotations: list[object] = []
        self._images: list[object] = []

    def add(self, part: Part) -> None:
        match part:
            case Text() if audio.is_transcript(part):
                self._spoken += part.text
            case Text(text=text):
                self._said = True
                start, end = len(self._text), len(self._text) + len(text)
                self._text += text
                found = [citations.encode(c, start, end) for c in part.citations]
                self._annotations += [annotation for annotation in found if annotation is not None]
            case Refusal(text=text):
                self._refusal = (self._refusal or "") + text
            case Reasoning():
                self._thoughts.append(part)
            case ToolCall():
                self._call(part)
            case Generic(type=type_, wire=wire, raw=raw):
                if wire == NAME and type_.startswith(calls.CALL_TYPE):
                    self._calls.append(raw)
            case Blob(modality="audio"):
                self._more["audio"] = audio.encode(part, self._spoken)
            case Blob(modality="image") | Uri(modality="image"):
                self._images.append(image_part(part))
            case _:
                pass  # what another provider ran for itself, and files: no client could read them

    def _call(self, part: ToolCall) -> None:
        if not self._legacy:
            self._calls.append(calls.encode(part, part.name))
        elif "function_call" not in self._more:  # the older form has room for one call
            self._more["function_call"] = calls.encode_legacy(part, part.name)

    def message(self) -> Json:
        nothing = not (self._calls or self._more or self._refusal)
        out: Json = {
            "role": "assistant",
            "content": self._text if self._said or nothing else None,
            "refusal": self._refusal,
        }
        if self._thoughts:
            reasoning.encode(self._thoughts, out)
        if self._calls:
            out["tool_calls"] = self._calls
        if self._annotations:
            out["annotations"] = self._annotations
        if self._images:
            out["images"] = self._images
        return {**out, **self._more}


def image_part(part: Blob | Uri) -> Json:
    """One of OpenRouter's `images`, the only form in which this wire knows drawn answers."""
    url = part.uri if isinstance(part, Uri) else media.data_url(part)
    return {"type": "image_url", "image_url": {"url": url}}


def summarise(body: bytes) -> Summary:
    """Usage, finish reason and failure of a whole answer. Raises `ProtocolViolation`."""
    try:
        seen = _seen.decode(body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None
    choice = seen.choices[0] if seen.choices else None
    failure = _failure(seen.object, seen.error, choice.error if choice else Raw(), body)
    if seen.choices is None and failure is None:
        raise ProtocolViolation("expected an answer with `choices`, got none")
    return Summary(
        usage.decode(seen.usage),
        usage.reason(choice.finish_reason) if choice is not None else None,
        failure,
    )
