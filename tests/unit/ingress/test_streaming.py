import asyncio
import gc
import tomllib
from collections.abc import AsyncGenerator, Sequence
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.ingress.http import HttpRequest
from modelmux.ingress.streaming import SENTENCE_BYTES, Mode, Streaming, Take, at_once
from modelmux.ir import events as ev
from modelmux.ir.parts import Citation, Reasoning, Text, ToolCall
from modelmux.ir.response import Failure, Usage
from tests.support.linewire import LineWire
from tests.support.targets import Connection, call, streamed
from tests.unit.transport.loopback import ClockLoop, begin, pass_time, play, settle

LOOP = asyncio.new_event_loop
CLIENTS = tomllib.loads(files("modelmux.ingress").joinpath("clients.toml").read_text("utf-8"))
ROWS = [(row, word) for row in CLIENTS["clients"] for word in row["words"]]

Batch = list[ev.Event]


def streaming(
    mode: Mode = "auto", *, buffer_bytes: int = 65_536, timeout_s: float = 5.0
) -> Streaming:
    return Streaming(mode, buffer_bytes, timeout_s)


def take(**headers: str) -> Take:
    return streaming().take({name.replace("_", "-"): value for name, value in headers.items()})


# How a client takes a stream


@pytest.mark.parametrize(("row", "word"), ROWS, ids=lambda value: str(value)[:40])
def test_every_word_of_the_table_decides(row: dict[str, str], word: str):
    said = f"Some {word.upper()}thing/1.0"
    assert streaming().take({row["header"]: said, "accept": "*/*"}) == row["take"]
    assert streaming().take({row["header"]: said}) == row["take"]


@pytest.mark.parametrize("row", CLIENTS["clients"], ids=lambda row: row["name"])
def test_every_field_that_the_table_asks_for_is_read(row: dict[str, str]):
    name = row["header"]
    request = HttpRequest("POST", "/", b"", [(name.encode(), b"x")], b"", 0.0)
    assert request.headers == {name: "x"}


@pytest.mark.parametrize(("row", "word"), ROWS, ids=lambda value: str(value)[:40])
def test_a_client_that_asks_for_events_gets_them_whoever_it_is(row: dict[str, str], word: str):
    for accept in ("text/event-stream", "application/json, TEXT/EVENT-STREAM;q=0.9"):
        assert streaming().take({row["header"]: word, "accept": accept}) == "as_asked"


@pytest.mark.parametrize(
    "agent",
    [
        "OpenAI/Python 2.3.0",
        "AsyncOpenAI/Python 2.3.0",
        "Anthropic/Python 0.70.0",
        "AsyncAnthropic/JS 1.2",
        "google-genai-sdk/3.0",
        "ollama-python/0.5",
    ],
)
def test_official_sdks_stream_although_they_accept_json(agent: str):
    assert take(user_agent=agent, accept="application/json") == "as_asked"
    assert take(user_agent="java", x_stainless_lang="java", accept="application/json") == "as_asked"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "as_asked"),
        ({"accept": "*/*"}, "as_asked"),
        ({"accept": "application/json, */*;q=0.1"}, "as_asked"),
        ({"accept": "application/json"}, "json"),
        ({"accept": "text/html"}, "json"),
        ({"accept": ""}, "json"),
        ({"user_agent": "something-new/1"}, "as_asked"),
        ({"user_agent": "something-new/1", "accept": "application/json"}, "json"),
    ],
)
def test_a_client_that_the_table_does_not_know_gets_what_it_accepts(
    headers: dict[str, str], expected: Take
):
    assert take(**headers) == expected


def test_the_first_row_that_matches_decides():
    assert take(user_agent="curl/8", openai_organization="BaseBox") == "at_once"
    assert take(user_agent="Mozilla/5.0 Chrome/120 goose/1") == "json"
    assert take(user_agent="Mozilla/5.0 Firefox", x_stainless_lang="js") == "as_asked"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("never", "json"),
        ("standard", "as_asked"),
        ("always", "as_asked"),
        ("buffered", "buffered"),
    ],
)
def test_any_other_mode_holds_for_every_client(mode: Mode, expected: Take):
    for headers in ({}, {"user-agent": "curl/8"}, {"accept": "text/event-stream"}):
        assert streaming(mode).take(headers) == expected


# Sentences


def text(*pieces: str) -> list[Batch]:
    """A stream that says `pieces`, an event at a time."""
    says: list[ev.Event] = [ev.PartDelta(0, piece) for piece in pieces]
    return [
        [event]
        for event in (
            ev.Start("id", "m"),
            ev.PartStart(0, Text()),
            *says,
            ev.PartEnd(0),
            ev.Finish("stop", Usage(1, 1)),
        )
    ]


async def source(batches: Sequence[Batch]) -> AsyncGenerator[Batch]:
    for batch in batches:
        yield batch


def sentences(batches: Sequence[Batch], *, buffer_bytes: int = 65_536) -> list[ev.Event]:
    async def scene() -> list[ev.Event]:
        made = streaming(buffer_bytes=buffer_bytes).buffered(source(batches))
        return [event async for batch in made for event in batch]

    return play(scene, LOOP)


def whole(batches: Sequence[Batch]) -> list[ev.Event]:
    return [event for batch in batches for event in batch]


def pieces(events: Sequence[ev.Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, ev.PartDelta)]


@pytest.mark.parametrize("end", [".", "!", "?", "\n", ". And", "...", "a.b"])
def test_a_sentence_goes_when_it_ends(end: str):
    assert pieces(sentences(text("One", " two", end, "more"))) == [f"One two{end}", "more"]


def test_text_goes_when_fifty_bytes_are_held():
    assert pieces(sentences(text("x" * 30, "y" * 19, "z", "w"))) == ["x" * 30 + "y" * 19 + "z", "w"]


def test_bytes_count_and_not_characters():
    assert pieces(sentences(text("é" * 25, "x"))) == ["é" * 25, "x"]


def test_a_smaller_buffer_is_respected():
    assert pieces(sentences(text("abc", "de", "f"), buffer_bytes=5)) == ["abcde", "f"]


def test_a_larger_buffer_holds_no_more():
    assert SENTENCE_BYTES == 50
    got = pieces(sentences(text(*"x" * 120), buffer_bytes=10_000))
    assert got == ["x" * 50, "x" * 50, "x" * 20]


def test_what_is_held_at_the_end_goes_before_it():
    got = sentences(text("One", " two"))
    assert got[2:] == [ev.PartDelta(0, "One two"), ev.PartEnd(0), ev.Finish("stop", Usage(1, 1))]


@pytest.mark.parametrize(
    "event",
    [
        ev.Ping(),
        ev.PartEnd(0),
        ev.PartDelta(0, "cited", citation=Citation(url="https://example.invalid")),
        ev.Fail(Failure("unavailable", "cut")),
    ],
)
def test_whatever_is_not_text_goes_at_once_and_after_what_is_held(event: ev.Event):
    got = sentences([*text("held")[:3], [event]])
    assert got[2:] == [ev.PartDelta(0, "held"), event]


@pytest.mark.parametrize("part", [ToolCall("id", "f"), Reasoning()])
def test_only_text_is_held(part: ToolCall | Reasoning):
    batches: list[Batch] = [
        [ev.Start("id", "m"), ev.PartStart(0, part)],
        [ev.PartDelta(0, "a")],
        [ev.PartDelta(0, "b")],
    ]
    assert sentences(batches) == whole(batches)


def test_text_after_another_part_has_its_own_index():
    batches: list[Batch] = [
        [ev.PartStart(0, Reasoning()), ev.PartDelta(0, "a"), ev.PartEnd(0)],
        [ev.PartStart(1, Text()), ev.PartDelta(1, "b"), ev.PartDelta(1, "c")],
        [ev.PartEnd(1)],
    ]
    assert sentences(batches)[-2:] == [ev.PartDelta(1, "bc"), ev.PartEnd(1)]


def test_events_that_came_together_and_say_nothing_new_yet_are_held_together():
    batches: list[Batch] = [whole(text("One", " two"))[:-2], *text()[-2:]]
    assert sentences(batches)[2:3] == [ev.PartDelta(0, "One two")]


TEXTS = st.lists(st.text("ab. \n", max_size=8), max_size=20)


@given(TEXTS, st.integers(1, 60))
def test_nothing_is_lost_or_moved(said: list[str], buffer_bytes: int):
    batches = text(*said)
    got = sentences(batches, buffer_bytes=buffer_bytes)
    ev.check(got)
    assert ev.fold(got) == ev.fold(whole(batches))
    assert all(pieces(got)), "an empty piece says nothing"


# How long text is held


class Says:
    """A stream that says what the test puts in, and knows what becomes of it."""

    def __init__(self) -> None:
        self.closed = 0
        self.queue: asyncio.Queue[Batch | Exception | None] = asyncio.Queue()

    def say(self, *events: ev.Event) -> None:
        self.queue.put_nowait([*events])

    async def batches(self) -> AsyncGenerator[Batch]:
        try:
            while (batch := await self.queue.get()) is not None:
                if isinstance(batch, Exception):
                    raise batch
                yield batch
        finally:
            self.closed += 1


def test_text_is_held_no_longer_than_told():
    async def scene() -> None:
        says = Says()
        made = streaming(timeout_s=5.0).buffered(says.batches())
        says.say(ev.PartStart(0, Text()))
        assert await anext(made) == [ev.PartStart(0, Text())]
        says.say(ev.PartDelta(0, "slow"))
        waiting = begin(anext(made))
        await pass_time(4.9)
        assert not waiting.done()
        await pass_time(0.2)
        assert await waiting == [ev.PartDelta(0, "slow")]
        await made.aclose()

    play(scene, ClockLoop)


def test_more_text_does_not_make_it_be_held_longer():
    async def scene() -> None:
        says = Says()
        made = streaming(timeout_s=5.0).buffered(says.batches())
        says.say(ev.PartStart(0, Text()), ev.PartDelta(0, "a"))
        assert await anext(made) == [ev.PartStart(0, Text())]
        waiting = begin(anext(made))
        for letter in "bcd":
            await pass_time(1.5)
            says.say(ev.PartDelta(0, letter))
        await pass_time(0.6)
        assert await waiting == [ev.PartDelta(0, "abcd")]
        await made.aclose()

    play(scene, ClockLoop)


def test_each_text_has_its_own_time():
    async def scene() -> None:
        says = Says()
        made = streaming(timeout_s=5.0).buffered(says.batches())
        says.say(ev.PartStart(0, Text()), ev.PartDelta(0, "a"))
        await anext(made)
        waiting = begin(anext(made))
        await pass_time(4.0)
        says.say(ev.PartDelta(0, "b."))
        assert await waiting == [ev.PartDelta(0, "ab.")]
        says.say(ev.PartDelta(0, "c"))
        waiting = begin(anext(made))
        await pass_time(4.0)
        assert not waiting.done()
        await pass_time(1.1)
        assert await waiting == [ev.PartDelta(0, "c")]
        await made.aclose()

    play(scene, ClockLoop)


def test_a_silent_stream_is_waited_for_without_end():
    async def scene() -> None:
        says = Says()
        made = streaming(timeout_s=5.0).buffered(says.batches())
        waiting = begin(anext(made))
        await pass_time(3600.0)
        assert not waiting.done()
        says.say(ev.Ping())
        assert await waiting == [ev.Ping()]
        await made.aclose()

    play(scene, ClockLoop)


# Closing


def test_a_caller_who_leaves_closes_the_stream_once_and_leaves_no_task():
    async def scene() -> None:
        says = Says()
        made = streaming().buffered(says.batches())
        says.say(ev.PartStart(0, Text()))
        await anext(made)
        await settle()
        await made.aclose()
        assert says.closed == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    play(scene, LOOP)


def test_a_caller_who_is_cancelled_while_waiting_closes_the_stream_once():
    async def scene() -> None:
        says = Says()
        made = streaming().buffered(says.batches())
        waiting = begin(anext(made))
        await settle()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert says.closed == 1
        await made.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    play(scene, LOOP)


def test_a_stream_that_was_never_begun_holds_nothing():
    async def scene() -> None:
        says = Says()
        await streaming().buffered(says.batches()).aclose()
        await at_once(says.batches()).aclose()
        assert says.closed == 0

    play(scene, LOOP)


def test_a_stream_that_breaks_is_told_as_it_is():
    async def scene() -> None:
        says = Says()
        says.queue.put_nowait(ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            await anext(streaming().buffered(says.batches()))
        assert says.closed == 1

    play(scene, LOOP)


def test_a_stream_that_breaks_when_nobody_listens_any_more_is_no_trouble():
    """`play` sees to it that nothing is reported of a task whose error nobody has seen."""

    async def scene() -> None:
        says = Says()
        made = streaming().buffered(says.batches())
        says.say(ev.PartStart(0, Text()), ev.PartDelta(0, "held"))
        await anext(made)
        waiting = begin(anext(made))
        await pass_time(5.1)
        assert await waiting == [ev.PartDelta(0, "held")]
        says.queue.put_nowait(ZeroDivisionError())
        await settle()
        await made.aclose()
        assert says.closed == 1

    play(scene, ClockLoop)
    gc.collect()


@pytest.mark.parametrize("form", ["buffered", "at_once"])
def test_a_reply_is_closed_once_whatever_form_it_takes(form: str):
    async def scene() -> None:
        wire = LineWire()
        connection = Connection([b"start id m\n\nsay a\n\n"], gate=asyncio.Event(), hold_after=1)
        asked = call(wire, stream=True)
        reply = streamed(connection, wire=wire)()
        batches = reply.batches()
        made = streaming().buffered(batches) if form == "buffered" else at_once(batches)
        assert (await anext(made))[0] == ev.Start("id", "m")
        waiting = begin(anext(made))
        await settle()
        waiting.cancel()
        await asyncio.wait((waiting,))
        await made.aclose()
        await reply.aclose()
        assert connection.closed == 1
        assert asked.envelope.stream

    play(scene, LOOP)


# All at once


def together(*batches: Batch) -> list[ev.Event]:
    async def scene() -> list[ev.Event]:
        return [event async for batch in at_once(source(batches)) for event in batch]

    return play(scene, LOOP)


def test_the_text_of_a_part_is_one_piece():
    assert pieces(together(*text("One. ", "Two. ", "Three."))) == ["One. Two. Three."]


def test_a_sign_of_life_does_not_cut_the_text():
    got = together(*text("a")[:3], [ev.Ping()], *text("b")[2:])
    assert pieces(got) == ["ab"]
    assert ev.Ping() in got


def test_every_tool_call_is_one_piece_in_its_place():
    batches: list[Batch] = [[ev.Start("id", "m")]]
    for index in range(2):
        batches += [
            [ev.PartStart(index, ToolCall(f"id{index}", "f"))],
            [ev.PartDelta(index, '{"a"')],
            [ev.PartDelta(index, ":1}")],
            [ev.PartEnd(index)],
        ]
    got = together(*batches, [ev.Finish("tool_call")])
    ev.check(got)
    assert [event for event in got if isinstance(event, ev.PartDelta)] == [
        ev.PartDelta(0, '{"a":1}'),
        ev.PartDelta(1, '{"a":1}'),
    ]


def test_what_is_no_text_follows_it():
    citation = Citation(url="https://example.invalid")
    got = together(
        [ev.PartStart(0, Text())],
        [ev.PartDelta(0, "a"), ev.PartDelta(0, citation=citation), ev.PartDelta(0, "b")],
        [ev.PartEnd(0)],
        [ev.PartStart(1, Reasoning())],
        [ev.PartDelta(1, "c"), ev.PartDelta(1, signature="s")],
        [ev.PartEnd(1)],
    )
    assert [event for event in got if isinstance(event, ev.PartDelta)] == [
        ev.PartDelta(0, "ab"),
        ev.PartDelta(0, citation=citation),
        ev.PartDelta(1, "c"),
        ev.PartDelta(1, signature="s"),
    ]


def test_a_stream_that_fails_says_what_it_had():
    failure = ev.Fail(Failure("unavailable", "cut"))
    got = together(*text("a", "b")[:4], [failure])
    assert got[-2:] == [ev.PartDelta(0, "ab"), failure]


def test_the_first_event_does_not_wait_for_the_text():
    async def scene() -> None:
        says = Says()
        made = at_once(says.batches())
        says.say(ev.Start("id", "m"), ev.PartStart(0, Text()), ev.PartDelta(0, "a"))
        assert await anext(made) == [ev.Start("id", "m"), ev.PartStart(0, Text())]
        await made.aclose()
        assert says.closed == 1

    play(scene, LOOP)


@given(TEXTS)
def test_all_at_once_says_the_same(said: list[str]):
    got = together(*text(*said))
    ev.check(got)
    assert ev.fold(got) == ev.fold(whole(text(*said)))
    assert len(pieces(got)) <= 1
