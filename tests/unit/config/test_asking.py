import pytest

from modelmux.config.asking import Asked, call_of, explained
from modelmux.config.build import caller
from modelmux.config.schema import Config, Key
from modelmux.errors import ConfigError, InvalidRequest
from modelmux.target.call import ANONYMOUS
from tests.unit.config.gateways import loaded

KEY = Key(name="team-a", secret="s" * 20, tags={"team": "a"}, region="eu", priority="high")
CONFIG = Config(keys=(KEY,))


def test_a_call_says_hello_if_nothing_else_is_said():
    call = call_of(Asked("openai.chat", "gpt-4"), CONFIG)
    assert (call.envelope.model, call.caller, call.fields) == ("gpt-4", ANONYMOUS, [])
    assert call.request.messages


def test_everything_can_be_said():
    asked = Asked(
        "anthropic.messages",
        "other",
        b'{"model":"m","max_tokens":5,"messages":[],"stream":true}',
        (("x-team", "b"),),
        {"x": "y"},
        "team-a",
    )
    call = call_of(asked, CONFIG)
    assert (call.wire.name, call.envelope.model, call.envelope.stream) == (
        "anthropic.messages",
        "other",
        True,
    )
    assert call.fields == [(b"x-team", b"b")]
    assert call.tags == {"team": "a", "x": "y"}
    assert call.caller == caller(KEY)


def test_a_key_is_a_caller_with_all_that_is_said_of_it():
    made = caller(KEY)
    assert (made.name, made.tags, made.region, made.priority) == (
        "team-a",
        {"team": "a"},
        "eu",
        "high",
    )


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        (Asked("openai.chatt", "m"), ConfigError, "there is no wire 'openai.chatt'"),
        (Asked("openai.chat", "m", key="team-b"), ConfigError, "there is no key 'team-b'"),
        (Asked("openai.chat", "", b"nonsense"), InvalidRequest, "JSON"),
    ],
)
def test_what_cannot_be_meant_is_told(asked: Asked, error: type[Exception], said: str):
    with pytest.raises(error, match=said):
        call_of(asked, CONFIG)


def test_a_call_is_explained_without_asking_anybody():
    found = explained(Asked("openai.chat", "modelmux/echo"), loaded(CONFIG))
    assert (found.target, found.problem) == ("modelmux/echo", "")
