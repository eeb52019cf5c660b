import http.client

import anthropic
import msgspec
import openai
import pytest

from tests.support import plain
from tests.support.aimock import Aimock, fixture


def ask(aimock: Aimock, path: str, text: str, **more: object) -> plain.Answer:
    messages = [{"role": "user", "content": text}]
    body = {"model": "m", "max_tokens": 9, "messages": messages, **more}
    return plain.post(aimock.base_url, path, body)


def test_one_fixture_answers_openai_and_anthropic(aimock: Aimock):
    aimock.add(fixture("hello", {"content": "Hi there!"}))
    with openai.OpenAI(base_url=aimock.openai_url, api_key="k") as client:
        chat = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hello"}]
        )
    with anthropic.Anthropic(base_url=aimock.base_url, api_key="k") as client:
        message = client.messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "hello"}]
        )
    assert chat.choices[0].message.content == "Hi there!"
    assert message.content[0].type == "text"
    assert message.content[0].text == "Hi there!"


def test_the_first_fixture_that_matches_answers(aimock: Aimock):
    aimock.add(
        fixture("hello", {"content": "first"}, match={"model": "other"}),
        fixture("hello", {"content": "second"}),
        fixture("", {"content": "last"}),
    )
    assert b"second" in ask(aimock, "/v1/chat/completions", "hello").body
    assert b"last" in ask(aimock, "/v1/chat/completions", "anything").body


def test_a_request_without_fixture_is_an_error(aimock: Aimock):
    assert ask(aimock, "/v1/chat/completions", "hello").status == 503


def test_the_next_request_can_be_made_to_fail_once(aimock: Aimock):
    aimock.add(fixture("", {"content": "Hi"}))
    aimock.fail_next(529, "busy", type="overloaded_error")
    failed = ask(aimock, "/v1/messages", "hello")
    assert failed.status == 529
    assert failed.json() == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "busy"},
    }
    assert ask(aimock, "/v1/messages", "hello").status == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_stream_can_be_cut(aimock: Aimock, path: str):
    aimock.add(fixture("", {"content": "a" * 50}, chunkSize=5, truncateAfterChunks=4, latency=2))
    with pytest.raises(http.client.IncompleteRead) as cut:
        ask(aimock, path, "hello", stream=True)
    assert cut.value.partial.startswith((b"data: ", b"event: message_start\n"))


def test_the_journal_has_what_was_asked_and_answered(aimock: Aimock):
    aimock.add(fixture("", {"content": "Hi"}))
    ask(aimock, "/v1/messages", "one")
    ask(aimock, "/v1/chat/completions", "two")
    entries = aimock.journal()
    assert [entry.path for entry in entries] == ["/v1/messages", "/v1/chat/completions"]
    assert [entry.response.status for entry in entries] == [200, 200]
    asked = msgspec.json.decode(entries[1].body)
    assert asked["messages"] == [{"role": "user", "content": "two"}]
    assert len(aimock.journal(path="messages")) == 1


def test_a_reset_forgets_fixtures_and_journal(aimock: Aimock):
    aimock.add(fixture("", {"content": "Hi"}))
    ask(aimock, "/v1/messages", "one")
    aimock.reset()
    assert aimock.journal() == []
    assert ask(aimock, "/v1/messages", "one").status == 503
