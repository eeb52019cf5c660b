import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import Interrupted, TargetError
from modelmux.ir import events as ev
from modelmux.ir.parts import Text
from modelmux.ir.response import Failure, Usage
from modelmux.ir.restore import Restore
from modelmux.target.chunks import Chunks
from modelmux.target.failures import failure_of
from tests.support import linewire
from tests.support.linewire import LineWire
from tests.support.targets import Connection

EVENTS = [
    ev.Start("id", "m"),
    ev.PartStart(0, Text()),
    ev.PartDelta(0, "hi"),
    ev.PartDelta(0, "there"),
    ev.PartEnd(0),
    ev.Finish("stop", Usage(3, 2)),
]


def chunks(*pieces: bytes, error: TargetError | None = None) -> Chunks:
    return Chunks(LineWire(), Connection(pieces, error=error))


async def batches(source: Chunks, restore: Restore | None = None) -> list[list[ev.Event]]:
    return [batch async for batch in source.batches(restore, failure_of)]


def events(source: Chunks, *, peek: bool = False) -> list[ev.Event]:
    async def run() -> list[ev.Event]:
        if peek:
            await source.first()
        return [event for batch in await batches(source) for event in batch]

    return asyncio.run(run())


@given(st.lists(st.integers(0, 200), max_size=20), st.booleans())
def test_any_split_gives_the_same_events_peeked_at_or_not(cuts: list[int], peek: bool):
    whole = b"".join(linewire.stream())
    at = sorted({0, len(whole), *(cut % len(whole) for cut in cuts)})
    pieces = [whole[a:b] for a, b in pairwise(at)]
    assert events(chunks(*pieces), peek=peek) == EVENTS


def test_the_first_event_is_had_without_decoding_the_rest():
    source = chunks(b"".join(linewire.stream()))
    assert asyncio.run(source.first()) == EVENTS[0]
    assert source._early == EVENTS[:1]
    assert source.head == [b"".join(linewire.stream())]


def test_events_come_as_they_came_together():
    first, *rest = linewire.stream()
    assert asyncio.run(batches(chunks(first, b"".join(rest)))) == [EVENTS[:1], EVENTS[1:]]


def test_a_ping_before_the_answer_is_passed_over():
    assert asyncio.run(chunks(*linewire.frames("ping"), *linewire.stream()).first()) == EVENTS[0]


def test_an_error_can_be_the_first_event():
    first = asyncio.run(chunks(*linewire.frames("fail overloaded busy")).first())
    assert first == ev.Fail(Failure("overloaded", "busy"))


def test_a_stream_that_ends_before_it_began_fails():
    assert isinstance(asyncio.run(chunks().first()), ev.Fail)


def test_a_connection_that_breaks_before_the_first_event_is_an_error():
    with pytest.raises(Interrupted):
        asyncio.run(chunks(error=Interrupted("reset")).first())


def test_a_connection_that_breaks_ends_the_stream_in_a_failure():
    seen = events(chunks(*linewire.stream()[:2], error=Interrupted("reset")))
    ev.check(seen)
    assert seen[-1] == ev.Fail(failure_of(Interrupted("reset")))


def test_a_connection_that_breaks_after_the_end_harms_nothing():
    assert events(chunks(*linewire.stream(), error=Interrupted("reset"))) == EVENTS


def test_a_stream_that_is_cut_fails_and_never_finishes():
    seen = events(chunks(*linewire.stream()[:-1]))
    ev.check(seen)
    assert isinstance(seen[-1], ev.Fail)


def test_what_encoding_did_to_the_request_is_undone():
    source = chunks(*linewire.frames("start id m", "say ```json\\n", "say {}", "finish stop 1 1"))
    restored = asyncio.run(batches(source, Restore(fenced_json=True)))
    # The fence's first line never ends here, so that everything is held until the part does.
    assert [len(batch) for batch in restored] == [1, 1, 3]


def test_a_batch_of_which_nothing_is_left_is_not_passed_on():
    source = chunks(*linewire.frames("start id m", "say ``", "say `", "finish stop 1 1"))
    restored = asyncio.run(batches(source, Restore(fenced_json=True)))
    assert all(restored)


def test_giving_up_the_events_closes_what_makes_them():
    async def run() -> None:
        source = chunks(*linewire.stream())
        reading = source.batches(None, failure_of)
        await anext(reading)
        await reading.aclose()
        assert [batch async for batch in reading] == []

    asyncio.run(run())
