from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import answer, fixture
from bench.answer import WrongAnswer
from bench.fixture import Ask, Stream, WireName

WIRES: list[WireName] = ["openai", "anthropic"]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("answers")
    fixture.write_answers(folder)
    return folder


def whole(answers: Path, wire: WireName, part: str = "whole") -> bytes:
    return (answers / f"{wire}.{part}").read_bytes().partition(b"\r\n\r\n")[2]


def stream(answers: Path, wire: WireName, chunks: int) -> bytes:
    start, content, end = (
        (answers / f"{wire}.stream_{part}").read_bytes() for part in ("start", "content", "end")
    )
    frames = content.split(b"\n\n")[:-1]
    return start + b"".join(frames[i % len(frames)] + b"\n\n" for i in range(chunks)) + end


@pytest.mark.parametrize("wire", WIRES)
def test_what_the_mock_upstream_says_is_right(answers: Path, wire: WireName):
    ask = Ask(wire, "m")
    answer.check(ask, whole(answers, wire))
    for chunks in (1, 100, 230):
        answer.check(replace(ask, stream=Stream(chunks)), stream(answers, wire, chunks))


@pytest.mark.parametrize("wire", WIRES)
def test_another_text_is_wrong(answers: Path, wire: WireName):
    with pytest.raises(WrongAnswer, match="the text is"):
        answer.check(Ask(wire, "m"), whole(answers, wire, "swapped"))


@pytest.mark.parametrize("wire", WIRES)
def test_a_lost_chunk_is_wrong(answers: Path, wire: WireName):
    with pytest.raises(WrongAnswer, match="the text is"):
        answer.check(Ask(wire, "m", Stream(50)), stream(answers, wire, 49))


@pytest.mark.parametrize("wire", WIRES)
def test_a_cut_stream_is_wrong(answers: Path, wire: WireName):
    body = stream(answers, wire, 50)
    for length in (len(body) - 1, len(body) - 20, len(body) // 2):
        with pytest.raises(WrongAnswer, match="cannot be read"):
            answer.check(Ask(wire, "m", Stream(50)), body[:length])


@pytest.mark.parametrize("wire", WIRES)
def test_another_usage_is_wrong(answers: Path, wire: WireName):
    for ask, body in (
        (Ask(wire, "m"), whole(answers, wire)),
        (Ask(wire, "m", Stream(3)), stream(answers, wire, 3)),
    ):
        changed = body.replace(b"117", b"118")
        assert changed != body
        with pytest.raises(WrongAnswer, match="ending and usage"):
            answer.check(ask, changed)


def test_a_usage_that_comes_twice_is_wrong(answers: Path):
    body = stream(answers, "openai", 3)
    usage = body.split(b"\n\n")[-3] + b"\n\n"
    assert b"completion_tokens" in usage
    with pytest.raises(WrongAnswer, match="2 usages"):
        answer.check(Ask("openai", "m", Stream(3)), body.replace(usage, usage * 2))
