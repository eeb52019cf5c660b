from typing import Annotated

from msgspec import Meta, field

from modelmux.config.table import Name, Secret, Table, Texts


class Example(Table, frozen=True):
    """A table."""

    name: Name = "x"
    token: Secret = ""
    count: Annotated[int, Meta(ge=0)] = 0
    labels: Texts = field(default_factory=dict[str, str])


def test_what_is_shown_of_a_table_holds_no_secret():
    assert repr(Example(token="s3cret-s3cret", count=2)) == (
        "Example(name='x', token='***', count=2, labels={})"
    )


def test_a_table_has_nothing_reserved_or_exclusive_by_itself():
    assert ((), frozenset()) == (Table.EXCLUSIVE, Table.LATER)
