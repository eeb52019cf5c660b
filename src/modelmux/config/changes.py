"""What differs between two configurations, in names and never in values."""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import fields

from modelmux.config.schema import Config
from modelmux.config.table import Table

MAX_NAMES = 5
"""Names that are told of one kind of change; of the others it is told how many there are."""


class Difference(Struct, frozen=True):
    """Entries of one table, or keys of it, that are not as they were."""

    table: str
    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    changed: Sequence[str] = ()

    def text(self) -> str:
        """It as a few words."""
        kinds = (("added", self.added), ("removed", self.removed), ("changed", self.changed))
        said = [f"{verb} {_some(names)}" for verb, names in kinds if names]
        return f"{self.table}: {', '.join(said) or 'in another order'}"


def differences(before: Config, after: Config) -> list[Difference]:
    """What is not as it was, in the order of the schema."""
    found: list[Difference] = []
    for info in fields(Config):
        old, new = getattr(before, info.name), getattr(after, info.name)
        if old == new:
            continue
        if isinstance(old, Table):
            changed = [
                key.name for key in fields(old) if getattr(old, key.name) != getattr(new, key.name)
            ]
            found.append(Difference(info.name, changed=changed))
        else:
            found.append(_of_entries(info.name, dict(_named(old)), dict(_named(new))))
    return found


def _named(entries: Sequence[object]) -> Iterator[tuple[str, object]]:
    for entry in entries:
        yield str(getattr(entry, "name", getattr(entry, "address", ""))), entry


def _of_entries(table: str, old: dict[str, object], new: dict[str, object]) -> Difference:
    return Difference(
        table,
        added=[name for name in new if name not in old],
        removed=[name for name in old if name not in new],
        changed=[name for name in new if name in old and new[name] != old[name]],
    )


def _some(names: Sequence[str]) -> str:
    rest = len(names) - MAX_NAMES
    shown = ", ".join(names[:MAX_NAMES])
    return f"{shown} and {rest} more" if rest > 0 else shown
