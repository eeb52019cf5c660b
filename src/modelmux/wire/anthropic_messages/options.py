"""Limits, sampling and thinking, for requests that come from another wire."""

from collections.abc import Mapping
from typing import assert_never

from msgspec import Struct

from modelmux.ir.profile import Profile, ReasoningStyle
from modelmux.ir.request import Loss, ReasoningOptions, Request
from modelmux.wire import extra
from modelmux.wire.anthropic_messages.schema import NAME

DEFAULT_MAX_TOKENS = 32_000
"""`max_tokens` where neither the caller nor the catalogue says: the API requires one.

Half of what the smallest of the current models writes (platform.claude.com/docs/en/models, read
2026-11-20), and all that Opus 4.1 does; much less would cut answers short.
"""

MIN_BUDGET_TOKENS = 1_024
"""The API refuses to think with fewer."""

BUDGETS: Mapping[str, int] = {
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_768,
}
"""Thinking tokens by effort, for models that are told a budget."""

_USUAL_EFFORT = "medium"
"""Where the caller wants thinking and does not say how much."""

_EFFORTS: Mapping[str, str] = {"minimal": "low", **{word: word for word in BUDGETS}}


class Thinking(Struct, frozen=True):
    """What to say of thinking, with the `max_tokens` that goes with it."""

    max_tokens: int
    config: Mapping[str, object] | None = None
    effort: str | None = None

    @property
    def on(self) -> bool:
        return self.config is not None and self.config["type"] != "disabled"

    @property
    def budgeted(self) -> bool:
        return self.config is not None and self.config["type"] == "enabled"


def max_tokens(request: Request, profile: Profile, losses: list[Loss]) -> int:
    """The longest answer to ask for."""
    ceiling = profile.max_output_tokens
    asked = request.max_tokens
    if asked is None:
        if ceiling:
            return ceiling
        half = profile.context_tokens // 2
        return min(DEFAULT_MAX_TOKENS, half) if half else DEFAULT_MAX_TOKENS
    if ceiling and asked > ceiling:
        losses.append(Loss("/max_tokens", f"the model writes at most {ceiling} tokens"))
        return ceiling
    return asked


def thinking(
    options: ReasoningOptions | None, profile: Profile, limit: int, losses: list[Loss]
) -> Thinking:
    """How to ask a model with `profile` to think.

    Args:
        options: What the caller asked.
        profile: How the model is told.
        limit: `max_tokens`, which counts thinking too.
        losses: Takes what cannot be said.
    """
    if options is None:
        return Thinking(limit)
    style = profile.reasoning or _plainest(options)
    if options.mode == "disabled" or options.effort == "none" or options.budget_tokens == 0:
        if profile.thinks_always:
            losses.append(Loss("/reasoning", "the model always thinks: asked to think little"))
            return Thinking(limit, None, "low")
        # Models that think by themselves do so where nothing is said.
        return Thinking(limit) if style == "none" else Thinking(limit, {"type": "disabled"})
    effort = _effort(options, losses)
    if options.mode is None and effort is None and options.budget_tokens is None:
        return Thinking(limit)
    match style:
        case "none":
            losses.append(Loss("/reasoning", "the model does not think"))
            return Thinking(limit)
        case "effort" | "adaptive" | "switch":
            if options.budget_tokens is not None:
                reason = "the model is told how hard to think, not how long"
                losses.append(Loss("/reasoning/budget_tokens", reason))
            config = {"type": "adaptive"} if style == "adaptive" else None
            return Thinking(limit, config, effort)
        case "budget":
            return _with_budget(options, effort, profile, limit, losses)
        case _:
            assert_never(style)


def _plainest(options: ReasoningOptions) -> ReasoningStyle:
    """How to tell a model that the catalogue does not know: later models choose by themselves."""
    return "adaptive" if options.budget_tokens is None else "budget"


def _effort(options: ReasoningOptions, losses: list[Loss]) -> str | None:
    if options.effort is None:
        return None
    said = _EFFORTS.get(options.effort)
    if said is None:
        losses.append(Loss("/reasoning/effort", f"{NAME} has no effort {options.effort!r}"))
    elif said != options.effort:
        losses.append(Loss("/reasoning/effort", f"{options.effort} is said as {said}"))
    return said


def _with_budget(
    options: ReasoningOptions,
    effort: str | None,
    profile: Profile,
    limit: int,
    losses: list[Loss],
) -> Thinking:
    asked = options.budget_tokens
    budget = max(asked or BUDGETS[effort or _USUAL_EFFORT], MIN_BUDGET_TOKENS)
    if limit <= MIN_BUDGET_TOKENS:
        raised = limit + MIN_BUDGET_TOKENS
        if profile.max_output_tokens and raised > profile.max_output_tokens:
            losses.append(Loss("/reasoning", f"{limit} tokens leave no room to think"))
            return Thinking(limit)
        losses.append(Loss("/max_tokens", f"raised to {raised}: it counts thinking here"))
        limit, budget = raised, MIN_BUDGET_TOKENS
    elif asked is not None:
        budget = min(budget, limit - 1)
    else:  # an effort says nothing of the answer's own length: leave it a quarter
        budget = max(MIN_BUDGET_TOKENS, min(budget, limit * 3 // 4))
    if asked is not None and budget != asked:
        losses.append(Loss("/reasoning/budget_tokens", f"said as {budget} tokens"))
    return Thinking(limit, {"type": "enabled", "budget_tokens": budget})


def sampling(
    request: Request, profile: Profile, thinking_on: bool, losses: list[Loss]
) -> dict[str, object]:
    """Fields of the body that tune how tokens are chosen."""
    asked = request.sampling
    out: dict[str, object] = {}
    if asked.temperature is not None:
        out["temperature"] = asked.temperature
    if asked.top_p is not None:
        out["top_p"] = asked.top_p
    if asked.top_k is not None:
        out["top_k"] = asked.top_k
    if out:
        _restrain(out, profile, thinking_on, losses)
    if asked.stop:
        stop = _stop(asked.stop, profile, losses)
        if stop:
            out["stop_sequences"] = stop
    if (
        asked.seed is not None
        or asked.presence_penalty
        or asked.frequency_penalty
        or asked.logit_bias is not None
        or asked.logprobs
        or asked.top_logprobs
        or request.metadata
    ):
        _unsayable(request, losses)
    return out


def _restrain(
    said: dict[str, object], profile: Profile, thinking_on: bool, losses: list[Loss]
) -> None:
    """Take from `said` what the model refuses."""
    refused = list(said) if thinking_on else [name for name in said if name in profile.refuses]
    for name in refused:
        if said.pop(name) != 1 or name == "top_k":  # 1 is what the others are anyway
            reason = "not while thinking" if thinking_on else "the model refuses it"
            losses.append(Loss(f"/sampling/{name}", reason))
    temperature = said.get("temperature")
    if isinstance(temperature, int | float) and temperature > 1:
        said["temperature"] = 1.0
        losses.append(Loss("/sampling/temperature", "at most 1 here"))
    both = "temperature" in said and "top_p" in said
    if profile.temperature_or_top_p and both and said.pop("top_p") != 1:
        losses.append(Loss("/sampling/top_p", "the model takes temperature or top_p"))


def _stop(stop: tuple[str, ...], profile: Profile, losses: list[Loss]) -> list[str]:
    if stop and "stop" in profile.refuses:
        losses.append(Loss("/sampling/stop", "the model refuses it", "content"))
        return []
    said: list[str] = []
    for index, sequence in enumerate(stop):
        if sequence.strip():
            said.append(sequence)
        else:
            losses.append(Loss(f"/sampling/stop/{index}", "white space alone is refused here"))
    return said


def _unsayable(request: Request, losses: list[Loss]) -> None:
    """Note what this wire has no word for, unless it asks for what is done anyway."""
    asked = request.sampling
    unsaid = {
        "seed": asked.seed is not None,
        "presence_penalty": bool(asked.presence_penalty),
        "frequency_penalty": bool(asked.frequency_penalty),
        "logit_bias": asked.logit_bias is not None and bytes(asked.logit_bias) != b"{}",
        "logprobs": bool(asked.logprobs),
        "top_logprobs": bool(asked.top_logprobs),
    }
    for name, said in unsaid.items():
        if said:
            losses.append(Loss(f"/sampling/{name}", f"{NAME} has no {name}"))
    losses.extend(
        Loss(f"/metadata/{extra.escape(key)}", f"{NAME} keeps no metadata but the user")
        for key in request.metadata
    )
