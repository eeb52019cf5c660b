import asyncio

from modelmux.target.base import Target, compose
from modelmux.target.call import Call
from modelmux.target.reply import Reply
from tests.support import targets
from tests.support.linewire import LineWire
from tests.support.targets import Fake

WIRE = LineWire()


class Noting:
    """A layer that says when a call passes it."""

    def __init__(self, inner: Target, note: str, notes: list[str]) -> None:
        self.name = inner.name
        self.inner = inner
        self.note = note
        self.notes = notes

    async def send(self, call: Call) -> Reply:
        self.notes.append(self.note)
        return await self.inner.send(call)


def test_the_first_layer_named_is_the_outermost():
    notes: list[str] = []
    target = compose(
        Fake(targets.whole(wire=WIRE)),
        lambda inner: Noting(inner, "outer", notes),
        lambda inner: Noting(inner, "inner", notes),
    )
    asyncio.run(target.send(targets.call(WIRE)))
    assert notes == ["outer", "inner"]


def test_without_layers_a_target_is_itself():
    fake = Fake()
    assert compose(fake) is fake
