import pytest

from tests.support import plain
from tests.support.llmock import Llmock, fail, stream_fault

PATHS = ["/v1/chat/completions", "/anthropic/v1/messages"]


def ask(llmock: Llmock, path: str, **more: object) -> plain.Answer:
    messages = [{"role": "user", "content": "hello"}]
    body = {"model": "m", "max_tokens": 9, "messages": messages, **more}
    return plain.post(llmock.base_url, path, body, {"x-api-key": "k", "authorization": "Bearer k"})


@pytest.mark.parametrize("path", PATHS)
def test_it_answers_unscripted(llmock: Llmock, path: str):
    answer = ask(llmock, path)
    assert answer.status == 200
    assert b"hello" in answer.body


@pytest.mark.parametrize("path", PATHS)
def test_a_scripted_failure_is_taken_by_the_next_request(llmock: Llmock, path: str):
    llmock.script(fail(429, retry_after=3))
    first = ask(llmock, path)
    assert (first.status, first.headers["retry-after"]) == (429, "3")
    assert ask(llmock, path).status == 200


def test_a_failure_can_be_meant_for_one_provider(llmock: Llmock):
    llmock.script(fail(529, match={"provider": "anthropic"}, times=None))
    assert [ask(llmock, path).status for path in PATHS] == [200, 529]


def test_a_truncated_stream_ends_without_its_terminator(llmock: Llmock):
    llmock.script(stream_fault("truncate", after_chunks=2))
    answer = ask(llmock, "/v1/chat/completions", stream=True)
    assert b"hello" not in answer.body
    assert b"[DONE]" not in answer.body


def test_a_client_that_retries_too_early_is_found_out(llmock: Llmock):
    llmock.script(fail(429, retry_after=30))
    ask(llmock, "/v1/chat/completions")
    ask(llmock, "/v1/chat/completions")
    verdict = llmock.verdict()
    assert not verdict.passed
    assert [finding.code for finding in verdict.findings] == ["retry_after_ignored"]
    assert [seen.status for seen in llmock.requests()] == [429, 200]


def test_a_reset_forgets_scenario_and_requests(llmock: Llmock):
    llmock.script(fail(500))
    ask(llmock, "/v1/chat/completions", model="first")
    llmock.script(fail(500))
    llmock.reset()
    assert llmock.requests() == []
    assert ask(llmock, "/v1/chat/completions").status == 200
