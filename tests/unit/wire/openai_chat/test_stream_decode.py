from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from modelmux.ir import events as ev
from modelmux.ir.parts import Blob, Citation, Extra, Part, Reasoning, Refusal, Text, ToolCall, Uri
from modelmux.ir.response import NO_USAGE, Failure, Response, Usage
from modelmux.wire.openai.chunks import INTERRUPTED
from modelmux.wire.openai_chat import WIRE
from modelmux.wire.openai_chat.schema import NAME
from tests.support.cases import case
from tests.support.goldens import Golden, goldens
from tests.unit.wire.openai_chat.chat import DONE, ID, PNG, call, chunk, events, frame, text

ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, "stop")
MINE = [golden for golden in goldens("stream.txt") if golden.wire_name == NAME]


def folded(*chunks: bytes) -> Response:
    return ev.fold(events(ROLE, *chunks))


def parts(*chunks: bytes) -> tuple[Part, ...]:
    """The parts of a stream that ends well."""
    return folded(*chunks, STOP, DONE).parts


def failure(*chunks: bytes) -> Failure:
    last = events(*chunks)[-1]
    assert isinstance(last, ev.Fail)
    return last.failure


def test_text_is_passed_on_as_it_comes() -> None:
    decoder = WIRE.decoder()
    assert decoder.feed(ROLE) == [ev.Start(ID, "real", 7)]
    assert decoder.feed(text("He")) == [ev.PartStart(0, Text()), ev.PartDelta(0, "He")]
    assert decoder.feed(text("llo")) == [ev.PartDelta(0, "llo")]
    assert decoder.feed(text(' \n"you" 🙂')) == [ev.PartDelta(0, ' \n"you" 🙂')]
    assert decoder.feed(STOP) == []
    assert decoder.feed(DONE) == [ev.PartEnd(0), ev.Finish("stop")]
    assert decoder.feed(text("more")) == []
    assert decoder.finish() == []


@case(88, 89)
def test_several_chunks_in_one_read_are_as_many_reads() -> None:
    stream = [ROLE, text("a"), text("b"), text("c"), STOP, DONE]
    assert events(b"".join(stream)) == events(*stream)
    assert events(ROLE, b"".join(stream[1:])) == events(*stream)


@case(88, 95)
def test_comments_are_pings() -> None:
    found = events(b": OPENROUTER PROCESSING\n\n", ROLE, b": keep-alive\n\n", text("a"), STOP, DONE)
    assert [type(event) for event in found[:3]] == [ev.Ping, ev.Start, ev.Ping]


@case(91)
def test_a_stream_without_done_is_finished_by_its_reason() -> None:
    assert events(ROLE, text("a"), STOP) == events(ROLE, text("a"), STOP, DONE)
    assert events(ROLE, text("a"), STOP, DONE.rstrip()) == events(ROLE, text("a"), STOP, DONE)


@case(93)
@pytest.mark.parametrize(
    "chunks",
    [
        (),
        (ROLE,),
        (ROLE, text("a")),
        (ROLE, text("a"), STOP[:-20]),
        (b": x\n\n",),
        (ROLE, b"data: "),
    ],
)
def test_a_stream_cut_before_its_reason_fails(chunks: tuple[bytes, ...]) -> None:
    assert failure(*chunks) == INTERRUPTED


@case(93)
def test_what_breaks_off_after_the_reason_is_usage_at_most() -> None:
    usage = frame({"id": ID, "choices": [], "usage": {"prompt_tokens": 1}})
    assert events(ROLE, text("a"), STOP, usage[:-10]) == events(ROLE, text("a"), STOP, DONE)


@case(73, 91)
@pytest.mark.parametrize("reason", [None, ""])
def test_a_stream_that_is_done_without_a_reason_has_stopped(reason: str | None) -> None:
    found = events(ROLE, text("a"), chunk({}, reason), DONE)
    assert found[-1] == ev.Finish("stop")


def test_done_alone_is_no_answer() -> None:
    assert failure(DONE) == INTERRUPTED


@case(92, 94)
@pytest.mark.parametrize(
    "broken",
    [
        frame({"error": {"message": "busy", "type": "overloaded_error"}}),
        frame({"error": "busy"}),
        frame({"object": "error", "message": "busy", "type": "BadRequestError", "code": 400}),
        frame({"id": ID, "choices": [{"index": 0, "delta": {}, "error": {"message": "busy"}}]}),
        frame(
            {
                "id": ID,
                "choices": [{"delta": {}, "finish_reason": "error"}],
                "error": {"message": "busy"},
            }
        ),
        b'event: error\ndata: {"error":{"message":"busy"}}\n\n',
    ],
)
def test_an_error_inside_the_stream_fails_it(broken: bytes) -> None:
    for before in ((), (ROLE, text("a"))):
        assert failure(*before, broken, text("b"), STOP, DONE).message == "busy"


def test_a_reason_that_is_an_error_fails_the_stream() -> None:
    found = failure(ROLE, text("a"), chunk({}, "error"), DONE)
    assert (found.code, found.status) == ("error", 502)


@pytest.mark.parametrize(
    "broken",
    [
        b"data: nonsense\n\n",
        b"data: 5\n\n",
        b"data: \xff\n\n",
        b'data: {"choices":5}\n\n',
        chunk({"content": 5}),
        frame({"choices": [5]}),
        b"data: [DONE] x\n\n",
    ],
)
def test_a_chunk_that_cannot_be_read_breaks_the_wire(broken: bytes) -> None:
    for before in ((), (ROLE, text("a"), text("b"))):
        found = failure(*before, broken, STOP, DONE)
        assert (found.kind, found.code, found.status) == ("unavailable", "protocol_violation", 502)


def test_an_event_without_end_breaks_the_wire() -> None:
    decoder = WIRE.decoder()
    decoder.feed(ROLE)
    out: list[ev.Event] = []
    for _ in range(40):
        out += decoder.feed(b"data: " + b"x" * 1_000_000)
    assert isinstance(out[-1], ev.Fail)
    assert out[-1].failure.code == "protocol_violation"


@case(22)
def test_a_call_and_its_arguments_are_passed_on_as_they_come() -> None:
    decoder = WIRE.decoder()
    decoder.feed(ROLE)
    assert decoder.feed(call(0, "", id="c1", type="function", name="f")) == [
        ev.PartStart(0, ToolCall("c1", "f"))
    ]
    assert decoder.feed(call(0, '{"a"')) == [ev.PartDelta(0, '{"a"')]


@case(23, 25)
@pytest.mark.parametrize(
    "chunks",
    [
        (
            call(0, "", id="c1", name="f"),
            call(0, '{"a":'),
            call(0, "1}"),
            call(1, "", id="c2", name="g"),
            call(1, "{}"),
        ),
        (  # whole calls
            call(0, '{"a":1}', id="c1", name="f"),
            call(1, "{}", id="c2", name="g"),
        ),
        (  # all with index 0
            call(0, '{"a":1}', id="c1", name="f"),
            call(0, "{}", id="c2", name="g"),
        ),
        (  # all with index 0, in turn
            call(0, '{"a":', id="c1", name="f"),
            call(0, "{", id="c2", name="g"),
            call(0, "1}", id="c1", name="f"),
            call(0, "}", id="c2"),
        ),
        (  # id and name repeated
            call(0, '{"a":', id="c1", name="f"),
            call(0, "1}", id="c1", name="f"),
            call(1, "{", id="c2", name="g"),
            call(1, "}", id="c2", name="g"),
        ),
        (  # no index
            call(None, '{"a":', id="c1", name="f"),
            call(None, "1}"),
            call(None, "{}", id="c2", name="g"),
        ),
        (  # arguments that are an object
            call(0, {"a": 1}, id="c1", name="f"),
            call(1, {}, id="c2", name="g"),
        ),
        (  # interleaved
            call(0, '{"a"', id="c1", name="f"),
            call(1, "{", id="c2", name="g"),
            call(0, ":1}"),
            call(1, "}"),
        ),
        (  # several in one chunk
            chunk(
                {
                    "tool_calls": [
                        {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a":1}'}},
                        {"index": 1, "id": "c2", "function": {"name": "g", "arguments": "{}"}},
                    ]
                }
            ),
        ),
        (  # the id before the name
            call(0, "", id="c1"),
            call(0, '{"a":1}', name="f"),
            call(1, "{}", id="c2", name="g"),
        ),
    ],
)
def test_calls_are_told_apart_in_every_way_that_servers_number_them(
    chunks: tuple[bytes, ...],
) -> None:
    assert parts(*chunks) == (ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "g", "{}"))


@case(26)
def test_a_call_without_an_id_gets_one() -> None:
    assert parts(call(0, "{}", name="f"), call(1, "{}", name="g")) == (
        ToolCall("call_0_chatcmpl-1", "f", "{}"),
        ToolCall("call_1_chatcmpl-1", "g", "{}"),
    )


def test_a_custom_call_takes_free_text() -> None:
    first = {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "sh", "input": "l"}}
    more = {"index": 0, "custom": {"input": "s"}}
    assert parts(chunk({"tool_calls": [first]}), chunk({"tool_calls": [more]})) == (
        ToolCall("c1", "sh", "ls", custom=True),
    )


@case(13)
def test_a_function_call_is_a_tool_call() -> None:
    given = folded(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
        DONE,
    )
    assert (given.parts, given.reason) == ((ToolCall("call_0_chatcmpl-1", "f", "{}"),), "tool_call")


@case(24)
def test_a_call_that_goes_on_after_it_was_passed_on_breaks_the_wire() -> None:
    given = (call(0, "{}", id="c1", name="f"), call(1, "{}", id="c2", name="g"), call(0, "{}"))
    assert failure(ROLE, *given).code == "protocol_violation"


@case(62)
@pytest.mark.parametrize(
    "chunks",
    [
        (chunk({"reasoning_content": "wh"}), chunk({"reasoning_content": "y"}), text("so")),
        (chunk({"reasoning": "wh"}), chunk({"reasoning": "y"}), text("so")),
        (chunk({"reasoning_content": "why", "content": "so"}),),
        (text("<think>why</think>so"),),
        (text("<thin"), text("k>wh"), text("y\n</"), text("think>\n"), text("\nso")),
        (
            chunk(
                {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "why"}]}]}
            ),
            chunk({"content": [{"type": "text", "text": "so"}]}),
        ),
        (
            chunk(
                {
                    "content": [
                        {"type": "thinking", "thinking": "why"},
                        {"type": "text", "text": "so"},
                    ]
                }
            ),
        ),
        (chunk({"reasoning_details": [{"type": "reasoning.text", "text": "why"}]}), text("so")),
    ],
)
def test_reasoning_is_read_wherever_a_server_puts_it(chunks: tuple[bytes, ...]) -> None:
    thought, said = parts(*chunks)
    assert isinstance(thought, Reasoning)
    assert (thought.text, thought.origin, said) == ("why", NAME, Text("so"))


@case(62)
def test_a_tag_is_text_after_reasoning_that_the_server_told() -> None:
    thought, said = parts(chunk({"reasoning_content": "why"}), text("<think>"), text("x"))
    assert (thought, said) == (Reasoning("why", origin=NAME), Text("<think>x"))
    assert parts(text("Use "), text("<think>")) == (Text("Use <think>"),)


@case(62)
@pytest.mark.parametrize(
    ("other", "part"),
    [
        (chunk({"refusal": "no"}), Refusal("no")),
        (call(0, "{}", id="c1", name="f"), ToolCall("c1", "f", "{}")),
        (chunk({"reasoning_content": "why"}), Reasoning("why", origin=NAME)),
    ],
)
def test_what_could_have_been_a_tag_comes_before_what_came_after_it(
    other: bytes, part: Part
) -> None:
    assert parts(text(" <th"), other) == (Text(" <th"), part)


@case(62)
def test_thinking_that_is_never_closed_is_thinking() -> None:
    assert parts(text("<think>wh"), text("y</th")) == (Reasoning("why</th", origin=NAME),)
    assert parts(text("<thin")) == (Text("<thin"),)


def test_reasoning_and_text_may_alternate_in_plain_chunks() -> None:
    both = chunk({"reasoning_content": "c", "content": "d"})
    found = parts(chunk({"reasoning_content": "a"}), text("b"), text("b"), both, text("e"))
    assert found == (
        Reasoning("a", origin=NAME),
        Text("bb"),
        Reasoning("c", origin=NAME),
        Text("de"),
    )


@case(58)
def test_details_of_a_foreign_format_are_kept_as_they_came() -> None:
    details = [{"type": "reasoning.text", "text": "why", "format": "x"}, {"signature": "s"}]
    given = folded(
        *[
            chunk({"reasoning": "why"[n : n + 2], "reasoning_details": [d]})
            for n, d in zip((0, 2), details, strict=True)
        ],
        text("so"),
        STOP,
        DONE,
    )
    assert given.parts[0].text == "why"
    assert given.extra is not None
    kept = given.extra.fields["/choices/0/message/reasoning_details"]
    assert msgspec.json.decode(kept) == details


@case(55, 56, 57)
def test_what_a_gateway_of_our_kind_signed_is_signed() -> None:
    form = {"format": "modelmux/anthropic.messages"}
    signed = {"type": "reasoning.text", "text": "why", "signature": "s", **form}
    hidden = {"type": "reasoning.encrypted", "data": "e", **form}
    found = parts(
        chunk({"reasoning_content": "why"}),
        chunk({"reasoning_details": [signed]}),
        chunk({"reasoning_details": [hidden]}),
        text("so"),
    )
    assert found == (
        Reasoning("why", "s", origin=NAME),
        Reasoning(encrypted="e", origin="anthropic.messages"),
        Text("so"),
    )


@case(76)
def test_a_refusal_is_streamed() -> None:
    assert parts(chunk({"refusal": "no"}), chunk({"refusal": " way"})) == (Refusal("no way"),)


@case(78)
def test_annotations_are_citations() -> None:
    raw = {"type": "url_citation", "url_citation": {"url": "https://a.example"}}
    (said,) = parts(text("so"), chunk({"annotations": [raw]}))
    cited = Citation("https://a.example", wire=NAME, raw=Raw(msgspec.json.encode(raw)))
    assert said == Text("so", (cited,))


@case(71)
def test_a_spoken_answer_is_its_transcript_and_its_sound() -> None:
    said, sound = parts(
        chunk({"audio": {"id": "a1", "transcript": "Ye"}}),
        chunk({"audio": {"data": "AAE="}}),
        chunk({"audio": {"transcript": "s", "data": "AgM="}}),
        chunk({"audio": {"expires_at": 9}}),
    )
    assert isinstance(said, Text)
    assert isinstance(sound, Blob)
    assert (said.text, sound.content) == ("Yes", "AAECAw==")


def test_sound_that_is_none_breaks_the_wire() -> None:
    assert failure(ROLE, chunk({"audio": {"data": "A"}})).code == "protocol_violation"


def test_images_come_whole() -> None:
    images = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": "https://a.example"},
        {"type": "x"},
    ]
    assert parts(chunk({"images": images})) == (
        Blob("image", "image/png", PNG),
        Uri("image", "https://a.example"),
    )
    broken = chunk({"images": [{"image_url": "data:,"}]})
    assert failure(ROLE, broken).code == "protocol_violation"


USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@case(79, 81, 87)
@pytest.mark.parametrize(
    "chunks",
    [
        (STOP, frame({"id": ID, "choices": [], "usage": USAGE})),
        (STOP, frame({"id": ID, "choices": None, "usage": USAGE})),
        (chunk({}, "stop", usage=USAGE),),
        (chunk({}, "stop", x_groq={"id": "r", "usage": USAGE}),),
        (frame({"id": ID, "choices": [{"delta": {}, "finish_reason": "stop", "usage": USAGE}]}),),
        (chunk({"content": "b"}, usage={"prompt_tokens": 1}), chunk({}, "stop", usage=USAGE)),
        (chunk({}, "stop", usage=USAGE), frame({"id": ID, "choices": [], "usage": None})),
        (chunk({}, "stop", usage=USAGE), frame({"id": ID, "choices": [], "usage": {"cost": 0}})),
    ],
)
def test_usage_is_found_wherever_it_comes_and_the_last_counts(chunks: tuple[bytes, ...]) -> None:
    assert folded(text("a"), text("a"), *chunks, DONE).usage == Usage(10, 5)


@case(86)
def test_usage_that_did_not_come_is_not_made_up() -> None:
    assert folded(text("a"), STOP, DONE).usage == NO_USAGE


@case(87)
def test_usage_in_every_chunk_does_not_hide_text() -> None:
    chunks = [chunk({"content": word}, usage=USAGE) for word in "abc"]
    assert folded(*chunks, STOP, DONE).parts == (Text("abc"),)


@case(49)
def test_of_several_choices_the_first_is_followed() -> None:
    def of(index: int, delta: object, finish: str | None = None) -> dict[str, object]:
        return {"index": index, "delta": delta, "finish_reason": finish}

    found = parts(
        frame({"id": ID, "choices": [of(1, {"content": "x"}), of(0, {"content": "a"})]}),
        frame({"id": ID, "choices": [of(1, {"content": "x"}, "length")]}),
        frame({"id": ID, "choices": [of(0, {"content": "b"})]}),
        frame({"id": ID, "choices": [of(1, {"content": "x"})]}),
        frame({"id": ID, "choices": [of(0, {"content": "c"})]}),
    )
    assert found == (Text("abc"),)


def test_azures_first_chunk_begins_nothing() -> None:
    first = frame({"id": "", "model": "", "choices": [], "prompt_filter_results": [1]})
    found = events(first, ROLE, text("a"), STOP, DONE)
    assert found[0] == ev.Start(
        ID, "real", 7, extra=Extra(NAME, {"/prompt_filter_results": Raw(b"[1]")})
    )


def test_fields_without_a_neutral_word_are_kept_once() -> None:
    given = folded(
        chunk({"content": "a"}, provider="X", system_fingerprint="f"),
        chunk({"content": "b"}, provider="X"),
        frame(
            {
                "id": ID,
                "choices": [{"index": 0, "delta": {}, "finish_reason": "eos", "x": 1}],
                "timings": {"ms": 1},
            }
        ),
        DONE,
    )
    assert given.reason == "stop"
    assert given.extra == Extra(
        NAME,
        {
            "/timings": Raw(b'{"ms":1}'),
            "/choices/0/x": Raw(b"1"),
            "/choices/0/finish_reason": Raw(b'"eos"'),
        },
    )


def test_a_servers_own_fields_of_its_first_chunk_are_the_starts() -> None:
    found = events(chunk({"content": "a"}, provider="X"), STOP, DONE)
    assert found[0] == ev.Start(ID, "real", 7, extra=Extra(NAME, {"/provider": Raw(b'"X"')}))


def test_the_probabilities_of_tokens_are_collected() -> None:
    def probable(token: str, **fields: object) -> bytes:
        logprobs = {"content": [{"token": token}], "refusal": None}
        delta = {"delta": {"content": token}, "logprobs": logprobs, "finish_reason": None}
        return frame({"id": ID, "choices": [{**delta, **fields}]})

    odd = frame({"id": ID, "choices": [{"delta": {}, "logprobs": 5}]})
    given = folded(probable("a"), odd, probable("b", finish_reason="stop"), DONE)
    assert given.parts == (Text("ab"),)
    assert given.extra is not None
    kept = msgspec.json.decode(given.extra.fields["/choices/0/logprobs"])
    assert kept == {"content": [{"token": "a"}, {"token": "b"}], "refusal": None}


@case(48)
def test_the_stop_string_that_vllm_met_is_read() -> None:
    met = {"delta": {}, "finish_reason": "stop", "stop_reason": "###"}
    assert folded(text("a"), frame({"id": ID, "choices": [met]}), DONE).stop_sequence == "###"


def test_a_stream_of_a_reason_alone_is_an_empty_answer() -> None:
    found = events(frame({"choices": [{"delta": {}, "finish_reason": "stop"}]}))
    assert found == [ev.Start("", ""), ev.Finish("stop")]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_noise_never_raises_and_keeps_the_grammar(noise: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(noise), *(min(cut, len(noise)) for cut in cuts)})
    pieces = [noise[a:b] for a, b in pairwise(places)]
    events(*pieces)
    events(ROLE, text("a"), *pieces)


@given(st.sampled_from(MINE), st.data())
def test_a_mutated_golden_never_raises_and_keeps_the_grammar(
    golden: Golden, data: st.DataObject
) -> None:
    stream = bytearray(golden.read())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(stream) - 1))
        stream[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    events(bytes(stream))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "content",
                    "tool_calls",
                    "function",
                    "arguments",
                    "index",
                    "id",
                    "usage",
                    "error",
                    "finish_reason",
                    "audio",
                    "data",
                    "images",
                    "reasoning_details",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_any_json_never_raises_and_keeps_the_grammar(values: list[object]) -> None:
    events(*[frame(value) for value in values], DONE)
