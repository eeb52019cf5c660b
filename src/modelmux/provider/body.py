"""What a provider wants changed in a body that is right on its wire."""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.request import Loss
from modelmux.provider.catalog import ProviderRow
from modelmux.provider.quirks import MARKS, QUIRKS
from modelmux.wire import extra

_SCOPE: Final = "cache_control.scope"
_BETAS: Final = "anthropic_beta"
_REASON: Final = "the provider does not take it"
_NULL: Final = Raw(b"null")

_Object = dict[str, Raw]

_object = msgspec.json.Decoder(_Object)
_array = msgspec.json.Decoder(list[Raw])
_strings = msgspec.json.Decoder(list[str])


class BodyEdits:
    """Edits of one provider's bodies. May be shared."""

    def __init__(self, row: ProviderRow) -> None:
        self._fields = {name: Raw(msgspec.json.encode(value)) for name, value in row.body.items()}
        self._fields_out = tuple(name for name in row.unsupported if name != _SCOPE)
        self._strips_scope = _SCOPE in row.unsupported
        self._omitted = row.omit
        self._renamed = row.rename
        self._quirks = [QUIRKS[name] for name in row.quirks]
        named = (*self._fields_out, *row.omit, *row.rename)
        self._marks = (
            *(b'"%b"' % name.encode() for name in named),
            *(MARKS[name] for name in row.quirks),
        )

    def apply(
        self, body: bytes, *, drops_model: bool = False, betas: Iterable[str] = ()
    ) -> tuple[bytes, tuple[Loss, ...]]:
        """The body to send, and what it says no more. Untouched values are copied verbatim.

        Args:
            body: A body on the provider's wire.
            drops_model: The model's name is in the path.
            betas: What to add to the body's list of betas.

        Raises:
            InvalidRequest: `body` is not a JSON object.
        """
        betas = tuple(betas)
        if not (self._fields or drops_model or betas or self._concerns(body)):
            return body, ()
        try:
            fields = _object.decode(body)
            losses = self._edit(fields, drops_model=drops_model, betas=betas)
            # Most bodies have none, and need not be taken apart to know it.
            if self._strips_scope and b'"scope"' in body:
                _without_scope(fields, losses)
            return msgspec.json.encode(fields), tuple(losses)
        except extra.MALFORMED as error:
            raise extra.invalid(error, error=InvalidRequest) from None

    def _concerns(self, body: bytes) -> bool:
        """Whether `body` may hold what is to be changed. Quick; may err towards yes."""
        if self._strips_scope and b'"scope"' in body:
            return True
        for mark in self._marks:  # noqa: SIM110 - for most providers there are none
            if mark in body:
                return True
        return False

    def _edit(self, fields: _Object, *, drops_model: bool, betas: tuple[str, ...]) -> list[Loss]:
        losses: list[Loss] = []
        for name in self._fields_out:
            raw = fields.pop(name, _NULL)
            if bytes(raw) != b"null":
                losses.append(Loss(f"/{extra.escape(name)}", _REASON))
        if drops_model:
            fields.pop("model", None)
        for name in self._omitted:
            fields.pop(name, None)
        for name, other in self._renamed.items():
            raw = fields.pop(name, _NULL)
            if bytes(raw) != b"null":
                fields[other] = raw
        for quirk in self._quirks:
            quirk(fields, losses)
        fields.update(self._fields)
        if betas:
            said = _strings.decode(fields.get(_BETAS, Raw(b"[]")))
            fields[_BETAS] = Raw(msgspec.json.encode(list(dict.fromkeys((*said, *betas)))))
        return losses


def _without_scope(fields: _Object, losses: list[Loss]) -> None:
    """Take `scope` out of every cache marker of an `anthropic.messages` body."""
    for name, edit in (("system", _blocks), ("tools", _blocks), ("messages", _messages)):
        raw = fields.get(name)
        if raw is not None:
            fields[name] = edit(raw, f"/{name}", losses)


def _messages(raw: Raw, at: str, losses: list[Loss]) -> Raw:
    return _each(raw, at, lambda message, here: _within(message, "content", here, losses))


def _blocks(raw: Raw, at: str, losses: list[Loss]) -> Raw:
    """Content blocks or tools, and the content blocks inside of them."""

    def edit(block: _Object, here: str) -> bool:
        changed = _within(block, "content", here, losses)
        marker = block.get("cache_control")
        if marker is None or not _is(marker, b"{"):
            return changed
        kept = _object.decode(marker)
        if kept.pop("scope", None) is None:
            return changed
        block["cache_control"] = Raw(msgspec.json.encode(kept))
        losses.append(Loss(f"{here}/cache_control/scope", _REASON))
        return True

    return _each(raw, at, edit)


def _within(block: _Object, name: str, at: str, losses: list[Loss]) -> bool:
    """Edit the blocks in a field of `block`; whether that changed it."""
    raw = block.get(name)
    if raw is None or not _is(raw, b"["):
        return False
    edited = _blocks(raw, f"{at}/{name}", losses)
    if edited is raw:
        return False
    block[name] = edited
    return True


def _each(raw: Raw, at: str, edit: Callable[[_Object, str], bool]) -> Raw:
    """`raw` with `edit` applied to every object in it; `raw` itself where nothing changed."""
    if not _is(raw, b"["):
        return raw
    items = _array.decode(raw)
    any_changed = False
    for index, item in enumerate(items):
        if _is(item, b"{"):
            block = _object.decode(item)
            if edit(block, f"{at}/{index}"):
                items[index] = Raw(msgspec.json.encode(block))
                any_changed = True
    return Raw(msgspec.json.encode(items)) if any_changed else raw


def _is(raw: Raw, first: bytes) -> bool:
    return bytes(memoryview(raw)[:1]) == first
