"""Several targets for one name: who is asked, in which order, and what makes the next one asked."""

import itertools
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec
import pytest

from tests.support import gateway, http1, plain, raw, stage
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, TEXT, Dialect
from tests.support.gateway import Gateway
from tests.support.stage import Stage
from tests.support.upstream import Do, Part

# The file's order is not the order of priority.
CONFIG = """
[server]
log_format = "json"
enable_retries = false

[[providers]]
name = "third"
type = "openai"
base_url = "{third}"
api_key = "sk-upstream-third-000"
models = ["m-*"]
priority = 3

[[providers]]
name = "first"
type = "openai"
base_url = "{first}"
api_key = "sk-upstream-first-000"
models = ["m-*"]
priority = 1

[[providers]]
name = "second"
type = "anthropic"
base_url = "{second}"
api_key = "sk-upstream-second-000"
models = ["m-*"]
priority = 2

[[models]]
name = "team"
targets = ["third/m-team", "second/m-team"]
fallback = ["first/m-team"]
"""


@dataclass(frozen=True)
class Chain:
    """Three providers of the same models: OpenAI's API, then Anthropic's, then OpenAI's."""

    gateway: Gateway
    first: Stage
    second: Stage
    third: Stage
    numbers: "itertools.count[int]"

    @property
    def url(self) -> str:
        return self.gateway.base_url

    def model(self) -> str:
        """A name that no provider rests for."""
        return f"m-{next(self.numbers)}"

    def asked(self) -> list[bool]:
        """Who was asked.

        Not how often: a connection that closes when it is used again is no answer, and the
        request is sent on another.
        """
        return [bool(each.requests) for each in (self.first, self.second, self.third)]


@pytest.fixture(scope="module")
def running_chain(tmp_path_factory: pytest.TempPathFactory) -> Generator[Chain, None, None]:
    with ExitStack() as stack:
        names = ("first", "second", "third")
        stages = {name: stack.enter_context(stage.running()) for name in names}
        config = CONFIG.format(**{name: each.base_url for name, each in stages.items()})
        running = gateway.running(config, tmp_path_factory.mktemp("chain"))
        yield Chain(stack.enter_context(running), **stages, numbers=itertools.count())


@pytest.fixture
def chain(running_chain: Chain) -> Chain:
    """Nobody is expected to be asked; those after the first would answer."""
    running_chain.first.play()
    running_chain.second.play([http1.answer(200, ANTHROPIC.answer())])
    running_chain.third.play([http1.answer(200, OPENAI.answer())])
    return running_chain


CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)

OVERLOADED = OPENAI.error("overloaded_error", "busy")

PASSED_OVER: dict[str, list[Part]] = {
    **{
        str(status): [http1.answer(status, OPENAI.error("server_error", "no"))]
        for status in (408, 409, 429, 500, 502, 503, 504, 529)
    },
    "closed": [Do.CLOSE],
    "reset": [Do.RESET],
    "no HTTP": [b"220 mail.example ESMTP\r\n", Do.CLOSE],
    "a page": [http1.answer(200, b"<html></html>")],
    "an error in a 200": [http1.answer(200, OVERLOADED)],
}

TOLD = {
    str(status): [http1.answer(status, OPENAI.error("invalid_request_error", "not like this"))]
    for status in (400, 404, 405, 413, 415, 422)
}


@case(105)
@CALLERS
@pytest.mark.parametrize("how", PASSED_OVER)
def test_the_next_is_asked_when_another_try_may_help(chain: Chain, caller: Dialect, how: str):
    chain.first.play(PASSED_OVER[how])
    model = chain.model()
    answer = plain.post(chain.url, caller.path, caller.ask(model))
    assert answer.status == 200
    assert caller.text_of(answer.body) == TEXT
    assert chain.asked() == [1, 1, 0]
    assert answer.headers["x-modelmux-target"] == f"second/{model}"
    assert answer.headers["x-modelmux-attempts"] == "2"


@case(105)
@CALLERS
@pytest.mark.parametrize("how", TOLD)
def test_nobody_else_is_asked_about_a_mistake_of_the_callers(
    chain: Chain, caller: Dialect, how: str
):
    chain.first.play(TOLD[how])
    answer = plain.post(chain.url, caller.path, caller.ask(chain.model()))
    assert answer.status == int(how)
    assert "not like this" in caller.told(answer.body).message
    assert chain.asked() == [1, 0, 0]


@case(94)
@CALLERS
def test_an_error_first_thing_in_a_200_is_passed_over(chain: Chain, caller: Dialect):
    chain.first.play(http1.stream(OPENAI.error_frame("overloaded_error", "busy")))
    chain.second.play(http1.stream(ANTHROPIC.error_frame("overloaded_error", "busy too")))
    chain.third.play(http1.stream(*OPENAI.frames()))
    answer = plain.post(chain.url, caller.path, caller.ask(chain.model(), stream=True))
    assert caller.text_of_stream(answer.body) == TEXT
    assert answer.body.endswith(caller.end)
    assert caller.told_in_stream(answer.body) is None
    assert chain.asked() == [1, 1, 1]
    assert answer.headers["x-modelmux-attempts"] == "3"


@case(92, 105)
@CALLERS
def test_nobody_else_is_asked_once_an_answer_has_begun(chain: Chain, caller: Dialect):
    error = OPENAI.error_frame("overloaded_error", "busy")
    chain.first.play(http1.stream(*OPENAI.frames()[:3], error))
    with raw.posted(chain.url, caller.path, caller.ask(chain.model(), stream=True)) as exchange:
        body = exchange.read_rest()
    assert caller.told_in_stream(body) is not None
    assert chain.asked() == [1, 0, 0]


@CALLERS
def test_when_nobody_answers_all_reasons_are_told(chain: Chain, caller: Dialect):
    chain.first.play([http1.answer(500, OPENAI.error("server_error", "the first reason"))])
    chain.second.play([http1.answer(529, ANTHROPIC.error("overloaded_error", "the second"))])
    chain.third.play([Do.RESET])
    answer = plain.post(chain.url, caller.path, caller.ask(chain.model()))
    message = caller.told(answer.body).message
    assert answer.status == 502
    assert "the first reason" in message
    assert "the second" in message
    assert "third/" in message
    assert chain.asked() == [1, 1, 1]
    assert answer.headers["x-modelmux-attempts"] == "3"


@CALLERS
def test_a_name_of_ones_own_has_an_order_of_its_own(chain: Chain, caller: Dialect):
    chain.third.play([http1.answer(503, OVERLOADED)])
    chain.second.play([http1.answer(529, ANTHROPIC.error("overloaded_error", "busy"))])
    chain.first.play([http1.answer(200, OPENAI.answer())])
    answer = plain.post(chain.url, caller.path, caller.ask("team"))
    assert caller.text_of(answer.body) == TEXT
    assert chain.asked() == [1, 1, 1]
    assert answer.headers["x-modelmux-target"] == "first/m-team"
    assert msgspec.json.decode(answer.body)["model"] == "team"


@CALLERS
def test_who_is_asked_by_name_has_no_stand_in(chain: Chain, caller: Dialect):
    chain.first.play([http1.answer(503, OVERLOADED)])
    answer = plain.post(chain.url, caller.path, caller.ask(f"first/{chain.model()}"))
    assert answer.status >= 500
    assert chain.asked() == [1, 0, 0]


@case(113, 115)
def test_each_target_gets_the_callers_request_anew(chain: Chain):
    chain.first.play([http1.answer(500, OPENAI.error("server_error", "no"))])
    chain.second.play([http1.answer(529, ANTHROPIC.error("overloaded_error", "no"))])
    model = chain.model()
    asked = {
        **OPENAI.ask(model, "hello", seed=7),
        "messages": [
            {"role": "system", "content": "Be brief."},
            *OPENAI.ask("", "hello")["messages"],
        ],
    }
    headers = {"idempotency-key": "once-and-only-once"}
    answer = plain.post(chain.url, OPENAI.path, asked, headers)
    assert answer.status == 200
    assert chain.first.request.json() == asked
    assert chain.third.request.json() == asked
    translated = chain.second.request.json()
    assert translated["system"] == "Be brief."
    assert translated["messages"] == [{"role": "user", "content": "hello"}]
    assert translated["model"] == model
    for each in (chain.first, chain.second, chain.third):
        assert each.request.header("idempotency-key") == "once-and-only-once"


def test_who_cannot_be_told_all_is_passed_over(chain: Chain):
    # Audio: OpenAI's API takes it, Anthropic's has no word for it.
    audio = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    asked = {**OPENAI.ask("team"), "messages": [{"role": "user", "content": [audio]}]}
    chain.third.play([http1.answer(503, OVERLOADED)])
    chain.first.play([http1.answer(200, OPENAI.answer())])
    answer = plain.post(chain.url, OPENAI.path, asked)
    assert answer.status == 200, answer.body
    assert chain.asked() == [1, 0, 1]
