"""Limits, sampling and thinking, for requests that come from another wire."""

from collections.abc import Mapping
from typing import Final, assert_never

from msgspec import Struct

from modelmux.ir.profile import Profile
from modelmux.ir.request import Loss, ReasoningOptions, Request
from modelmux.wire import extra
from modelmux.wire.bedrock_converse.content_encode import Block
from modelmux.wire.bedrock_converse.schema import NAME

MIN_BUDGET_TOKENS: Final = 1_024
"""Claude refuses to think with fewer."""

BUDGETS: Final[Mapping[str, int]] = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_768,
}
"""Thinking tokens by effort, for models that are told a budget."""

_USUAL_EFFORT: Final = "medium"


class Said(Struct, frozen=True):
    """What to say, by the place where it is said."""

    inference: Block
    additional: Block
    effort: str | None = None
    thinks: bool = False


def said(request: Request, profile: Profile, losses: list[Loss]) -> Said:
    """What to say of limits, sampling and thinking to a model with `profile`."""
    limit = request.max_tokens
    if limit is not None and 0 < profile.max_output_tokens < limit:
        limit = profile.max_output_tokens
        losses.append(Loss("/max_tokens", f"the model writes at most {limit} tokens"))
    effort: str | None = None
    thinking: Block | None = None
    if request.reasoning is not None:
        effort, thinking, limit = _reasoning(request.reasoning, profile, limit, losses)
    inference: Block = {} if limit is None else {"maxTokens": limit}
    _sampling(request, profile, inference, thinking is not None, losses)
    _unsayable(request, losses)
    additional: Block = {} if thinking is None else {"thinking": thinking}
    return Said(inference, additional, effort, thinking is not None)


def _reasoning(
    options: ReasoningOptions, profile: Profile, limit: int | None, losses: list[Loss]
) -> tuple[str | None, Block | None, int | None]:
    """The effort, Claude's own setting for thinking, and the limit that goes with it."""
    effort = options.effort if options.effort != "none" else None
    if options.mode == "disabled" or options.effort == "none" or options.budget_tokens == 0:
        if profile.reasoning not in {"none", "budget"}:
            losses.append(Loss("/reasoning", "whether it thinks is left to the model"))
        return None, None, limit
    if options.mode is None and effort is None and options.budget_tokens is None:
        return None, None, limit
    match profile.reasoning:
        case "none":
            losses.append(Loss("/reasoning", "the model does not think"))
            return None, None, limit
        case "budget":
            budget = options.budget_tokens or BUDGETS.get(effort or "", BUDGETS[_USUAL_EFFORT])
            budget = max(budget, MIN_BUDGET_TOKENS)
            if limit is not None and limit <= budget:
                limit += budget
                losses.append(Loss("/max_tokens", f"raised to {limit}: it counts thinking here"))
            return None, {"type": "enabled", "budget_tokens": budget}, limit
        case "adaptive":
            _no_budget(options, losses)
            return effort, {"type": "adaptive"}, limit
        case "effort" | "switch" | None:
            _no_budget(options, losses)
            return effort or _USUAL_EFFORT, None, limit
        case _:
            assert_never(profile.reasoning)


def _no_budget(options: ReasoningOptions, losses: list[Loss]) -> None:
    if options.budget_tokens is not None:
        reason = "the model is told how hard to think, not how long"
        losses.append(Loss("/reasoning/budget_tokens", reason))


def _sampling(
    request: Request, profile: Profile, out: Block, thinks: bool, losses: list[Loss]
) -> None:
    asked = request.sampling
    for name, field, value in (
        ("temperature", "temperature", asked.temperature),
        ("top_p", "topP", asked.top_p),
    ):
        if value is None:
            continue
        if thinks or name in profile.refuses:
            if value != 1:
                reason = "not while thinking" if thinks else "the model refuses it"
                losses.append(Loss(f"/sampling/{name}", reason))
            continue
        if value > 1:
            losses.append(Loss(f"/sampling/{name}", "at most 1 here"))
        out[field] = min(value, 1.0)
    if profile.temperature_or_top_p and "temperature" in out and out.pop("topP", 1) != 1:
        losses.append(Loss("/sampling/top_p", "the model takes temperature or top_p"))
    if asked.stop and "stop" in profile.refuses:
        losses.append(Loss("/sampling/stop", "the model refuses it", "content"))
        return
    stop = [sequence for sequence in asked.stop if sequence.strip()]
    if len(stop) < len(asked.stop):
        losses.append(Loss("/sampling/stop", "white space alone is refused here"))
    if stop:
        out["stopSequences"] = stop


def _unsayable(request: Request, losses: list[Loss]) -> None:
    """Note what this wire has no word for, unless it asks for what is done anyway."""
    asked = request.sampling
    unsaid = {
        "top_k": asked.top_k is not None,
        "seed": asked.seed is not None,
        "presence_penalty": bool(asked.presence_penalty),
        "frequency_penalty": bool(asked.frequency_penalty),
        "logit_bias": asked.logit_bias is not None and bytes(asked.logit_bias) != b"{}",
        "logprobs": bool(asked.logprobs),
        "top_logprobs": bool(asked.top_logprobs),
    }
    losses.extend(
        Loss(f"/sampling/{name}", f"{NAME} has no {name} for all models")
        for name, was_said in unsaid.items()
        if was_said
    )
    losses.extend(
        Loss(f"/metadata/{extra.escape(key)}", f"{NAME} keeps metadata in the account's own logs")
        for key in request.metadata
    )
    if request.user is not None:
        losses.append(Loss("/user", f"{NAME} is not told of users"))
