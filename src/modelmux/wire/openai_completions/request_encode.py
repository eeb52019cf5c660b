"""Neutral requests as request bodies: a conversation as one text that the model goes on with."""

import msgspec

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Reasoning, Refusal, Text
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Encoded, Loss, Message, Request, Sampling
from modelmux.wire import extra
from modelmux.wire.openai_completions.request_decode import LIST
from modelmux.wire.openai_completions.schema import NAME

MAX_STOP = 4
"""Most stop sequences, as OpenAI's Python library 3.51 documents `stop`, read 2026-11-20."""

_SPEAKERS: dict[str, str] = {
    "system": "System",
    "developer": "System",
    "user": "User",
    "assistant": "Assistant",
}

Json = dict[str, object]


def encode(request: Request, profile: Profile = UNKNOWN) -> Encoded:
    """The body for a target, and what it does not say.

    Raises:
        InvalidRequest: There is nothing to go on with.
    """
    losses: list[Loss] = []
    out: Json = {"model": request.model}
    own = request.wire == NAME
    if own:
        text = _text(request.messages[0], "/messages/0", losses) if request.messages else None
        if text is not None:
            out["prompt"] = [text] if LIST in request.spelling else text
    else:
        out["prompt"] = _transcript(request, losses)
        losses += _unsayable(request)
    if request.max_tokens is not None:
        out["max_tokens"] = request.max_tokens
    _sampling(request, profile, losses, out)
    if request.choices > 1 or "n" in request.spelling:
        out["n"] = request.choices
    if request.user is not None:
        out["user"] = request.user
    if request.stream:
        out["stream"] = True
        if profile.stream_usage:  # always asked for, so that the answer is accounted for
            out["stream_options"] = {"include_usage": True}
    elif "stream" in request.spelling:
        out["stream"] = False
    losses.extend(extra.losses(request.extra, NAME))
    if own and request.extra is not None:
        notes = {n: raw for n, raw in request.extra.fields.items() if not n.startswith("/")}
        extra.merge(out, request.extra, NAME).update(notes)
    return Encoded(msgspec.json.encode(out), tuple(losses))


def _transcript(request: Request, losses: list[Loss]) -> str:
    """What was said, by whom, and whose turn it is; a single text as it is."""
    said = [
        (message.role, text)
        for index, message in enumerate(request.messages)
        if (text := _text(message, f"/messages/{index}", losses))
    ]
    if not said:
        raise InvalidRequest("messages: expected some text to go on with", param="messages")
    if len(said) == 1 and said[0][0] == "user":
        return said[0][1]
    losses.append(Loss("/messages", f"{NAME} has one prompt: who said what is said in words"))
    lines = [f"{_SPEAKERS[role]}: {text}" for role, text in said]
    if said[-1][0] != "assistant":
        lines.append("Assistant:")
    return "\n\n".join(lines)


def _text(message: Message, path: str, losses: list[Loss]) -> str:
    if message.name is not None:
        losses.append(Loss(f"{path}/name", f"{NAME} does not name speakers"))
    losses.extend(extra.losses(message.extra, NAME))
    found: list[str] = []
    for index, part in enumerate(message.parts):
        at = f"{path}/parts/{index}"
        match part:
            case Text(text=text) | Refusal(text=text):
                found.append(text)
                losses.extend(extra.losses(part.extra, NAME))
            case Reasoning():
                losses.append(Loss(at, f"{NAME} has no reasoning"))
            case _:
                what = type(part).__name__
                losses.append(Loss(at, f"{NAME} has text only, and no {what}", "content"))
    return "".join(found)


def _unsayable(request: Request) -> list[Loss]:
    losses: list[Loss] = []
    if request.tools:
        losses.append(Loss("/tools", f"{NAME} has no tools", "content"))
    if request.response_format is not None and request.response_format.type != "text":
        losses.append(Loss("/response_format", f"{NAME} has no structured answers", "content"))
    if request.reasoning is not None:
        losses.append(Loss("/reasoning", f"{NAME} has no reasoning"))
    if request.metadata:
        losses.append(Loss("/metadata", f"{NAME} takes no metadata"))
    if request.choices > 1:
        losses.append(Loss("/choices", f"answers of {request.wire} hold one choice", "content"))
    return losses


def _sampling(request: Request, profile: Profile, losses: list[Loss], out: Json) -> None:
    sampling = request.sampling
    if sampling == Sampling():
        return
    fields: Json = {
        name: getattr(sampling, name)
        for name in (
            "temperature",
            "top_p",
            "seed",
            "presence_penalty",
            "frequency_penalty",
            "logit_bias",
        )
    }
    if sampling.logprobs:
        fields["logprobs"] = sampling.top_logprobs or 0
    if request.wire != NAME:
        if sampling.top_k is not None:
            losses.append(Loss("/sampling/top_k", f"{NAME} has no top_k"))
        if sampling.logit_bias is not None:
            del fields["logit_bias"]
            losses.append(Loss("/sampling/logit_bias", f"{NAME} has no such bias"))
    out.update({name: value for name, value in fields.items() if value is not None})
    losses += [
        Loss(f"/sampling/{name}", f"the model refuses {name}")
        for name in sorted(profile.refuses)
        if out.pop(name, None) is not None
    ]
    if sampling.stop:
        own = request.wire == NAME
        kept = sampling.stop if own else sampling.stop[:MAX_STOP]
        out["stop"] = kept[0] if "stop" in request.spelling else kept
        reason = f"{NAME} takes {MAX_STOP} stop sequences"
        losses += [
            Loss(f"/sampling/stop/{n}", reason) for n in range(len(kept), len(sampling.stop))
        ]
