"""Whether a model can do what a request asks, as far as its profile says."""

from modelmux.ir.parts import Blob, File, Modality, Part, ToolResult, Uri
from modelmux.ir.profile import Profile
from modelmux.ir.request import Request
from modelmux.target import estimate


def missing(request: Request, profile: Profile) -> str:
    """What the model lacks for the request, in words; empty if nothing is known to be lacking."""
    if request.tools and not profile.tools:
        return "it has no tools"
    if profile.input_modalities is not None:
        for modality in sorted(modalities(request)):
            if modality not in profile.input_modalities:
                return f"it takes no {modality}"
    if _thinks(request) and profile.reasoning == "none":
        return "it does not reason"
    if _wants_schema(request) and profile.structured_output == "tool" and not profile.tools:
        return "it keeps to no schema"
    return _too_long(request, profile)


def modalities(request: Request) -> set[Modality]:
    """What stands in the prompt beside text."""
    found: set[Modality] = set()
    for message in request.messages:
        for part in message.parts:
            _add_modality(part, found)
    return found


def _add_modality(part: Part, found: set[Modality]) -> None:
    match part:
        case Blob(modality=modality) | Uri(modality=modality) | File(modality=modality):
            found.add(modality)
        case ToolResult(parts=parts):
            for inner in parts:
                _add_modality(inner, found)
        case _:
            pass


def _thinks(request: Request) -> bool:
    options = request.reasoning
    if options is None or options.mode == "disabled":
        return False
    if options.effort == "none":
        return False
    return options.mode is not None or bool(options.effort or options.budget_tokens)


def _wants_schema(request: Request) -> bool:
    form = request.response_format
    return form is not None and form.type == "json_schema"


def _too_long(request: Request, profile: Profile) -> str:
    if not profile.context_tokens:
        return ""
    asked = request.max_tokens or 0
    if asked and profile.max_output_tokens and asked > profile.max_output_tokens:
        return f"it answers with at most {profile.max_output_tokens} tokens"
    tokens = estimate.input_tokens(request)
    if tokens > profile.context_tokens:
        return f"it takes {profile.context_tokens} tokens, and the prompt has about {tokens}"
    return ""
