"""Where caller and target speak the same wire, each gets the other's bytes."""

import msgspec
import pytest

from tests.e2e.conftest import House
from tests.support import http1, plain, raw
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, Dialect
from tests.support.goldens import Golden, goldens
from tests.support.upstream import Gate, Part

# Spaces, an order of keys, an unknown field, escapes and a number that a careless serialiser
# would change; what a gateway has no business to touch.
ODD = {
    "openai": rb"""{ "messages" :[ {"role":"user", "content":"h\u00ef \/ \ud83d\ude00"} ],
  "temperature": 1.0, "seed":12345678901234567890, "model":"gpt-4.1-mini",
  "x_unknown": {"b":1,"a":[ ]}, "max_tokens" :1e2 } """,
    "anthropic": rb"""{ "messages" :[ {"role":"user", "content":"h\u00ef \/ \ud83d\ude00"} ],
  "temperature": 1.0, "model":"claude-haiku-4-5", "x_unknown": {"b":1,"a":[ ]}, "max_tokens" :100,
  "system":[ {"type":"text","text":"s","cache_control":{"type":"ephemeral"}} ] } """,
}


SIBLINGS: dict[str, tuple[str, dict[str, object]]] = {
    "openai.responses": ("/v1/responses", {"input": "hello"}),
    "openai.completions": (
        "/v1/completions",
        {"prompt": "hello", "stream_options": {"include_usage": True}},
    ),
}
"""Other APIs of a dialect's maker, and what to ask there."""


def path_of(golden: Golden) -> str:
    sibling = SIBLINGS.get(golden.wire_name)
    return same_wire(golden).path if sibling is None else sibling[0]


def asked_of(golden: Golden) -> dict[str, object]:
    """A request for a stream."""
    dialect = same_wire(golden)
    sibling = SIBLINGS.get(golden.wire_name)
    if sibling is None:
        return dialect.ask(dialect.model, stream=True, **_usage_asked(dialect))
    return {"model": dialect.model, "stream": True, **sibling[1]}


def recorded(file: str) -> list[Golden]:
    """Goldens of the dialects' makers; other wires say the model in the path, or are no SSE."""
    names = tuple([f"{dialect.name}." for dialect in DIALECTS])
    return [golden for golden in goldens(file) if golden.wire_name.startswith(names)]


def same_wire(golden: Golden) -> Dialect:
    return next(dialect for dialect in DIALECTS if golden.wire_name.startswith(dialect.name))


@case(64, 114)
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_an_upstream_receives_the_callers_bytes(house: House, dialect: Dialect):
    stage = house.behind(dialect)
    stage.play([http1.answer(200, dialect.answer())])
    answer = plain.post(house.url, dialect.path, ODD[dialect.name])
    assert answer.status == 200
    assert stage.request.body == ODD[dialect.name]


@case(108)
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_only_the_models_name_is_changed_on_the_way_there(house: House, dialect: Dialect):
    stage = house.behind(dialect)
    stage.play([http1.answer(200, dialect.answer())])
    own = dialect.model.encode()
    asked = ODD[dialect.name].replace(own, dialect.name.encode() + b"/" + own)
    plain.post(house.url, dialect.path, asked)
    assert stage.request.body == ODD[dialect.name]


@pytest.mark.parametrize("golden", recorded("request.json"), ids=str)
def test_a_recorded_request_goes_through_as_it_came(house: House, golden: Golden):
    dialect = same_wire(golden)
    stage = house.behind(dialect)
    stage.play([http1.answer(200, dialect.answer())])
    body = golden.read()
    asked = msgspec.json.decode(body)
    other = f"{dialect.name}/{asked['model']}"
    plain.post(house.url, path_of(golden), {**asked, "model": other, "stream": False})
    expected = {**asked, "stream": False}
    assert list(msgspec.json.decode(stage.request.body)) == list(expected)
    assert msgspec.json.decode(stage.request.body) == expected


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_caller_receives_the_upstreams_bytes(house: House, dialect: Dialect):
    body = b" " + dialect.answer().replace(b":", b" : ") + b"\n"
    house.behind(dialect).play([http1.answer(200, body)])
    answer = plain.post(house.url, dialect.path, dialect.ask(dialect.model))
    assert answer.body == body


@case(102)
@pytest.mark.parametrize("status", [400, 404, 413, 422])
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_caller_receives_the_upstreams_refusal(house: House, dialect: Dialect, status: int):
    refusal = dialect.error("invalid_request_error", "not like this")
    body = refusal.replace(b'"message"', b'"doc_url": "https://x.example", "message"')
    house.behind(dialect).play([http1.answer(status, body)])
    answer = plain.post(house.url, dialect.path, dialect.ask(dialect.model))
    assert (answer.status, answer.body) == (status, body)


@case(79)
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("address", ["tcp", "unix"])
def test_a_caller_receives_the_upstreams_stream(house: House, dialect: Dialect, address: str):
    frames = dialect.frames()
    stage = house.behind(dialect)
    stage.play(http1.stream(*frames))
    asked = dialect.ask(dialect.model, stream=True, **_usage_asked(dialect))
    where = {"tcp": house.url, "unix": house.gateway.unix_address}[address]
    answer = plain.post(where, dialect.path, asked)
    assert answer.body == b"".join(frames)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert stage.request.json() == asked


@case(79)
def test_usage_that_was_not_asked_for_is_asked_for_and_kept_back(house: House):
    frames = OPENAI.frames()
    house.openai.play(http1.stream(*frames))
    asked = OPENAI.ask(OPENAI.model, stream=True)
    answer = plain.post(house.url, OPENAI.path, asked)
    assert house.openai.request.json() == {**asked, "stream_options": {"include_usage": True}}
    assert answer.body == b"".join(frames).replace(OPENAI.usage_frame(), b"")


# An error first thing is no stream: see test_broken_answers.
@pytest.mark.parametrize(
    "golden", [g for g in recorded("stream.txt") if g.case != "error-first"], ids=str
)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_recorded_stream_goes_through_however_it_is_cut_up(
    house: House, golden: Golden, step: int
):
    dialect = same_wire(golden)
    body = golden.read()
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    house.behind(dialect).play(http1.stream(*pieces))
    answer = plain.post(house.url, path_of(golden), asked_of(golden))
    assert answer.body == body


@case(108)
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_answer_bears_the_name_that_was_asked_for(house: House, dialect: Dialect, stream: bool):
    served = f"{dialect.model}-2026-11-11"
    stage = house.behind(dialect)
    if stream:
        stage.play(http1.stream(*dialect.frames(served)))
        sent = b"".join(dialect.frames(served))
    else:
        sent = dialect.answer(served)
        stage.play([http1.answer(200, sent)])
    name = f"{dialect.name}/{dialect.model}"
    asked = dialect.ask(name, stream=stream, **(_usage_asked(dialect) if stream else {}))
    answer = plain.post(house.url, dialect.path, asked)
    assert answer.body == sent.replace(b'"%b"' % served.encode(), b'"%b"' % name.encode())
    assert answer.headers["x-modelmux-target"] == name


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_each_event_is_passed_on_when_it_comes(house: House, dialect: Dialect):
    frames = dialect.frames()
    gates = [Gate() for _ in frames]
    parts: list[Part] = [http1.stream_head()]
    for frame, gate in zip(frames, gates, strict=True):
        parts += [http1.chunk(frame), gate]
    house.behind(dialect).play([*parts, http1.LAST_CHUNK])
    asked = dialect.ask(dialect.model, stream=True, **_usage_asked(dialect))
    with raw.posted(house.url, dialect.path, asked) as exchange:
        for frame, gate in zip(frames, gates, strict=True):
            exchange.read_until(frame)
            gate.open()
        assert exchange.read_rest() == b"".join(frames)


@case(88)
def test_line_ends_and_comments_go_through(house: House):
    frames = [b": hello\r\n\r\n", *[f.replace(b"\n", b"\r\n") for f in ANTHROPIC.frames()]]
    house.anthropic.play(http1.stream(*frames))
    asked = ANTHROPIC.ask(ANTHROPIC.model, stream=True)
    answer = plain.post(house.url, ANTHROPIC.path, asked)
    assert answer.body == b"".join(frames)


def _usage_asked(dialect: Dialect) -> dict[str, object]:
    return {"stream_options": {"include_usage": True}} if dialect is OPENAI else {}
