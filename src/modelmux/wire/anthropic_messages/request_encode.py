"""The neutral request to a body of `POST /v1/messages`.

A request that came from this wire is written back as it was said (`native`). One that came from
another is put in the form that the API takes; what cannot be said is noted as a loss.
"""

import itertools
from collections.abc import Iterator

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import Unrepresentable
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Loss, Request
from modelmux.ir.restore import Restore
from modelmux.wire import extra
from modelmux.wire.anthropic_messages import native, options, structured, tools
from modelmux.wire.anthropic_messages.block_encode import Block
from modelmux.wire.anthropic_messages.schema import NAME
from modelmux.wire.anthropic_messages.turns import Conversation

MAX_MARKERS = 4
"""The API refuses more cache markers than these:
platform.claude.com/docs/en/build-with-claude/prompt-caching."""

ANSWER_TOOL = "Gives the answer to the user. Call it once, when the answer is complete."
"""Description of the tool that stands for the form of the answer."""


def encode(request: Request, profile: Profile) -> Encoded:
    """A body for a model with `profile`, and what was done to the request to say it.

    Raises:
        InvalidRequest: The request contradicts itself in a way that the API refuses.
        Unrepresentable: Several answers are asked for.
    """
    if request.wire == NAME:
        return native.encode(request)
    if request.choices > 1:
        reason = f"{NAME} gives one answer, and {request.choices} are asked for"
        raise Unrepresentable(f"n: {reason}", losses=[reason], param="n")
    return _Translation(request, profile).encoded()


class _Translation:
    """One request on its way into this wire."""

    def __init__(self, request: Request, profile: Profile) -> None:
        self._request = request
        self._profile = profile
        self._losses: list[Loss] = []
        for part in (request, request.tool_choice, request.response_format, request.reasoning):
            if part is not None and part.extra is not None:
                self._losses.extend(extra.losses(part.extra, NAME))
        if request.tools and not profile.tools:
            self._losses.append(Loss("/tools", "the model calls no tools", "content"))
            self._request = replace(request, tools=(), tool_choice=None)
        self._names = tools.Names(self._request.tools)
        self._conversation = Conversation(self._names, profile, self._losses)
        self._plan = structured.plan(request.response_format, profile, self._losses)
        self._answer_tool: str | None = None
        self._definitions: list[Block | Raw] = []

    def encoded(self) -> Encoded:
        request, conversation = self._request, self._conversation
        for index, message in enumerate(request.messages):
            conversation.add(message, index)
        conversation.close()
        choice = tools.choice(request)
        answers_by_tool = self._plan.tool is not None and not choice.forced
        thinking = self._thinking(answers_by_tool)
        if choice.forced and (thinking.on or not self._profile.forced_tools):
            choice = tools.unforced(choice, self._losses)

        body: Block = {"model": request.model, "max_tokens": thinking.max_tokens}
        system = self._system()
        if system:
            body["system"] = system
        body["messages"] = conversation.messages()
        if request.tools or answers_by_tool:
            self._add_tools(body, choice, answers_by_tool)
        self._add_output(body, thinking)
        body.update(options.sampling(request, self._profile, thinking.on, self._losses))
        if request.user is not None:
            body["metadata"] = {"user_id": request.user}
        if request.stream:
            body["stream"] = True
        encoded = msgspec.json.encode(body)
        marked = request.tools or not conversation.plain
        if marked and encoded.count(b'"cache_control"') > MAX_MARKERS:
            self._limit_markers()
            encoded = msgspec.json.encode(body)
        return Encoded(encoded, tuple(self._losses), self._restore())

    def _thinking(self, answers_by_tool: bool) -> options.Thinking:
        limit = options.max_tokens(self._request, self._profile, self._losses)
        if self._request.reasoning is None:
            return options.Thinking(limit)
        losses: list[Loss] = []
        thinking = options.thinking(self._request.reasoning, self._profile, limit, losses)
        reason = self._against_thinking(thinking, answers_by_tool) if thinking.on else None
        if reason is None:
            self._losses.extend(losses)
            return thinking
        self._losses.append(Loss("/reasoning", reason))
        return options.Thinking(limit, None, thinking.effort)

    def _against_thinking(self, thinking: options.Thinking, answers_by_tool: bool) -> str | None:
        """Why the model must not think, if it must not."""
        if answers_by_tool:
            return "the answer's form is a tool that must be called, which thinking rules out"
        if self._conversation.begins_answer:
            return "the model does not think before it goes on with an answer"
        if thinking.budgeted and self._conversation.hides_thinking:
            return "what the model thought before it called the tools is missing"
        return None

    def _system(self) -> object:
        blocks = self._conversation.system
        if self._plan.instruction is not None:
            blocks.append({"type": "text", "text": self._plan.instruction})
        plain = len(blocks) == 1 and len(blocks[0]) == 2
        return blocks[0]["text"] if plain else blocks

    def _add_tools(self, body: Block, choice: tools.Choice, answers_by_tool: bool) -> None:
        definitions = tools.definitions(self._request, self._names, choice.only, self._losses)
        self._definitions = definitions
        said: Block = {}
        if answers_by_tool:
            self._answer_tool = self._names.reserve(self._plan.name)
            if definitions and choice.type != "none":
                said = {"type": "any"}
            else:
                said = {"type": "tool", "name": self._answer_tool}
                said["disable_parallel_tool_use"] = True
            definitions.append(
                {
                    "name": self._answer_tool,
                    "description": self._plan.description or ANSWER_TOOL,
                    "input_schema": self._plan.tool,
                }
            )
        elif choice.type is not None:
            said = {"type": choice.type}
            if choice.name is not None:
                said["name"] = self._names.say(choice.name)
        if not definitions:
            return
        if self._request.parallel_tool_calls is False and choice.type != "none":
            said.setdefault("type", "auto")
            said["disable_parallel_tool_use"] = True
        body["tools"] = definitions
        if said:
            body["tool_choice"] = said

    def _add_output(self, body: Block, thinking: options.Thinking) -> None:
        if thinking.config is not None:
            body["thinking"] = thinking.config
        if thinking.effort is not None or self._plan.native is not None:
            config: Block = {}
            if thinking.effort is not None:
                config["effort"] = thinking.effort
            if self._plan.native is not None:
                config["format"] = {"type": "json_schema", "schema": self._plan.native}
            body["output_config"] = config

    def _limit_markers(self) -> None:
        """Keep the last cache markers: each of them covers all that stands before it."""
        marked = [block for block in self._blocks() if "cache_control" in block]
        for block in marked[:-MAX_MARKERS]:
            del block["cache_control"]
        if len(marked) > MAX_MARKERS:
            reason = f"only the last {MAX_MARKERS} of {len(marked)} cache markers are kept"
            self._losses.append(Loss("/messages", reason))

    def _blocks(self) -> Iterator[Block]:
        """Whatever may be marked, in the order in which the model reads it."""
        for held in (self._definitions, self._conversation.system):
            yield from (block for block in held if isinstance(block, dict))
        for turn in self._conversation.turns:
            results = (block for _, block in turn.results)
            for block in itertools.chain(results, turn.blocks):
                if isinstance(block, dict):
                    yield block

    def _restore(self) -> Restore | None:
        names = self._names.changed
        fenced = self._plan.instruction is not None
        if self._answer_tool is None and not names and not fenced:
            return None
        return Restore(self._answer_tool, names, fenced)
