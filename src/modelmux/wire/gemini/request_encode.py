"""The neutral request to a body of `generateContent` or `streamGenerateContent`.

A request that came from this wire is written back as it was said (`native`). One that came from
another is put in the form that the API takes; what cannot be said is noted as a loss.
"""

import msgspec
from msgspec.structs import replace

from modelmux.errors import Unrepresentable
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Loss, Request
from modelmux.ir.restore import Restore
from modelmux.wire import extra
from modelmux.wire.gemini import native, options, tools
from modelmux.wire.gemini.part_encode import Piece
from modelmux.wire.gemini.schema import NAME
from modelmux.wire.gemini.turns import Conversation

_RESOLUTIONS = {"low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH"}


def encode(request: Request, profile: Profile) -> Encoded:
    """A body for a model with `profile`, and what was done to the request to say it.

    Raises:
        InvalidRequest: The request contradicts itself in a way that the API refuses.
        Unrepresentable: Several answers are asked for.
    """
    if request.wire == NAME:
        return native.encode(request)
    if request.choices > 1:
        reason = f"{NAME} is asked for one answer from here, and {request.choices} are asked for"
        raise Unrepresentable(f"n: {reason}", losses=[reason], param="n")
    losses: list[Loss] = []
    for part in (request, request.tool_choice, request.response_format, request.reasoning):
        if part is not None and part.extra is not None:
            losses.extend(extra.losses(part.extra, NAME))
    if request.tools and not profile.tools:
        losses.append(Loss("/tools", "the model calls no tools", "content"))
        request = replace(request, tools=(), tool_choice=None)
    return _encoded(request, profile, losses)


def _encoded(request: Request, profile: Profile, losses: list[Loss]) -> Encoded:
    names = tools.Names(request.tools)
    conversation = Conversation(names, profile, losses)
    for index, message in enumerate(request.messages):
        conversation.add(message, index)
    conversation.close()
    choice = tools.choice(request, profile, names, losses)
    definitions, has_functions = tools.definitions(request, names, profile, choice.only, losses)
    form = options.form(request.response_format, profile, bool(definitions), losses)
    system = list(conversation.system)
    if form.instruction is not None:
        system.append(form.instruction)
    body: Piece = {}
    if system:
        body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    body["contents"] = conversation.contents()
    if definitions:
        body["tools"] = definitions
    if choice.config is not None and has_functions:  # refused where there are none
        body["toolConfig"] = {"functionCallingConfig": choice.config}
    config = options.config(request, profile, losses) | form.config
    _add_resolution(config, conversation.details, losses)
    if config:
        body["generationConfig"] = config
    options.unsayable(request, losses)
    restore: Restore | None = None
    if names.changed or form.instruction is not None:
        restore = Restore(None, names.changed, form.instruction is not None)
    return Encoded(msgspec.json.encode(body), tuple(losses), restore)


def _add_resolution(config: Piece, details: set[str], losses: list[Loss]) -> None:
    """Say how closely to look at images, where the caller wants the same of all."""
    details = details - {"auto"}
    if not details:
        return
    resolution = _RESOLUTIONS.get(next(iter(details))) if len(details) == 1 else None
    if resolution is None:
        losses.append(Loss("/messages", f"{NAME} looks at all images alike"))
    else:
        config["mediaResolution"] = resolution
