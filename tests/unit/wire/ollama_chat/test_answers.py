import pytest

from modelmux.ir.response import Usage
from modelmux.wire.ollama_chat import answers, schema
from tests.support.cases import case


@case(73, 74)
def test_reasons_have_their_words() -> None:
    assert answers.reason("stop", called=False) == "stop"
    assert answers.reason("stop", called=True) == "tool_call"
    assert answers.reason("length", called=True) == "length"
    assert answers.reason("load", called=False) == "stop"
    assert answers.said_reason("length") == "length"
    assert answers.said_reason("tool_call") == "stop"
    assert answers.said_reason("content_filter") == "stop"


@pytest.mark.parametrize("text", ["2025-10-17T23:14:07.414671Z", "2025-10-17T23:14:07.414671999Z"])
def test_times_are_read_to_the_second(text: str) -> None:
    assert answers.created_at(answers.created_at_s(text)) == "2025-10-17T23:14:07Z"


def test_times_that_cannot_be_are_none() -> None:
    assert answers.created_at_s("yesterday") == 0
    assert answers.created_at(10**30) == "1970-01-01T00:00:00Z"


@case(86)
def test_counts_that_are_missing_stay_so() -> None:
    assert answers.usage(None, 3) == Usage(0, 3)
    kept = answers.kept(schema.Counts(done_reason="load"), {}, "ollama.chat")
    assert kept is not None
    assert set(kept.fields) == {"/done_reason", "/prompt_eval_count", "/eval_count"}
    assert (
        answers.kept(schema.Counts(done_reason="stop", prompt_eval_count=1, eval_count=1), {}, "x")
        is None
    )


def test_the_last_line_says_how_it_ended() -> None:
    assert answers.ending("length", Usage(1, 2)) == {
        "done": True,
        "done_reason": "length",
        "prompt_eval_count": 1,
        "eval_count": 2,
    }
