"""Reasoning items: a summary that callers may read, and encrypted thoughts that only OpenAI can.

What must go back is the encrypted content with the id of its item, so both are the neutral part's
signature, `ID:CONTENT`, which callers of other wires give back as they got it. Reasoning of other
wires stands in `encrypted_content` sealed.
"""

from msgspec import Raw

from modelmux.ir.parts import Reasoning
from modelmux.wire import extra, sealed
from modelmux.wire.openai import values
from modelmux.wire.openai_responses import notes, schema
from modelmux.wire.openai_responses.schema import NAME

BETWEEN = "\n\n"
"""Between the parts of a summary, which are paragraphs of one text elsewhere."""

_HELD = frozenset({"type", "encrypted_content", "summary"})

Json = dict[str, object]


def sign(item_id: str | None, encrypted: str | None) -> str | None:
    """What the provider wants back, as one string; `None` where that is nothing."""
    return f"{item_id or ''}:{encrypted}" if encrypted else None


def decode(item: schema.Item, fields: dict[str, Raw], at: str, *, answers: bool) -> Reasoning:
    """The neutral part for an item.

    Args:
        item: The item.
        fields: All of its fields.
        at: JSON Pointer of it.
        answers: It stands in an answer: a target's strings are its own, also another gateway's.
    """
    text, plain = _text(item, fields)
    noted, unknown = notes.sort(fields, _HELD | {"content"})
    if not plain:
        noted |= {n: fields[n] for n in ("summary", "content") if n in fields}
    kept = notes.keep(at, unknown, item=noted)
    own = None if answers else sealed.unseal(text, item.encrypted_content)
    if own is not None:
        return Reasoning(text, own.signature, own.encrypted, own.origin, kept)
    return Reasoning(text, sign(item.id, item.encrypted_content), origin=NAME, extra=kept)


def _text(item: schema.Item, fields: dict[str, Raw]) -> tuple[str, bool]:
    """What is to be read of it, and whether one summary says it all."""
    summary = [part.text for part in item.summary or ()]
    content = _content(fields)
    plain = len(summary) <= 1 and not content and "summary" in fields
    return BETWEEN.join(summary or content), plain


def _content(fields: dict[str, Raw]) -> list[str]:
    raws = values.items_of(fields["content"]) if "content" in fields else []
    return [schema.output_part.decode(raw).text or "" for raw in raws]


def encode(part: Reasoning, item_id: str, *, status: str | None = None) -> Json:
    """The item for reasoning of any wire.

    Args:
        part: The reasoning.
        item_id: What it is to be called, where it has no name yet.
        status: What to say of it, where it says nothing of itself.
    """
    note = notes.read(part.extra, notes.ITEM)
    out: Json = {"type": "reasoning"}
    encrypted: str | None = None
    if part.origin == NAME:
        own_id, _, rest = (part.signature or "").partition(":")
        encrypted = rest or None
        item_id = own_id or item_id
    else:
        encrypted = sealed.seal(part)
    if note is None:
        out |= {"id": item_id, "summary": _summary(part.text)}
        if status is not None:
            out["status"] = status
    else:
        out |= note
        if not _says(note, part.text):
            out.pop("content", None)
            out["summary"] = _summary(part.text)
    if encrypted is not None:
        out["encrypted_content"] = encrypted
    return extra.merge(out, part.extra, NAME)


def _summary(text: str) -> list[Json]:
    return [{"type": "summary_text", "text": text}] if text else []


def _says(note: notes.Note, text: str) -> bool:
    """Whether the texts of a note are the text, which another hand may have changed."""
    found: list[str] = []
    for name in ("summary", "content"):
        raw = note.get(name)
        if isinstance(raw, Raw):
            found = found or [schema.output_part.decode(r).text or "" for r in values.items_of(raw)]
    return ("summary" in note or "content" in note) and BETWEEN.join(found) == text
