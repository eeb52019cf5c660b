"""What OpenAI's Responses keeps, where it is kept, and for whom."""

from collections.abc import Generator
from dataclasses import dataclass

import msgspec
import pytest

from tests.support import gateway, http1, plain, stage
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC
from tests.support.gateway import Gateway
from tests.support.stage import Stage

A, B = "sk-caller-a-0001", "sk-caller-b-0002"

CONFIG = """
[server]
log_format = "json"
enable_retries = false

[database]
url = "sqlite://{path}/kept.db"

[[keys]]
name = "a"
secret = "sk-caller-a-0001"

[[keys]]
name = "b"
secret = "sk-caller-b-0002"

[[providers]]
name = "openai"
type = "openai"
base_url = "{openai}"
api_key = "sk-upstream-openai-0"

[[providers]]
name = "anthropic"
type = "anthropic"
base_url = "{anthropic}"
api_key = "sk-upstream-anthropic-0"
"""

CLAUDE = "anthropic/claude-haiku-4-5"
GPT = "openai/gpt-4.1"


@dataclass(frozen=True)
class Place:
    gateway: Gateway
    openai: Stage
    anthropic: Stage

    def ask(self, key: str = A, model: str = CLAUDE, **fields: object) -> plain.Answer:
        body = {"model": model, "input": "hello", **fields}
        headers = {"authorization": f"Bearer {key}"}
        return plain.post(self.gateway.base_url, "/v1/responses", body, headers)

    def fetch(self, path: str, key: str = A, method: str = "GET") -> plain.Answer:
        headers = {"authorization": f"Bearer {key}"}
        return plain.request(
            self.gateway.base_url, method, f"/v1/responses/{path}", headers=headers
        )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place, None, None]:
    folder = tmp_path_factory.mktemp("kept")
    with stage.running() as openai, stage.running() as anthropic:
        config = CONFIG.format(path=folder, openai=openai.base_url, anthropic=anthropic.base_url)
        with gateway.running(config, folder) as made:
            yield Place(made, openai, anthropic)


@pytest.fixture
def place(running: Place) -> Place:
    running.anthropic.play([http1.answer(200, ANTHROPIC.answer(text="Hi."))])
    running.openai.play()
    return running


def value(answer: plain.Answer) -> dict[str, object]:
    assert answer.status == 200, answer.body
    return msgspec.json.decode(answer.body)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_kept_and_gone_on_with(place: Place, stream: bool):
    if stream:
        place.anthropic.play(
            http1.stream(*ANTHROPIC.frames(words=("H", "i."))),
            [http1.answer(200, ANTHROPIC.answer(text="Yes."))],
        )
        told = place.ask(stream=True, instructions="Be brief.").body
        last = told.split(b"data: ")[-1]
        first = msgspec.json.decode(last)["response"]
    else:
        first = value(place.ask(instructions="Be brief."))
    assert place.fetch(first["id"]).status == 200
    assert value(place.fetch(first["id"])) == first
    again = value(place.ask(input="And?", previous_response_id=first["id"]))
    assert again["previous_response_id"] == first["id"]
    sent = place.anthropic.requests[-1].json()
    texts = [(turn["role"], turn["content"]) for turn in sent["messages"]]
    assert [role for role, _ in texts] == ["user", "assistant", "user"]
    assert texts[0][1] == "hello"
    assert texts[2][1] == "And?"
    assert "system" not in sent  # instructions are not carried over


def test_a_conversation_goes_on_and_on(place: Place):
    previous = value(place.ask())["id"]
    for number in range(3):
        previous = value(place.ask(input=f"{number}?", previous_response_id=previous))["id"]
    said = [turn["content"] for turn in place.anthropic.requests[-1].json()["messages"]]
    assert said[0] == "hello"
    assert said[-1] == "2?"
    assert len(said) == 7


def test_what_was_answered_by_one_provider_is_gone_on_with_by_another(place: Place):
    first = value(place.ask())["id"]
    answer = {"id": "resp_native1", "object": "response", "status": "completed", "output": []}
    place.openai.play([http1.answer(200, {**answer, "created_at": 1, "model": "m"})])
    second = value(place.ask(model=GPT, input="And?", previous_response_id=first))
    assert second["id"] == "resp_native1"
    sent = place.openai.request.json()
    assert "previous_response_id" not in sent
    assert [item["role"] for item in sent["input"]] == ["user", "assistant", "user"]


def test_what_the_provider_keeps_it_goes_on_with_itself(place: Place):
    answer = {"id": "resp_native2", "object": "response", "status": "completed", "output": []}
    place.openai.play([http1.answer(200, {**answer, "created_at": 1, "model": "m"})])
    value(place.ask(model=GPT))
    value(place.ask(model=GPT, input="And?", previous_response_id="resp_native2"))
    assert place.openai.requests[-1].json()["previous_response_id"] == "resp_native2"
    elsewhere = place.ask(previous_response_id="resp_native2")
    assert elsewhere.status == 400
    error = msgspec.json.decode(elsewhere.body)["error"]
    assert (error["code"], error["param"]) == (
        "previous_response_not_found",
        "previous_response_id",
    )


def test_what_the_provider_keeps_is_asked_of_it(place: Place):
    native = {"id": "resp_native3", "object": "response", "status": "completed", "output": []}
    answer = {**native, "created_at": 1, "model": "m"}
    place.openai.play([http1.answer(200, answer)])
    value(place.ask(model=GPT))
    assert place.fetch("resp_native3", key=B).status == 404
    assert value(place.fetch("resp_native3?include=x")) == answer
    place.fetch("resp_native3/cancel", method="POST")
    place.fetch("resp_native3", method="DELETE")
    asked = [(request.method, request.target) for request in place.openai.requests[1:]]
    assert asked == [
        ("GET", "/v1/responses/resp_native3?include=x"),
        ("POST", "/v1/responses/resp_native3/cancel"),
        ("DELETE", "/v1/responses/resp_native3"),
    ]
    assert place.fetch("resp_native3").status == 404


def test_nobody_gets_what_is_anothers(place: Place):
    first = value(place.ask())["id"]
    assert place.fetch(first, key=B).status == 404
    assert place.fetch(first, key=B, method="DELETE").status == 404
    assert place.ask(key=B, previous_response_id=first).status == 400
    assert place.fetch(first, key="sk-nobody").status == 401
    assert place.fetch(first).status == 200


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_not_to_be_kept_is_not(place: Place, stream: bool):
    if stream:
        place.anthropic.play(http1.stream(*ANTHROPIC.frames()))
    body = place.ask(store=False, stream=stream).body
    id_ = body.partition(b'"id":"resp_')[2].partition(b'"')[0].decode()
    assert place.fetch(f"resp_{id_}").status == 404


def test_what_is_deleted_is_gone(place: Place):
    first = value(place.ask())["id"]
    gone = value(place.fetch(first, method="DELETE"))
    assert gone == {"id": first, "object": "response", "deleted": True}
    assert place.fetch(first).status == 404
    assert place.ask(previous_response_id=first).status == 400


def test_what_an_answer_was_made_of_is_listed(place: Place):
    first = value(place.ask())["id"]
    items = [
        {"role": "user", "content": "b"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "c"}]},
    ]
    second = value(place.ask(input=items, previous_response_id=first))["id"]
    page = value(place.fetch(f"{second}/input_items?order=asc"))
    assert [item["role"] for item in page["data"]] == ["user", "assistant", "user", "user"]
    assert page["data"][0]["content"] == [{"type": "input_text", "text": "hello"}]
    assert page["has_more"] is False
    newest = value(place.fetch(f"{second}/input_items?limit=1"))
    assert newest["data"][0]["content"][0]["text"] == "c"
    assert newest["has_more"] is True
    rest = value(place.fetch(f"{second}/input_items?after={newest['last_id']}"))
    assert len(rest["data"]) == 3
    assert place.fetch(f"{second}/input_items?limit=0").status == 400
    assert place.fetch(f"{second}/input_items?after=x").status == 400


def test_only_what_is_made_in_the_background_is_cancelled_or_streamed_again(place: Place):
    first = value(place.ask())["id"]
    assert place.fetch(f"{first}/cancel", method="POST").status == 400
    assert place.fetch(f"{first}?stream=true").status == 400
    assert place.fetch(f"{first}/nothing").status == 404
    refused = place.ask(background=True)
    assert refused.status == 422
    assert b"/background" in refused.body


@case(92)
def test_what_failed_is_not_kept(place: Place):
    place.anthropic.play(http1.stream(*ANTHROPIC.frames()[:-2]))
    body = place.ask(stream=True).body
    assert b"response.failed" in body
    id_ = body.partition(b'"id":"resp_')[2].partition(b'"')[0].decode()
    assert place.fetch(f"resp_{id_}").status == 404
