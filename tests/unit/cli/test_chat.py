import io
import sys

import msgspec
import pytest

from modelmux.cli.chat import choose, deltas, question
from modelmux.cli.failure import CommandFailed, Misused
from tests.unit.cli.conftest import Cli, FakeBuilt, FakeModel, running


def frame(value: object) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def text(content: str) -> bytes:
    return frame({"choices": [{"index": 0, "delta": {"content": content}}]})


END = b"data: [DONE]\n\n"
ROLE = frame({"choices": [{"delta": {"role": "assistant", "content": None}}]})
USAGE = frame({"choices": [], "usage": {"total_tokens": 3}})


class Keyboard(io.StringIO):
    """Standard input that is a terminal, or is not."""

    def __init__(self, content: str = "", *, is_terminal: bool = False) -> None:
        super().__init__(content)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def test_a_running_gateway_answers_piece_by_piece(cli: Cli):
    with running() as gateway:
        gateway.says(
            "/v1/chat/completions", ROLE + text("Hol") + b": ping\n\n" + text("lo") + USAGE + END
        )
        ran = cli("chat", "-m", "fast", "what", "is", "it?")
        assert (ran.code, ran.out) == (0, "Hollo\n")
        assert msgspec.json.decode(gateway.bodies[-1]) == {
            "model": "fast",
            "messages": [{"role": "user", "content": "what is it?"}],
            "stream": True,
        }


def test_an_answer_that_ends_its_line_gets_no_other(cli: Cli):
    with running() as gateway:
        gateway.says("/v1/chat/completions", text("Hollo\n") + END)
        assert cli("chat", "-m", "m", "p").out == "Hollo\n"


def test_a_running_gateway_is_asked_for_a_model_if_none_is_named(cli: Cli):
    with running() as gateway:
        gateway.says("/v1/models", {"data": [{"id": "modelmux/echo"}, {"id": "fast"}]})
        gateway.says("/v1/chat/completions", text("x") + END)
        assert cli("chat", "p", "--json").json() == {"model": "fast", "text": "x"}


def test_of_several_gateways_one_has_to_be_chosen(cli: Cli):
    with running(1), running(2) as two:
        two.says("/v1/chat/completions", text("x") + END)
        assert cli("chat", "-m", "m", "p").code == 2
        assert cli("chat", "-m", "m", "--control", str(two.socket), "p").out == "x\n"


def test_without_a_gateway_this_process_answers(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    gateway = FakeBuilt([FakeModel("modelmux/echo"), FakeModel("fast")], texts=["Hol", "lo"])
    gateway.built_by(monkeypatch)
    assert cli("chat", "hi").out == "Hollo\n"
    assert gateway.asked == [("fast", "hi")]
    assert gateway.closed


def test_the_configured_default_is_asked_before_any_other(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
):
    gateway = FakeBuilt([FakeModel("fast")], texts=["x"]).built_by(monkeypatch)
    cli.project("[routing]\ndefault = 'modelmux/echo'")
    cli("chat", "hi")
    assert gateway.asked == [("modelmux/echo", "hi")]


def test_a_configuration_that_is_named_is_used_here(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    gateway = FakeBuilt([FakeModel("fast")], texts=["x"]).built_by(monkeypatch)
    (cli.folder / "c.toml").write_text("")
    with running() as other:
        cli("chat", "-c", "c.toml", "hi")
        assert other.asked == []
    assert gateway.asked == [("fast", "hi")]


def test_a_stream_that_fails_is_a_failure(cli: Cli):
    with running() as gateway:
        gateway.says("/v1/chat/completions", text("Hol") + frame({"error": {"message": "cut"}}))
        ran = cli("chat", "-m", "m", "p")
    assert ran.code == 1
    assert "modelmux: cut\n" in ran.err


@pytest.mark.parametrize(
    ("chunks", "words"),
    [
        ([text("a")], "ended before it was finished"),
        ([frame([])], "not a chat completion"),
        ([frame({"error": {}})], "broke off"),
    ],
)
def test_a_broken_stream_is_a_failure(chunks: list[bytes], words: str):
    with pytest.raises(CommandFailed, match=words):
        list(deltas(chunks))


def test_any_cut_of_the_bytes_gives_the_same_text():
    whole = ROLE + text("é") + text("b") + END
    assert list(deltas(bytes([byte]) for byte in whole)) == ["é", "b"]


def test_a_question_is_the_arguments_or_stdin(monkeypatch: pytest.MonkeyPatch):
    assert question(("a", "b")) == "a b"
    for words in ((), ("-",)):
        monkeypatch.setattr(sys, "stdin", Keyboard("from stdin\n"))
        assert question(words) == "from stdin\n"


def test_no_question_is_wrong_usage(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", Keyboard(is_terminal=True))
    with pytest.raises(Misused, match=r"expected a question$"):
        question(())
    monkeypatch.setattr(sys, "stdin", Keyboard(" \n"))
    with pytest.raises(Misused, match="which was empty"):
        question(())


def test_the_echo_is_chosen_only_if_there_is_nothing_else():
    assert choose(["modelmux/echo", "a", "b"]) == "a"
    assert choose(["modelmux/echo"]) == choose([]) == "modelmux/echo"
