"""What the schema's structs are made of: tables, and types of values."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta, Struct
from msgspec.structs import fields
from typing_extensions import override

from modelmux.config.marks import is_secret, presentable

Secret = Annotated[str, Meta(extra={"secret": True})]
File = Annotated[str, Meta(extra={"path": True})]
Name = Annotated[str, Meta(min_length=1)]
Seconds = Annotated[float, Meta(ge=0, le=604_800)]
Limit = Annotated[int, Meta(ge=0)]
Texts = Mapping[str, str]


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration. Its `repr` hides secrets."""

    EXCLUSIVE: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Keys that stand for one another: a layer that says one takes back the others."""
    LATER: ClassVar[frozenset[str]] = frozenset()
    """Keys that are reserved and not available in this version."""

    @override
    def __repr__(self) -> str:
        said = (
            f"{info.name}={presentable(getattr(self, info.name), secret=is_secret(info.type))!r}"
            for info in fields(self)
        )
        return f"{type(self).__name__}({', '.join(said)})"
