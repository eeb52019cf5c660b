"""What both ways to the doors make of the same bytes: the fast path and ASGI."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from modelmux.ingress.http import Answer, HttpRequest, text
from modelmux.ingress.protocol import Protocol
from tests.support.messages import MESSAGES, PIECES
from tests.unit.ingress.loopback import adapter, protocol_of
from tests.unit.transport.loopback import until


class Line(asyncio.Transport):
    """A connection without a network: it keeps what is written, and what comes while paused."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False
        self.protocol: Protocol | None = None
        self._is_paused = False
        self._waiting: list[bytes] = []

    def come(self, data: bytes) -> None:
        """Something has come from the client."""
        assert self.protocol is not None
        if self._is_paused:
            self._waiting.append(data)
        elif not self.is_closed:
            self.protocol.data_received(data)

    def write(self, data: bytes) -> None:
        if not self.is_closed:
            self.written += data

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            asyncio.get_running_loop().call_soon(self.come, data)


@dataclass
class Outcome:
    """What the door was asked, what the client was told, and whether the connection is closed."""

    asked: list[tuple[str, str, bytes, bytes]] = field(default_factory=list)
    statuses: list[bytes] = field(default_factory=list)
    is_closed: bool = False

    async def door(self, request: HttpRequest) -> Answer:
        self.asked.append((request.method, request.path, request.query, request.body))
        return text("ok")


async def outcome(sent: Sequence[bytes], *, fast: bool) -> Outcome:
    made, line = Outcome(), Line()
    protocol = protocol_of(adapter(made.door), fast=fast)
    line.protocol = protocol
    protocol.connection_made(line)
    for data in sent:
        line.come(data)
        for _ in range(8):  # more turns of the loop than an answer takes
            await asyncio.sleep(0)
    while protocol.pipeline or any(not task.done() for task in protocol.tasks):
        before = len(line.written)
        for _ in range(20):
            await asyncio.sleep(0)
        if len(line.written) == before:
            break
    heads = [part for part in line.written.split(b"HTTP/1.1 ")[1:] if part[:1] != b"1"]
    made.statuses = [head[:3] for head in heads]
    made.is_closed = line.is_closed
    protocol.connection_lost(None)
    await until(lambda: not protocol.tasks)
    return made


def cut(sent: bytes, places: set[int]) -> list[bytes]:
    ordered = [0, *sorted(place for place in places if place < len(sent)), len(sent)]
    return [sent[start:end] for start, end in pairwise(ordered)]


def judge(sent: Sequence[bytes]) -> None:
    async def both() -> tuple[Outcome, Outcome]:
        return await outcome(sent, fast=True), await outcome(sent, fast=False)

    fast, plain = asyncio.run(both())
    assert fast == plain, sent


@given(
    messages=st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=3),
    places=st.sets(st.integers(1, 400), max_size=6),
)
def test_messages_mean_the_same_on_both_ways(messages: list[bytes], places: set[int]):
    judge(cut(b"".join(messages), places))


@given(
    pieces=st.lists(st.sampled_from(PIECES), max_size=14),
    places=st.sets(st.integers(1, 200), max_size=4),
)
@example(pieces=[b"POST", b" ", b"/a", b" HTTP/1.1\r\n", b"\r\n", b"\r\n"], places=set())
def test_what_is_hardly_http_means_the_same_on_both_ways(pieces: list[bytes], places: set[int]):
    judge(cut(b"".join(pieces), places))
