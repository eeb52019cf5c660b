import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from modelmux.errors import Unreachable
from modelmux.layer import semantic as module
from modelmux.layer.semantic import MAX_TEXT_CHARS, Semantic
from modelmux.store.vectors import Vectors
from modelmux.target.call import Call
from modelmux.wire import openai_chat

WIRE = openai_chat.WIRE
WORDS: dict[str, list[float]] = {
    "how far is the moon": [1.0, 0.0],
    "what is the distance of the moon": [0.99, 0.1],
    "how far is the sun": [0.7, 0.7],
}


class Embedder:
    name = "p/embed"

    def __init__(self, *, error: Exception | None = None, hangs: bool = False) -> None:
        self.asked: list[str] = []
        self._error = error
        self._hangs = hangs

    async def embed(self, text: str, call: Call) -> Sequence[float]:
        self.asked.append(text)
        if self._error is not None:
            raise self._error
        if self._hangs:
            await asyncio.get_running_loop().create_future()
        return WORDS[text]


def call(*texts: str, **more: object) -> Call:
    messages = [
        {"role": "user" if number % 2 == 0 else "assistant", "content": text}
        for number, text in enumerate(texts)
    ]
    body = msgspec.json.encode({"model": "m", "messages": messages, **more})
    return Call(WIRE, body, WIRE.envelope(body))


def near(semantic: Semantic, asked: Call, scope: Sequence[str] = ("s",)) -> str | None:
    async def run() -> str | None:
        question = await semantic.question(asked, scope)
        assert question is not None
        found = semantic.nearest(question)
        return found.key if found is not None else None

    return asyncio.run(run())


def filled(*asked: Call) -> Semantic:
    """What remembers these questions under their numbers."""
    semantic = Semantic(Embedder(), Vectors(100), 0.95)

    async def run() -> None:
        for number, each in enumerate(asked):
            question = await semantic.question(each, ("s",))
            assert question is not None
            semantic.add(question, f"{number}")

    asyncio.run(run())
    return semantic


def test_a_question_in_other_words_is_found_and_another_one_is_not():
    semantic = filled(call("how far is the moon"))
    assert near(semantic, call("what is the distance of the moon")) == "0"
    assert near(semantic, call("how far is the sun")) is None


@pytest.mark.parametrize(
    "other",
    [
        call("what is the distance of the moon", temperature=1),
        call("what is the distance of the moon", max_tokens=5),
        call("hello", "hi", "what is the distance of the moon"),
    ],
)
def test_everything_but_the_last_words_has_to_be_the_same(other: Call):
    assert near(filled(call("how far is the moon")), other) is None


def test_the_scope_has_to_be_the_same():
    semantic = filled(call("how far is the moon"))
    assert near(semantic, call("what is the distance of the moon"), ("t",)) is None


def test_the_same_conversation_before_it_is_no_hindrance():
    semantic = filled(call("hello", "hi", "how far is the moon"))
    assert near(semantic, call("hello", "hi", "what is the distance of the moon")) == "0"


@pytest.mark.parametrize("texts", [("hello", "hi"), ("",), ("x" * (MAX_TEXT_CHARS + 1),)])
def test_what_is_no_question_is_not_compared(texts: tuple[str, ...]):
    embedder = Embedder()
    semantic = Semantic(embedder, Vectors(100), 0.95)
    assert asyncio.run(semantic.question(call(*texts), ())) is None
    assert embedder.asked == []


def test_a_vector_that_cannot_be_had_is_no_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.01)
    for embedder in (Embedder(error=Unreachable("down")), Embedder(hangs=True)):
        semantic = Semantic(embedder, Vectors(100), 0.95)
        assert asyncio.run(semantic.question(call("how far is the moon"), ())) is None
        assert semantic.errors == 1


def test_what_was_found_outlives_a_reload_unless_vectors_are_made_otherwise():
    earlier = filled(call("how far is the moon"))
    later = Semantic(Embedder(), Vectors(100), 0.95)
    later.inherit(earlier)
    assert near(later, call("what is the distance of the moon")) == "0"
    other = Embedder()
    other.name = "p/another"
    fresh = Semantic(other, Vectors(100), 0.95)
    fresh.inherit(earlier)
    assert near(fresh, call("what is the distance of the moon")) is None
