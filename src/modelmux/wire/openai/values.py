"""JSON values as these wires take them: explicit nulls, and objects of any kind."""

import msgspec
from msgspec import Raw

from modelmux.wire import extra

NULL = Raw(b"null")

objects = msgspec.json.Decoder(dict[str, Raw])
raws = msgspec.json.Decoder(list[Raw])


def present(raw: Raw) -> bool:
    """Whether a field came, and was not an explicit null, which means the same as no field."""
    return bool(raw) and raw != NULL


def fields_of(raw: bytes | Raw) -> dict[str, Raw]:
    """The fields of an object; none where it is not one."""
    try:
        return objects.decode(raw)
    except extra.MALFORMED:
        return {}


def items_of(raw: bytes | Raw) -> list[Raw]:
    """The items of a list; none where it is not one."""
    try:
        return raws.decode(raw)
    except extra.MALFORMED:
        return []
