"""How an item was written, beside what it says: ids, states, and which texts are one message.

The neutral model has parts where this API has items. What an item has beside its content is kept
as a note on its first part, which is no loss on any other wire, and by which the item is written
back as it was.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from modelmux.ir.parts import Extra
from modelmux.wire.openai import values
from modelmux.wire.openai_responses.schema import NAME

ITEM = "item"
"""The note of an item's first part: its fields but for what the part says."""

PART = "part"
"""The note of a content part: its fields but for its text."""

MORE = "more"
"""The note of a text that stands in the same message as the one before it."""

Note = Mapping[str, object]

_NOTED = frozenset(
    {"type", "id", "status", "phase", "namespace", "caller", "async", "created_by", "recipient"}
)
"""Documented fields of items that say nothing to another wire."""

_NOTHING: Note = {}


def read(kept: Extra | None, key: str) -> Note | None:
    """A note of an object of this wire; `None` where there is none."""
    if kept is None or kept.wire != NAME or key not in kept.fields:
        return None
    return values.fields_of(kept.fields[key])


def has(kept: Extra | None, key: str) -> bool:
    """Whether there is such a note."""
    return kept is not None and kept.wire == NAME and key in kept.fields


def keep(
    at: str,
    unknown: Mapping[str, Raw],
    content: frozenset[str] = frozenset(),
    **notes: Note | None,
) -> Extra | None:
    """Unknown fields, by pointer, and notes as the `extra` of one part."""
    fields = dict(unknown)
    for key, note in notes.items():
        if note is not None:
            fields[key] = Raw(msgspec.json.encode(note))
    return Extra(NAME, fields, at, content) if fields else None


def with_note(kept: Extra | None, key: str, note: Note) -> Extra:
    """`kept` with one more note."""
    raw = Raw(msgspec.json.encode(note))
    if kept is None:
        return Extra(NAME, {key: raw})
    return Extra(NAME, {**kept.fields, key: raw}, kept.at, kept.content)


def sort(fields: Mapping[str, Raw], held: frozenset[str]) -> tuple[dict[str, Raw], dict[str, Raw]]:
    """Fields of an item that are noted, and those that are not known, the latter by pointer.

    Args:
        fields: All of them.
        held: Those that the part says.
    """
    noted: dict[str, Raw] = {}
    unknown: dict[str, Raw] = {}
    for name, raw in fields.items():
        if name in held:
            continue
        if name in _NOTED:
            noted[name] = raw
        elif raw != values.NULL:
            unknown[f"/{name.replace('~', '~0').replace('/', '~1')}"] = raw
    return noted, unknown
