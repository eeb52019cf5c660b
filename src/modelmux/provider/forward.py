"""What of a caller's header fields travels on to a provider."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct

from modelmux.ir.request import Loss
from modelmux.provider import headers
from modelmux.provider.catalog import Betas, ProviderRow

MAX_REMEMBERED: Final = 64
"""Beta lists whose outcome is remembered: every call of one program sends the same one."""

_BETA: Final = "anthropic-beta"


class Forwarded(Struct, frozen=True):
    """What becomes of the caller's header fields."""

    block: bytes = b""
    """Header fields to send, each ended by CRLF."""
    body_betas: tuple[str, ...] = ()
    """What the body's `anthropic_beta` is to have."""
    losses: tuple[Loss, ...] = ()


NOTHING: Final = Forwarded()


class Forward:
    """One provider's allow-list. May be shared."""

    def __init__(self, row: ProviderRow) -> None:
        self._names = row.forward
        self._betas = row.betas
        self._remembered: dict[str, Forwarded] = {}

    def of(self, caller: Mapping[str, str]) -> Forwarded:
        """What travels on.

        Args:
            caller: Header fields of the caller's, by lower-case name. None of those that the
                allow-list does not have is read.
        """
        if not caller:
            return NOTHING
        block = b""
        betas = NOTHING
        for name in self._names:
            value = caller.get(name)
            if value is None or not headers.is_value(value):
                continue
            if name == _BETA and self._betas is not None:
                betas = self._of_betas(value, self._betas)
            else:
                block += headers.field(name, value)
        if not block:
            return betas
        return Forwarded(block + betas.block, betas.body_betas, betas.losses)

    def _of_betas(self, value: str, betas: Betas) -> Forwarded:
        known = self._remembered.get(value)
        if known is None:
            known = _sorted_out(value, betas)
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[value] = known
        return known


def _sorted_out(value: str, betas: Betas) -> Forwarded:
    in_header: dict[str, None] = {}
    in_body: dict[str, None] = {}
    losses: list[Loss] = []
    for asked in filter(None, map(str.strip, value.split(","))):
        beta = betas.rename.get(asked, asked)
        if _matches(beta, betas.refuse):
            losses.append(Loss(_BETA, f"the provider is not asked for {asked!r}"))
        elif _matches(beta, betas.body):
            in_body[beta] = None
        elif _matches(beta, betas.allow):
            in_header[beta] = None
        else:
            losses.append(Loss(_BETA, f"the provider does not take {asked!r}"))
    block = headers.field(_BETA, ",".join(in_header)) if in_header else b""
    return Forwarded(block, tuple(in_body), tuple(losses))


def _matches(beta: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(beta, pattern) for pattern in patterns)
