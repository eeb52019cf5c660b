"""An upstream that breaks, in every way there is: what its caller gets never looks finished."""

from collections.abc import Callable, Sequence

import pytest

from tests.e2e.conftest import House
from tests.support import http1, plain, raw
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, TEXT, Dialect
from tests.support.upstream import Do, Gate, Part

Broken = Callable[[Dialect, int], Sequence[Part]]
"""An answer that breaks after so many events."""


def chunks(dialect: Dialect, count: int) -> list[Part]:
    first, *rest = [http1.chunk(frame) for frame in dialect.frames()[:count]] or [b""]
    return [http1.stream_head(), first, *rest]


def closed(dialect: Dialect, count: int) -> list[Part]:
    return [*chunks(dialect, count), Do.CLOSE]


def reset(dialect: Dialect, count: int) -> list[Part]:
    return [*chunks(dialect, count), Do.RESET]


def ended(dialect: Dialect, count: int) -> list[Part]:
    """HTTP is satisfied, and the API's own end is missing."""
    return [*chunks(dialect, count), http1.LAST_CHUNK]


def closed_inside_an_event(dialect: Dialect, count: int) -> list[Part]:
    half = dialect.frames()[count][:-20]
    return [*chunks(dialect, count), http1.chunk(half), Do.CLOSE]


def ended_inside_an_event(dialect: Dialect, count: int) -> list[Part]:
    half = dialect.frames()[count][:-20]
    return [*chunks(dialect, count), http1.chunk(half), http1.LAST_CHUNK]


def error_event(dialect: Dialect, count: int) -> list[Part]:
    frame = dialect.error_frame("overloaded_error", "too many at once")
    return [*chunks(dialect, count), http1.chunk(frame), http1.LAST_CHUNK]


def error_event_then_reset(dialect: Dialect, count: int) -> list[Part]:
    return [*error_event(dialect, count)[:-1], Do.RESET]


def bad_chunking(dialect: Dialect, count: int) -> list[Part]:
    return [*chunks(dialect, count), b"this is no chunk\r\n"]


BROKEN: list[Broken] = [
    closed,
    reset,
    ended,
    closed_inside_an_event,
    ended_inside_an_event,
    error_event,
    error_event_then_reset,
    bad_chunking,
]

# As many events as leave the answer unfinished: OpenAI's has finished with the finish reason,
# which stands before usage and `[DONE]`; Anthropic's only with its last.
UNFINISHED = {"openai": (1, 2, 3, 4), "anthropic": (1, 2, 3, 4, 7, 8)}

STREAMS = [
    pytest.param(caller, upstream, count, id=f"{caller}-from-{upstream}-after-{count}")
    for caller in DIALECTS
    for upstream in DIALECTS
    for count in UNFINISHED[upstream.name]
]

BOTH = pytest.mark.parametrize("upstream", DIALECTS, ids=lambda dialect: f"from-{dialect}")
CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)


@case(92, 93, 107)
@pytest.mark.parametrize(("caller", "upstream", "count"), STREAMS)
@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_stream_that_breaks_ends_in_an_error(
    house: House, caller: Dialect, upstream: Dialect, count: int, broken: Broken
):
    head, first, *rest = broken(upstream, count)
    begun = Gate()
    house.behind(upstream).play([head, first, begun, *rest])
    model = f"{upstream.name}/{upstream.model}"
    with raw.posted(house.url, caller.path, caller.ask(model, stream=True)) as exchange:
        begun.open()
        body = exchange.read_rest()
    assert exchange.status == 200
    assert caller.end not in body
    assert b"[DONE]" not in body
    assert b"message_stop" not in body
    assert TEXT.startswith(caller.text_of_stream(body))
    told = caller.told_in_stream(body)
    assert told is not None, body
    if broken in (error_event, error_event_then_reset):
        assert told.type == "overloaded_error"
        assert "too many at once" in told.message
    else:
        assert told.code, "a code that programs can test"


@case(91, 93)
@pytest.mark.parametrize("broken", [closed, reset, ended], ids=lambda broken: broken.__name__)
@pytest.mark.parametrize("count", [5, 6])
@CALLERS
def test_openais_stream_has_finished_with_its_finish_reason(
    house: House, caller: Dialect, count: int, broken: Broken
):
    head, first, *rest = broken(OPENAI, count)
    begun = Gate()
    house.openai.play([head, first, begun, *rest])
    asked = caller.ask(f"openai/{OPENAI.model}", stream=True)
    with raw.posted(house.url, caller.path, asked) as exchange:
        begun.open()
        body = exchange.read_rest()
    assert caller.text_of_stream(body) == TEXT
    assert body.endswith(caller.end)


@case(94, 107)
@BOTH
@CALLERS
@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_stream_that_breaks_before_its_first_event_is_a_real_error(
    house: House, caller: Dialect, upstream: Dialect, broken: Broken
):
    house.behind(upstream).play(broken(upstream, 0))
    answer = plain.post(
        house.url, caller.path, caller.ask(f"{upstream.name}/{upstream.model}", stream=True)
    )
    assert answer.headers["content-type"] == "application/json"
    told = caller.told(answer.body)
    if broken in (error_event, error_event_then_reset):
        assert answer.status == {"openai": 503, "anthropic": 529}[caller.name]
        assert told.type == "overloaded_error"
    else:
        assert answer.status == 502
        assert told.code, "a code that programs can test"
    assert answer.headers["x-modelmux-target"] == f"{upstream.name}/{upstream.model}"


def whole(*parts: Part) -> Callable[[Dialect], list[Part]]:
    return lambda _: list(parts)


NO_ANSWERS: dict[str, Callable[[Dialect], list[Part]]] = {
    "nothing": whole(Do.CLOSE),
    "reset": whole(Do.RESET),
    "half a head": whole(b"HTTP/1.1 200 OK\r\ncontent-", Do.CLOSE),
    "no HTTP": whole(b"SSH-2.0-OpenSSH_9.6\r\n", Do.CLOSE),
    "half a body": lambda d: [http1.answer(200, d.answer())[:-20], Do.CLOSE],
    "half a body, reset": lambda d: [http1.answer(200, d.answer())[:-20], Do.RESET],
    "half a body, of full length": lambda d: [http1.answer(200, d.answer()[:-20])],
    "no JSON": whole(http1.answer(200, b"<html>Welcome to the hotel's network</html>")),
    "empty": whole(http1.answer(200)),
    "an empty object": whole(http1.answer(200, {})),
    "a list": whole(http1.answer(200, [])),
    "a redirect": whole(http1.answer(307, b"", ("location", "http://127.0.0.1:9/"))),
}


@case(102, 107)
@BOTH
@CALLERS
@pytest.mark.parametrize("how", NO_ANSWERS)
def test_what_is_no_answer_is_an_error(house: House, caller: Dialect, upstream: Dialect, how: str):
    house.behind(upstream).play(NO_ANSWERS[how](upstream))
    answer = plain.post(house.url, caller.path, caller.ask(f"{upstream.name}/{upstream.model}"))
    assert answer.status == 502
    told = caller.told(answer.body)
    assert told.code
    assert upstream.name in told.message


@case(98)
@BOTH
@CALLERS
def test_a_whole_answer_where_a_stream_was_asked_for_is_streamed(
    house: House, caller: Dialect, upstream: Dialect
):
    house.behind(upstream).play([http1.answer(200, upstream.answer())])
    asked = caller.ask(f"{upstream.name}/{upstream.model}", stream=True)
    answer = plain.post(house.url, caller.path, asked)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert caller.text_of_stream(answer.body) == TEXT
    assert answer.body.endswith(caller.end)


@case(98)
@BOTH
@CALLERS
def test_a_stream_where_none_was_asked_for_is_made_whole(
    house: House, caller: Dialect, upstream: Dialect
):
    house.behind(upstream).play(http1.stream(*upstream.frames()))
    answer = plain.post(house.url, caller.path, caller.ask(f"{upstream.name}/{upstream.model}"))
    assert answer.headers["content-type"] == "application/json"
    assert caller.text_of(answer.body) == TEXT


@case(92, 93)
@BOTH
@CALLERS
@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_stream_that_breaks_where_none_was_asked_for_is_an_error(
    house: House, caller: Dialect, upstream: Dialect, broken: Broken
):
    house.behind(upstream).play(broken(upstream, 3))
    answer = plain.post(house.url, caller.path, caller.ask(f"{upstream.name}/{upstream.model}"))
    assert answer.status >= 500
    assert caller.told(answer.body).message


@case(95)
def test_an_upstream_that_only_pings_has_not_begun_to_answer(house: House):
    ping = b'event: ping\ndata: {"type":"ping"}\n\n'
    house.anthropic.play(http1.stream(ping, ping))
    answer = plain.post(house.url, ANTHROPIC.path, ANTHROPIC.ask(ANTHROPIC.model, stream=True))
    assert answer.status == 502
