import msgspec
import pytest
from msgspec.structs import replace

from modelmux.ir.request import Envelope
from modelmux.ir.response import Failure, Summary, Usage
from modelmux.wire.framing.relay import Relay
from modelmux.wire.openai.chunks import INTERRUPTED
from modelmux.wire.openai.relay import Watch
from modelmux.wire.openai_chat import WIRE
from tests.support.cases import case
from tests.unit.wire.openai_chat.chat import DONE, ID, call, chunk, frame, frames, text

ASKED = Envelope("asked", stream=True)
SILENT = replace(ASKED, include_usage=False)
ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, "stop")
COUNTS = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
USAGE = frame({"id": ID, "model": "real", "choices": [], "usage": COUNTS})


def relay(envelope: Envelope = ASKED, rename: str | None = None) -> Relay:
    return WIRE.relay(envelope, rename)


def passed(*chunks: bytes, envelope: Envelope = ASKED, rename: str | None = None) -> bytes:
    line = relay(envelope, rename)
    return b"".join([line.feed(data) for data in chunks]) + line.finish()


def summary(*chunks: bytes, envelope: Envelope = ASKED) -> Summary:
    line = relay(envelope)
    for data in chunks:
        line.feed(data)
    line.finish()
    return line.summary


def test_a_stream_is_passed_on_as_it_came() -> None:
    stream = b": hi\n\n" + ROLE + text("a") + STOP + USAGE + DONE
    assert passed(stream) == stream
    assert passed(*[stream[n : n + 7] for n in range(0, len(stream), 7)]) == stream


def test_what_the_gateway_needs_to_know_is_found_in_passing() -> None:
    assert summary(ROLE, text("a"), STOP, USAGE, DONE) == Summary(Usage(10, 5), "stop")


@case(87)
@pytest.mark.parametrize(
    "last",
    [
        chunk({}, "stop", usage=COUNTS),
        chunk({}, "stop", usage={"prompt_tokens": 1}) + USAGE,
        chunk({}, "stop", x_groq={"usage": COUNTS}),
        frame({"id": ID, "choices": [{"delta": {}, "finish_reason": "stop", "usage": COUNTS}]}),
        USAGE + chunk({}, "stop", usage={"cost": 0}),
    ],
)
def test_usage_is_found_wherever_it_comes_and_the_last_counts(last: bytes) -> None:
    for envelope in (ASKED, SILENT):
        assert summary(ROLE, last, DONE, envelope=envelope).usage == Usage(10, 5)


@case(79)
def test_the_chunk_of_usage_is_left_out_where_nobody_asked() -> None:
    assert passed(ROLE, STOP, USAGE, DONE, envelope=SILENT) == ROLE + STOP + DONE
    spaced = USAGE.replace(b":", b" : ").replace(b"data : ", b"data: ")
    assert passed(ROLE, STOP + spaced + DONE, envelope=SILENT) == ROLE + STOP + DONE


@case(79, 87)
@pytest.mark.parametrize(
    "kept",
    [
        chunk({"content": "a"}, usage=COUNTS),
        frame({"id": "", "model": "", "choices": [], "prompt_filter_results": []}),
        frame({"id": "", "choices": [], "prompt_filter_results": [], "usage": COUNTS}),
        frame({"id": ID, "choices": [], "usage": None}),
        frame({"id": ID, "choices": [], "usage": {"cost": 0}}),
    ],
)
def test_a_chunk_that_holds_more_than_usage_is_passed_on(kept: bytes) -> None:
    assert passed(kept, ROLE, STOP, DONE, envelope=SILENT) == kept + ROLE + STOP + DONE


@case(108)
def test_the_model_is_renamed_in_every_chunk() -> None:
    out = passed(ROLE, text("a") + text('"model":"real"'), STOP, USAGE, DONE, rename="a/b")
    models = [f["model"] for f in frames(out) if isinstance(f, dict)]
    assert models == ["a/b"] * 5
    assert frames(out)[2]["choices"][0]["delta"]["content"] == '"model":"real"'
    restored = out.replace(b'"model":"a/b"', b'"model":"real"')
    assert restored == ROLE + text("a") + text('"model":"real"') + STOP + USAGE + DONE


@case(108)
def test_the_model_is_renamed_however_it_is_written() -> None:
    odd = b'data: {"x":{"model":"\xff"},"model" : "re\\u0061l","choices":[{"delta":{}}]}\n\n'
    out = passed(odd, odd, rename="asked")
    assert out.startswith(odd.replace(b'"model" : "re\\u0061l"', b'"model":"asked"') * 2)


@case(108)
def test_the_model_is_learnt_from_the_chunk_that_says_it() -> None:
    azure = frame({"id": "", "model": "", "choices": [], "prompt_filter_results": []})
    assert passed(azure, ROLE, rename="asked").startswith(azure + ROLE.replace(b"real", b"asked"))
    nameless = frame({"id": ID, "choices": [{"delta": {"content": "a"}}]})
    assert passed(nameless, ROLE, rename="asked").startswith(nameless + ROLE)


@case(91)
def test_a_stream_that_is_finished_but_not_done_is_done() -> None:
    assert passed(ROLE, STOP) == ROLE + STOP + DONE
    assert passed(ROLE, STOP, USAGE, envelope=SILENT) == ROLE + STOP + DONE
    assert summary(ROLE, STOP).failure is None


@case(91)
def test_a_stream_that_is_done_without_a_reason_has_stopped() -> None:
    assert summary(ROLE, text("a"), DONE) == Summary(None, "stop")


@case(92, 93)
@pytest.mark.parametrize("chunks", [(), (ROLE,), (ROLE, text("a"), STOP[:-30])])
def test_a_stream_that_was_cut_ends_in_an_error(chunks: tuple[bytes, ...]) -> None:
    out = passed(*chunks)
    last = frames(out)[-1]
    assert last["error"]["code"] == "interrupted"
    assert DONE not in out
    assert summary(*chunks).failure == INTERRUPTED


@case(49, 93)
def test_several_answers_are_finished_when_all_of_them_are() -> None:
    def ends(index: int) -> bytes:
        return frame(
            {"id": ID, "choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]}
        )

    two = replace(ASKED, choices=2)
    assert passed(ROLE, ends(1), envelope=two).endswith(b"\n\n")
    assert summary(ROLE, ends(1), envelope=two).failure == INTERRUPTED
    assert passed(ROLE, ends(1), ends(0), envelope=two).endswith(DONE)


def test_the_reason_is_the_first_answers() -> None:
    both = [{"index": 1, "delta": {}, "finish_reason": "length"}]
    first = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    given = frame({"choices": both}), frame({"choices": first}), frame({"choices": both})
    assert summary(*given, DONE).reason == "stop"


@case(92)
@pytest.mark.parametrize(
    "broken",
    [
        frame({"error": {"message": "busy", "code": 503}}),
        frame({"choices": [{"index": 0, "delta": {}, "error": {"message": "busy", "code": 503}}]}),
        frame({"object": "error", "message": "busy", "code": 503}),
    ],
)
def test_the_targets_own_error_is_passed_on_and_noted(broken: bytes) -> None:
    out = passed(ROLE, broken)
    assert out == ROLE + broken
    failure = summary(ROLE, broken).failure
    assert failure is not None
    assert (failure.kind, failure.message) == ("overloaded", "busy")


@case(92)
def test_a_connection_that_breaks_ends_the_stream_in_an_error() -> None:
    line = relay()
    line.feed(ROLE)
    failure = Failure("timeout", "too slow", "timeout", status=504)
    assert frames(line.fail(failure))[0]["error"]["message"] == "too slow"
    assert line.summary.failure == failure
    assert line.finish() == b""


def test_a_connection_that_breaks_after_the_end_is_no_failure() -> None:
    line = relay()
    line.feed(ROLE + STOP + DONE)
    assert line.fail(INTERRUPTED) == b""
    assert line.summary.failure is None


def test_a_frame_that_is_no_json_is_the_callers_to_read() -> None:
    odd = b'data: {"usage": nonsense\n\n'
    assert passed(ROLE, odd, STOP, DONE) == ROLE + odd + STOP + DONE


def test_ordinary_chunks_are_not_even_looked_at() -> None:
    watch = Watch(ASKED, "asked")
    assert watch.concerns(ROLE)
    relay_like = Relay(watch)
    relay_like.feed(ROLE)
    nulls = chunk({"content": 'say "usage" and "finish_reason"'}, usage=None)
    for quiet in (text("a"), nulls, nulls * 3, call(0, '{"error":1}', id="c", name="f")):
        assert not watch.concerns(quiet)
    for loud in (STOP, USAGE, DONE, text("a") + STOP, frame({"error": {}})):
        assert watch.concerns(loud)
    spaced = msgspec.json.format(text("a")[6:].strip(), indent=1).replace(b"\n", b" ")
    assert watch.concerns(b"data: " + spaced + b"\n\n")  # errs towards yes
