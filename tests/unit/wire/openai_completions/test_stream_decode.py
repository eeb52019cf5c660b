import pytest

from modelmux.ir import events as ev
from modelmux.ir.parts import Text
from modelmux.ir.response import Usage
from modelmux.wire.openai.chunks import INTERRUPTED
from tests.support.cases import case
from tests.unit.wire.openai_completions.bodies import DONE, chunk, decoded


def test_a_text_comes_in_pieces():
    counts = {"prompt_tokens": 3, "completion_tokens": 2}
    found = decoded(
        chunk("a"), chunk("b"), chunk("", "stop"), chunk(usage=counts, choices=[]), DONE
    )
    assert found == [
        ev.Start("cmpl-1", "real", 7),
        ev.PartStart(0, Text()),
        ev.PartDelta(0, "a"),
        ev.PartDelta(0, "b"),
        ev.PartEnd(0),
        ev.Finish("stop", Usage(3, 2), extra=found[-1].extra),
    ]


def test_of_several_answers_the_first_is_followed():
    found = decoded(chunk("a"), chunk("x", index=1), chunk("", "length"), DONE)
    assert ev.fold(found).parts == (Text("a"),)
    assert ev.fold(found).reason == "length"


@case(91)
def test_the_terminator_may_be_missing():
    assert decoded(chunk("a"), chunk("", "stop")) == decoded(chunk("a"), chunk("", "stop"), DONE)


@case(92, 93)
@pytest.mark.parametrize("frames", [(), (chunk("a"),), (DONE,), (chunk("a"), chunk("b")[:-9])])
def test_a_stream_that_was_cut_fails(frames: tuple[bytes, ...]):
    assert decoded(*frames)[-1] == ev.Fail(INTERRUPTED)


@case(92)
@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (b'data: {"error":{"message":"boom","code":"c"}}\n\n', "c"),
        (chunk("", "error"), "error"),
        (b"data: {\n\n", "protocol_violation"),
        (b'data: {"choices":5}\n\n', "protocol_violation"),
    ],
)
def test_an_error_ends_the_stream(ending: bytes, code: str):
    last = decoded(chunk("a"), ending, DONE)[-1]
    assert isinstance(last, ev.Fail)
    assert last.failure.code == code


@case(95)
def test_comments_are_signs_of_life():
    assert decoded(b": hi\n\n", chunk("", "stop"))[0] == ev.Ping()
