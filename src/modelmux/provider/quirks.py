"""What some servers with OpenAI's chat API refuse, put right in bodies on their way there.

Each quirk is a pure function on the top-level fields of a body of `openai.chat`, whose values are
raw: what it leaves alone goes on as the bytes that came. A row of the catalogue names those that
its provider needs.
"""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Raw

from modelmux.ir.request import Loss
from modelmux.provider.catalog import Quirk

Fields = dict[str, Raw]
Edit = Callable[[Fields, list[Loss]], None]

_MISTRAL_ID: Final = re.compile(r"[a-zA-Z0-9]{9}")
_NULL: Final = b"null"
_FILLER: Final = Raw(b'{"role":"assistant","content":"OK."}')
"""What stands between the results of tools and the user's next words."""
_FORCED: Final = frozenset({"required", "any"})

_object = msgspec.json.Decoder(Fields)
_array = msgspec.json.Decoder(list[Raw])
_string = msgspec.json.Decoder(str)
_integer = msgspec.json.Decoder(int)
_encode = msgspec.json.encode

_MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def mistral_tool_ids(fields: Fields, losses: list[Loss]) -> None:
    """Ids of tool calls are nine letters and digits: others are hashed, the same way each time.

    https://docs.mistral.ai/studio-api/conversations/function-calling, read 2026-11-20
    """

    def edit(message: Fields) -> bool:
        changed = _renamed_id(message, "tool_call_id")
        calls = [_decoded(call) for call in _items(message, "tool_calls")]
        renamed = [_renamed_id(call, "id") for call in calls]
        if True in renamed:
            message["tool_calls"] = Raw(_encode(calls))
            changed = True
        return changed

    _edit_messages(fields, edit)


def _renamed_id(holder: Fields, name: str) -> bool:
    id_ = _text(holder.get(name))
    if id_ is None or _MISTRAL_ID.fullmatch(id_):
        return False
    # 36 bits in hexadecimal: enough for the calls of one conversation.
    holder[name] = Raw(_encode(blake2b(id_.encode(), digest_size=8).hexdigest()[:9]))
    return True


def assistant_after_tools(fields: Fields, losses: list[Loss]) -> None:
    """A user's message does not follow the results of tools: the assistant says something first.

    https://github.com/mistralai/client-python/issues/183, read 2026-11-20
    """
    messages = _items(fields, "messages")
    out: list[Raw] = []
    before = None
    for raw in messages:
        role = _text(_decoded(raw).get("role"))
        if before == "tool" and role == "user":
            out.append(_FILLER)
        out.append(raw)
        before = role
    if len(out) != len(messages):
        fields["messages"] = Raw(_encode(out))


def tool_results_in_order(fields: Fields, losses: list[Loss]) -> None:
    """Results of tools stand in the order in which the tools were called.

    https://docs.x.ai/docs/guides/function-calling, read 2026-11-20
    """
    messages = _items(fields, "messages")
    out: list[Raw] = []
    order: dict[str, int] = {}
    results: list[tuple[int, Raw]] = []
    for raw in messages:
        message = _decoded(raw)
        if _text(message.get("role")) == "tool":
            id_ = _text(message.get("tool_call_id")) or ""
            results.append((order.get(id_, len(order)), raw))
            continue
        out += _sorted(results)
        results = []
        out.append(raw)
        calls = [_text(_decoded(call).get("id")) for call in _items(message, "tool_calls")]
        order = {id_: place for place, id_ in enumerate(calls) if id_ is not None}
    out += _sorted(results)
    if out != messages:
        fields["messages"] = Raw(_encode(out))


def _sorted(results: list[tuple[int, Raw]]) -> list[Raw]:
    return [raw for _, raw in sorted(results, key=lambda result: result[0])]


def no_empty_tool_calls(fields: Fields, losses: list[Loss]) -> None:
    """An empty list of tool calls, or of tools, is refused: it says nothing and is left out."""

    def edit(message: Fields) -> bool:
        if not _is_empty_list(message.get("tool_calls")):
            return False
        del message["tool_calls"]
        return True

    _edit_messages(fields, edit)
    if _is_empty_list(fields.get("tools")):
        del fields["tools"]


def no_nulls(fields: Fields, losses: list[Loss]) -> None:
    """An explicit null says the same as no field, and is refused by some: it is left out."""
    for name in [name for name, raw in fields.items() if bytes(raw) == _NULL]:
        del fields[name]


def no_forced_tools_while_thinking(fields: Fields, losses: list[Loss]) -> None:
    """A tool cannot be forced on a model that thinks: it is left to the model.

    https://www.alibabacloud.com/help/en/model-studio/deep-thinking, read 2026-11-20
    """
    if bytes(fields.get("enable_thinking", Raw(b"false"))) != b"true":
        return
    choice = fields.get("tool_choice")
    if choice is None or not (_text(choice) in _FORCED or bytes(choice)[:1] == b"{"):
        return
    fields["tool_choice"] = Raw(b'"auto"')
    losses.append(Loss("/tool_choice", "the model cannot be made to call a tool while it thinks"))


def one_choice(fields: Fields, losses: list[Loss]) -> None:
    """Only one answer is given: more of them would be refused in other words."""
    raw = fields.get("n")
    if raw is None:
        return
    try:
        count = _integer.decode(raw)
    except _MALFORMED:
        return  # the provider says what is wrong with it
    if count > 1:
        reason = f"the provider gives one answer, and {count} are asked for"
        losses.append(Loss("/n", reason, "content"))
        del fields["n"]


QUIRKS: Final[Mapping[Quirk, Edit]] = {
    "mistral_tool_ids": mistral_tool_ids,
    "assistant_after_tools": assistant_after_tools,
    "tool_results_in_order": tool_results_in_order,
    "no_empty_tool_calls": no_empty_tool_calls,
    "no_nulls": no_nulls,
    "no_forced_tools_while_thinking": no_forced_tools_while_thinking,
    "one_choice": one_choice,
}

MARKS: Final[Mapping[Quirk, bytes]] = {
    "mistral_tool_ids": b'"tool_calls"',
    "assistant_after_tools": b'"tool_call_id"',
    "tool_results_in_order": b'"tool_call_id"',
    "no_empty_tool_calls": b"[]",
    "no_nulls": b"null",
    "no_forced_tools_while_thinking": b'"tool_choice"',
    "one_choice": b'"n"',
}
"""What a body must hold for the quirk to matter: most bodies need not be taken apart."""


def _edit_messages(fields: Fields, edit: Callable[[Fields], bool]) -> None:
    """Apply `edit` to each message; those that it does not change stay the bytes they are."""
    messages = _items(fields, "messages")
    changed = False
    for index, raw in enumerate(messages):
        message = _decoded(raw)
        if message and edit(message):
            messages[index] = Raw(_encode(message))
            changed = True
    if changed:
        fields["messages"] = Raw(_encode(messages))


def _items(fields: Fields, name: str) -> list[Raw]:
    """A list among `fields`; empty where there is none."""
    raw = fields.get(name)
    if raw is None or bytes(memoryview(raw)[:1]) != b"[":
        return []
    return _array.decode(raw)


def _decoded(raw: Raw) -> Fields:
    return _object.decode(raw) if bytes(memoryview(raw)[:1]) == b"{" else {}


def _text(raw: Raw | None) -> str | None:
    if raw is None or bytes(memoryview(raw)[:1]) != b'"':
        return None
    return _string.decode(raw)


def _is_empty_list(raw: Raw | None) -> bool:
    return raw is not None and bytes(raw).replace(b" ", b"") == b"[]"
