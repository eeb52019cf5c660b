"""How an answer in a given form is asked for: natively, by a forced tool, or in words.

What can be enforced is what the SDK leaves in a schema (`anthropic` 2.10.0, `transform_schema`,
read 2026-11-20); platform.claude.com/docs/en/build-with-claude/structured-outputs has the list.
"""

from typing import TypeAlias

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import InvalidRequest
from modelmux.ir.profile import Profile
from modelmux.ir.request import Loss, ResponseFormat
from modelmux.wire import extra

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | bool | None"

JSON_ONLY = "Answer with one JSON object and nothing else: no explanation, no Markdown."
SCHEMA_ONLY = (
    "Answer with JSON that is valid under the following JSON Schema, and with nothing else: "
    "no explanation, no Markdown.\n"
)

_CONSTRAINTS = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
    }
)
"""Keywords that the API refuses; it is told of them in the description instead."""
_FORMATS = frozenset(
    {
        "date",
        "date-time",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "time",
        "uri",
        "uuid",
    }
)
"""Of strings, those that the API enforces."""
_LISTS = ("anyOf", "oneOf", "allOf")
_MAPS = ("properties", "$defs", "definitions")

_schema: msgspec.json.Decoder[Json] = msgspec.json.Decoder()


class Native(Struct, frozen=True):
    """A schema as the API can enforce it."""

    schema: Raw | None
    """`None`: it cannot, because the schema leaves the names of fields open."""
    changes: str | None
    """What had to be changed; `None`: nothing."""


class Plan(Struct, frozen=True):
    """How the form of the answer is asked for; all `None`: it is free."""

    native: Raw | None = None
    tool: Raw | None = None
    """Input schema of a tool whose arguments are the answer."""
    name: str = ""
    """What the form, and so the tool, is called."""
    description: str | None = None
    instruction: str | None = None
    """What to say in the system prompt; the answer may then stand in a Markdown fence."""


FREE = Plan()


def plan(form: ResponseFormat | None, profile: Profile, losses: list[Loss]) -> Plan:
    """How to ask a model with `profile` for `form`."""
    if form is None or form.type == "text":
        return FREE
    if form.type == "json_object" or form.schema is None:
        return Plan(instruction=JSON_ONLY)
    if profile.structured_output == "native":
        found = native(form.schema)
        if found.schema is not None:
            if found.changes is not None:
                losses.append(Loss("/response_format/schema", found.changes))
            if form.description is not None:
                reason = "the form of an answer has no description here"
                losses.append(Loss("/response_format/description", reason))
            return Plan(native=found.schema)
    if profile.forced_tools and _decoded(form.schema).get("type") == "object":
        return Plan(tool=form.schema, name=form.name or "answer", description=form.description)
    return Plan(instruction=SCHEMA_ONLY + bytes(form.schema).decode())


def native(schema: Raw) -> Native:
    """`schema` as the API can enforce it, verbatim where it already is."""
    narrowing = _Narrowing()
    try:
        narrowed = narrowing.narrow(_decoded(schema))
    except RecursionError as exc:
        raise extra.invalid(exc, "/response_format/schema") from None
    if narrowing.open:
        return Native(None, None)
    if not narrowing.changed:
        return Native(schema, None)
    constraints = ", ".join(sorted(narrowing.told))
    changes = f"{constraints}: said in words, not enforced" if constraints else None
    return Native(Raw(msgspec.json.encode(narrowed)), changes)


def _decoded(schema: Raw) -> dict[str, Json]:
    try:
        found = _schema.decode(schema)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "/response_format/schema") from None
    if not isinstance(found, dict):
        param = "response_format.schema"
        raise InvalidRequest(f"{param}: expected a JSON Schema object", param=param)
    return found


class _Narrowing:
    """Rewrites a schema in the keywords that the API enforces."""

    def __init__(self) -> None:
        self.changed = False
        self.open = False
        self.told: set[str] = set()

    def narrow(self, node: Json) -> Json:
        if not isinstance(node, dict):
            return node
        out = {key: self._value(key, value) for key, value in node.items()}
        told = {key: out.pop(key) for key, value in node.items() if self._unsaid(key, value)}
        if told:
            self.changed = True
            self.told.update(told)
            words = ", ".join(f"{key}: {_text(value)}" for key, value in told.items())
            before = out.get("description")
            out["description"] = f"{before} ({words})" if before else f"({words})"
        if "oneOf" in out and "anyOf" not in out:
            out["anyOf"] = out.pop("oneOf")
            self.changed = True
        if out.get("type") == "object" or "properties" in out:
            self._close(out)
        return out

    def _value(self, key: str, value: Json) -> Json:
        if key in _LISTS and isinstance(value, list):
            return [self.narrow(item) for item in value]
        if key in _MAPS and isinstance(value, dict):
            return {name: self.narrow(item) for name, item in value.items()}
        return self.narrow(value) if key == "items" else value

    def _unsaid(self, key: str, value: Json) -> bool:
        match key:
            case "format":
                return not isinstance(value, str) or value not in _FORMATS
            case "minItems":
                return value not in (0, 1)
            case _:
                return key in _CONSTRAINTS

    def _close(self, node: dict[str, Json]) -> None:
        rest = node.get("additionalProperties")
        if rest is False:
            return
        if isinstance(rest, dict) or not node.get("properties"):
            self.open = True
        self.changed = True
        node["additionalProperties"] = False


def _text(value: Json) -> str:
    return msgspec.json.encode(value).decode()
