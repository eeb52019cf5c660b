"""Limits, sampling, thinking and the answer's form, for requests from another wire."""

from collections.abc import Mapping

from msgspec import Raw, Struct

from modelmux.ir.profile import Profile
from modelmux.ir.request import Loss, ReasoningOptions, Request, ResponseFormat, Sampling
from modelmux.wire import extra
from modelmux.wire.gemini import schemas
from modelmux.wire.gemini.part_encode import Piece
from modelmux.wire.gemini.schema import NAME

MAX_STOPS = 5
"""ai.google.dev/api/generate-content#generationconfig, read 2026-11-20."""

MIN_BUDGET_TOKENS = 128
"""What a model that cannot be kept from thinking thinks at least (Gemini 2.5 Pro).

ai.google.dev/gemini-api/docs/thinking, read 2026-11-20
"""

BUDGETS: Mapping[str, int] = {
    "minimal": 512,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}
"""Thinking tokens by effort, for models that are told a budget; the API's own compatibility
layer maps so (ai.google.dev/gemini-api/docs/openai#thinking, read 2026-11-20)."""

LEVELS: Mapping[str, str] = {
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
"""Words of the API by effort, for models that are told a level."""

JSON_ONLY = "Answer with one JSON object and nothing else: no explanation, no Markdown."
SCHEMA_ONLY = (
    "Answer with JSON that is valid under the following JSON Schema, and with nothing else: "
    "no explanation, no Markdown.\n"
)


_NOTHING = Sampling()


class Form(Struct, frozen=True):
    """How the form of the answer is asked for; all empty: it is free."""

    config: Piece = {}
    instruction: str | None = None
    """What to say in the system prompt; the answer may then stand in a Markdown fence."""


def form(
    asked: ResponseFormat | None, profile: Profile, has_tools: bool, losses: list[Loss]
) -> Form:
    """How to ask a model with `profile` for a form, beside tools or not."""
    if asked is None or asked.type == "text":
        return Form()
    schema = asked.schema if asked.type == "json_schema" else None
    if has_tools and not profile.format_with_tools:
        if schema is None:
            return Form(instruction=JSON_ONLY)
        return Form(instruction=SCHEMA_ONLY + bytes(schema).decode())
    losses.extend(
        Loss(f"/response_format/{field}", f"the form of an answer has no {field} here")
        for field, value in (("description", asked.description),)
        if value is not None
    )
    config: Piece = {"responseMimeType": "application/json"}
    if schema is not None:
        config.update(_schema(schema, profile, losses))
    return Form(config)


def _schema(schema: Raw, profile: Profile, losses: list[Loss]) -> Piece:
    if profile.json_schema:
        return {"responseJsonSchema": schema}
    narrowed = schemas.Narrowed(schema, "/response_format/schema")
    if narrowed.lost:
        what = ", ".join(sorted(narrowed.lost))
        reason = f"the model knows no {what} in schemas"
        losses.append(Loss("/response_format/schema", reason))
    return {"responseSchema": narrowed.schema} if narrowed.schema is not None else {}


def config(request: Request, profile: Profile, losses: list[Loss]) -> Piece:
    """`generationConfig`, but for the answer's form."""
    asked = request.sampling
    out: Piece = {}
    if asked != _NOTHING:
        out = _sampling(asked, profile, losses)
    if request.max_tokens is not None:
        ceiling = profile.max_output_tokens
        most = min(request.max_tokens, ceiling) if ceiling else request.max_tokens
        if most < request.max_tokens:
            losses.append(Loss("/max_tokens", f"the model writes at most {ceiling} tokens"))
        out["maxOutputTokens"] = most
    if request.reasoning is not None:
        thinking = _thinking(request.reasoning, profile, losses)
        if thinking is not None:
            out["thinkingConfig"] = thinking
    return out


def _sampling(asked: Sampling, profile: Profile, losses: list[Loss]) -> Piece:
    said: Piece = {
        "temperature": asked.temperature,
        "topP": asked.top_p,
        "topK": asked.top_k,
        "seed": asked.seed,
        "presencePenalty": asked.presence_penalty,
        "frequencyPenalty": asked.frequency_penalty,
        "responseLogprobs": asked.logprobs,
        "logprobs": asked.top_logprobs if asked.logprobs else None,
    }
    out = {name: value for name, value in said.items() if value is not None}
    _refuse(out, profile, losses)
    if asked.stop:
        out["stopSequences"] = list(asked.stop[:MAX_STOPS])
        losses.extend(
            Loss(f"/sampling/stop/{index}", f"at most {MAX_STOPS} here")
            for index in range(MAX_STOPS, len(asked.stop))
        )
    if asked.logit_bias is not None and bytes(asked.logit_bias) != b"{}":
        losses.append(Loss("/sampling/logit_bias", f"{NAME} has no logit_bias"))
    return out


_FIELDS = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}


def _refuse(out: Piece, profile: Profile, losses: list[Loss]) -> None:
    if not profile.refuses:
        return
    for name in [name for name in out if _FIELDS[name] in profile.refuses]:
        del out[name]
        losses.append(Loss(f"/sampling/{_FIELDS[name]}", "the model refuses it"))


def _thinking(options: ReasoningOptions, profile: Profile, losses: list[Loss]) -> Piece | None:
    by_budget = profile.reasoning == "budget" or (
        profile.reasoning is None and options.budget_tokens is not None
    )
    if options.mode == "disabled" or options.effort == "none" or options.budget_tokens == 0:
        return _unthinking(by_budget, profile, losses)
    if options.mode is None and options.effort is None and options.budget_tokens is None:
        return None
    if profile.reasoning == "none":
        losses.append(Loss("/reasoning", "the model does not think"))
        return None
    out: Piece = {"includeThoughts": True}
    if by_budget:
        return out | _budget(options, losses)
    if options.budget_tokens is not None:
        reason = "the model is told how hard to think, not how long"
        losses.append(Loss("/reasoning/budget_tokens", reason))
    if options.effort is not None:
        level = LEVELS.get(options.effort)
        if level is None or level.lower() != options.effort:
            said = f"is said as {level.lower()}" if level else "is no effort here"
            losses.append(Loss("/reasoning/effort", f"{options.effort} {said}"))
        if level is not None:
            out["thinkingLevel"] = level
    return out


def _budget(options: ReasoningOptions, losses: list[Loss]) -> Piece:
    if options.budget_tokens is not None:
        return {"thinkingBudget": options.budget_tokens}
    if options.effort is None:
        return {"thinkingBudget": -1}
    budget = BUDGETS.get(options.effort)
    if budget is None:
        losses.append(Loss("/reasoning/effort", f"{options.effort} is no effort here"))
        return {"thinkingBudget": -1}
    return {"thinkingBudget": budget}


def _unthinking(by_budget: bool, profile: Profile, losses: list[Loss]) -> Piece | None:
    if profile.reasoning == "none":
        return None
    if profile.thinks_always:
        losses.append(Loss("/reasoning", "the model always thinks: asked to think little"))
        if by_budget:
            return {"thinkingBudget": MIN_BUDGET_TOKENS}
        return {"thinkingLevel": "LOW"}
    return {"thinkingBudget": 0} if by_budget else {"thinkingLevel": "MINIMAL"}


def unsayable(request: Request, losses: list[Loss]) -> None:
    """Note what of the rest this wire has no word for."""
    if request.parallel_tool_calls is False and request.tools:
        losses.append(Loss("/parallel_tool_calls", f"{NAME} cannot be kept to one call"))
    if request.user is not None:
        losses.append(Loss("/user", f"{NAME} does not tell users apart"))
    losses.extend(
        Loss(f"/metadata/{extra.escape(key)}", f"{NAME} keeps no metadata")
        for key in request.metadata
    )
