"""What requests of both kinds have: options, thinking, and the form of the answer."""

from collections.abc import Mapping
from typing import cast

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Extra
from modelmux.ir.profile import Profile
from modelmux.ir.request import Loss, ReasoningOptions, Request, ResponseFormat, Sampling
from modelmux.wire import extra
from modelmux.wire.ollama_chat import schema

Body = dict[str, object]

STREAM = "/stream"
"""The caller wrote that the answer is to stream, as it does anyway."""
ONE_STOP = "/options/stop"
"""The one stop sequence is not in a list."""
NO_FORMAT = "/format"
"""The caller wrote that the answer has no form."""
OPTIONS = "/options"
"""The object is there, whatever it says."""

_EFFORTS = frozenset({"low", "medium", "high"})
_NEAREST: Mapping[str, str] = {"minimal": "low", "xhigh": "high", "max": "high"}

_string = msgspec.json.Decoder(str)


class Decoded(Struct, frozen=True):
    """The settings of a request, in neutral words."""

    max_tokens: int | None
    sampling: Sampling
    reasoning: ReasoningOptions | None
    response_format: ResponseFormat | None


def decode(body: schema.Settings, spelled: set[str], rest: dict[str, Raw]) -> Decoded:
    """What `body` says; `spelled` and `rest` take how, and what has no neutral word."""
    if body.stream:
        spelled.add(STREAM)
    options = body.options or schema.Options()
    if body.options is not None:
        spelled.add(OPTIONS)
    stop = options.stop
    if isinstance(stop, str):
        spelled.add(ONE_STOP)
        stop = [stop]
    limit = options.num_predict
    if limit is not None and limit < 0:  # without end, or to the end of the context
        rest["/options/num_predict"] = Raw(b"%d" % limit)
        limit = None
    sampling = Sampling(
        options.temperature,
        options.top_p,
        options.top_k,
        options.seed,
        tuple(stop) if stop else (),
        options.presence_penalty,
        options.frequency_penalty,
        logprobs=body.logprobs,
        top_logprobs=body.top_logprobs,
    )
    return Decoded(limit, sampling, _reasoning(body.think), _format(body.format, spelled))


def _reasoning(think: bool | str | None) -> ReasoningOptions | None:
    if think is None:
        return None
    if isinstance(think, str):
        return ReasoningOptions("enabled", think)
    return ReasoningOptions("enabled" if think else "disabled")


def _format(raw: Raw, spelled: set[str]) -> ResponseFormat | None:
    if not raw or bytes(raw) == b"null":
        return None
    if bytes(raw).startswith(b"{"):
        return ResponseFormat("json_schema", schema=raw)
    try:
        word = _string.decode(raw)
    except extra.MALFORMED:
        word = "?"
    if word == "json":
        return ResponseFormat("json_object")
    if word:
        message = f'format: expected "json" or a JSON Schema, got {bytes(raw)[:40]!r}'
        raise InvalidRequest(message, param="format")
    spelled.add(NO_FORMAT)
    return None


def split(
    unknown: Mapping[str, Raw], held: str
) -> tuple[dict[str, Raw], dict[int, dict[str, Raw]]]:
    """Unknown fields of a body, and those of the objects in its list `held`, by index."""
    rest: dict[str, Raw] = {}
    inner: dict[int, dict[str, Raw]] = {}
    for pointer, raw in unknown.items():
        if pointer.startswith(f"/{held}/"):
            index, _, field = pointer.removeprefix(f"/{held}/").partition("/")
            inner.setdefault(int(index), {})[f"/{field}"] = raw
        else:
            rest[pointer] = raw
    return rest, inner


def held(body: Body, name: str) -> list[object]:
    """The list in a field of `body`, which is made where there is none."""
    return cast("list[object]", body.setdefault(name, []))  # made here and nowhere else


def native(request: Request, name: str) -> Body:
    """The settings of a request that came from the wire `name`, as they were said."""
    out: Body = {}
    if not request.stream or STREAM in request.spelling:
        out["stream"] = request.stream
    reasoning, form = request.reasoning, request.response_format
    if reasoning is not None:
        out["think"] = reasoning.effort or reasoning.mode != "disabled"
    if form is not None:
        out["format"] = form.schema if form.schema is not None else "json"
    elif NO_FORMAT in request.spelling:
        out["format"] = ""
    options = _options(request)
    if ONE_STOP in request.spelling and len(request.sampling.stop) == 1:
        options["stop"] = request.sampling.stop[0]
    if options or OPTIONS in request.spelling:
        out["options"] = options
    _logprobs(request.sampling, out)
    extras = request.extra
    if extras is not None and any(at.startswith("/options/") for at in extras.fields):
        out.setdefault("options", {})
    return extra.merge(out, extras, name)


def _options(request: Request) -> Body:
    sampling = request.sampling
    said: Body = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "seed": sampling.seed,
        "num_predict": request.max_tokens,
        "stop": list(sampling.stop) or None,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    return {name: value for name, value in said.items() if value is not None}


def _logprobs(sampling: Sampling, out: Body) -> None:
    if sampling.logprobs is not None:
        out["logprobs"] = sampling.logprobs
    if sampling.top_logprobs is not None:
        out["top_logprobs"] = sampling.top_logprobs


def translated(request: Request, profile: Profile, name: str, losses: list[Loss]) -> Body:
    """The settings of a request that came from another wire."""
    out: Body = {"stream": request.stream}
    think = _think(request.reasoning, profile, losses)
    if think is not None:
        out["think"] = think
    form = request.response_format
    if form is not None and form.type != "text":
        out["format"] = form.schema if form.schema is not None else "json"
        if form.description is not None:
            reason = "the form of an answer has no description here"
            losses.append(Loss("/response_format/description", reason))
    options = _options(request)
    for field in [field for field in options if field in profile.refuses]:
        del options[field]
        losses.append(Loss(f"/sampling/{field}", "the model refuses it"))
    if options:
        out["options"] = options
    _logprobs(request.sampling, out)
    _unsayable(request, name, losses)
    return out


def _think(
    options: ReasoningOptions | None, profile: Profile, losses: list[Loss]
) -> bool | str | None:
    if options is None:
        return None
    if options.mode == "disabled" or options.effort == "none" or options.budget_tokens == 0:
        return False
    if options.mode is None and options.effort is None and options.budget_tokens is None:
        return None
    if profile.reasoning == "none":
        losses.append(Loss("/reasoning", "the model does not think"))
        return None
    if options.budget_tokens is not None:
        reason = "the model is told how hard to think, not how long"
        losses.append(Loss("/reasoning/budget_tokens", reason))
    if options.effort is None:
        return True
    effort = _NEAREST.get(options.effort, options.effort)
    if effort != options.effort or effort not in _EFFORTS:
        losses.append(Loss("/reasoning/effort", f"{options.effort} is said as the nearest"))
    return effort if effort in _EFFORTS else True


def _unsayable(request: Request, name: str, losses: list[Loss]) -> None:
    """Note what this wire has no word for."""
    bias = request.sampling.logit_bias
    if bias is not None and bytes(bias) != b"{}":
        losses.append(Loss("/sampling/logit_bias", f"{name} has no logit_bias"))
    if request.user is not None:
        losses.append(Loss("/user", f"{name} does not tell users apart"))
    losses.extend(
        Loss(f"/metadata/{extra.escape(key)}", f"{name} keeps no metadata")
        for key in request.metadata
    )


def kept(rest: Mapping[str, Raw], name: str, content: frozenset[str]) -> Extra | None:
    """`rest` as the extra of a request."""
    return Extra(name, rest, "", content.intersection(rest)) if rest else None
