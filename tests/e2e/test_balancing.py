"""Targets that share their calls: breakers, hedges, copies, rules, regions, as callers see them."""

import itertools
from collections.abc import Generator, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from modelmux.target.health import BreakerPolicy
from modelmux.target.hedge import MIN_SAMPLES
from tests.support import gateway, http1, llmock, plain, raw, stage
from tests.support.dialects import ANTHROPIC, OPENAI, Dialect
from tests.support.gateway import Gateway
from tests.support.http1 import Request
from tests.support.llmock import Behavior, Llmock, fail, stream_fault
from tests.support.stage import Stage
from tests.support.upstream import Do, Gate, Part

CONFIG = """
[server]
log_format = "json"
enable_retries = false

[[providers]]
name = "first"
type = "openai"
base_url = "{first}"
api_key = "sk-upstream-first-000"
models = [{{ name = "m-*", price = {{ input = 1, output = 1, cache_read = 1 }} }}]
region = "eu"

[[providers]]
name = "second"
type = "openai"
base_url = "{second}"
api_key = "sk-upstream-second-000"
models = [{{ name = "m-*", price = {{ input = 1, output = 1, cache_read = 1 }} }}]
region = "us"

[[models]]
name = "both"
targets = ["first/m-both", "second/m-both"]

[[models]]
name = "hedged"
targets = ["first/m-hedged", "second/m-hedged"]
hedge = {{ enabled = true, min_delay_ms = 20 }}

[[models]]
name = "copied"
targets = ["first/m-copied"]
mirror = ["second/m-copied"]

[[models]]
name = "shared"
strategy = "round_robin"
affinity = "session"
targets = ["first/m-shared", "second/m-shared"]

[[models]]
name = "longer"
targets = ["first/m-short"]
fallback_for = {{ context_length = ["second/m-long"], content_policy = ["second/m-free"] }}

[[models]]
name = "near"
strategy = "geographic"
targets = ["first/m-near", "second/m-near"]

[[routing.rules]]
when = 'headers["x-team"] == "b"'
provider = "second"
"""

OUTPUT = 5
"""Tokens of an answer without those of its reasoning."""

COST_USD = 19e-6
"""Of a call: twelve tokens and seven, at a dollar for a million."""

FAILED = [http1.answer(500, OPENAI.error("server_error", "no"))]
ANSWERED = [http1.answer(200, OPENAI.answer())]


@dataclass(frozen=True)
class Pair:
    """A gateway in front of two providers of the same models."""

    gateway: Gateway
    first: Stage
    second: Stage

    def ask(self, model: str, headers: dict[str, str] | None = None) -> plain.Answer:
        return plain.post(self.gateway.base_url, OPENAI.path, OPENAI.ask(model), headers)

    def target(self, model: str, **headers: str) -> str:
        """Who answers."""
        answer = self.ask(model, {name.replace("_", "-"): text for name, text in headers.items()})
        assert answer.status == 200, answer.body
        return answer.headers["x-modelmux-target"].partition("/")[0]

    def records(self, target_model: str) -> list[dict[str, object]]:
        """Log lines of calls whose target's model is that one."""
        lines = (line for line in self.gateway.log.splitlines() if line.startswith("{"))
        found = [msgspec.json.decode(line, type=dict[str, object]) for line in lines]
        return [
            each for each in found if str(each.get("modelmux.target", "")).endswith(target_model)
        ]

    def metric(self, name: str) -> dict[str, float]:
        """Samples of a metric by their labels."""
        text = plain.get(self.gateway.base_url, "/metrics").body.decode()
        rows = (line.rpartition(" ") for line in text.splitlines() if line.startswith(name))
        return {labels.removeprefix(name): float(value) for labels, _, value in rows}


@pytest.fixture(scope="module")
def running_pair(tmp_path_factory: pytest.TempPathFactory) -> Generator[Pair, None, None]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(stage.running()) for _ in range(2))
        config = CONFIG.format(first=first.base_url, second=second.base_url)
        running = gateway.running(config, tmp_path_factory.mktemp("pair"))
        yield Pair(stack.enter_context(running), first, second)


@pytest.fixture
def pair(running_pair: Pair) -> Pair:
    """Both answer."""
    running_pair.first.play(ANSWERED)
    running_pair.second.play(ANSWERED)
    return running_pair


def test_a_target_that_fails_is_left_alone_and_no_caller_sees_it(pair: Pair):
    pair.first.play(FAILED)
    attempts = [pair.ask("both").headers["x-modelmux-attempts"] for _ in range(12)]
    threshold = BreakerPolicy().failures
    assert attempts == ["2"] * threshold + ["1"] * (12 - threshold)
    assert len(pair.first.requests) == threshold
    assert pair.metric("modelmux_breaker_state")['{model="m-both",provider="first"}'] == 2
    assert b"first/m-both: fails, next try in" in plain.get(pair.gateway.base_url, "/readyz").body
    status = plain.get(pair.gateway.control_address, "/control/status").body
    assert b'{"name":"first/m-both","state":"open"' in status
    pair.gateway.wait_until_logged("first/m-both fails, and is left alone")


def test_a_slow_first_is_cancelled_upstream_and_billed_once(pair: Pair):
    for _ in range(MIN_SAMPLES):
        assert pair.target("hedged") == "first"
    tokens = '{model="m-hedged",provider="second",type="output"}'
    pair.first.play([Do.WAIT_FOR_CLOSE])
    pair.second.play(ANSWERED)
    answer = pair.ask("hedged")
    assert (answer.status, answer.headers["x-modelmux-target"]) == (200, "second/m-hedged")
    assert answer.headers["x-modelmux-attempts"] == "2"
    (asked,) = pair.first.requests
    assert asked.abandoned.wait(10)
    assert pair.metric("modelmux_tokens_total")[tokens] == OUTPUT
    pair.gateway.wait_until_logged('"http.response.status_code":499')
    ended = [
        (each["modelmux.target"], each["modelmux.outcome"], "modelmux.cost_usd" in each)
        for each in pair.records("m-hedged")[-3:]
    ]
    assert ended == [
        ("first/m-hedged", "cancelled", False),
        ("second/m-hedged", "ok", True),
        ("second/m-hedged", "ok", True),  # the caller's own call, which repeats the step's
    ]
    cost = pair.metric("modelmux_cost_usd_total")
    assert cost['{model="m-hedged",provider="second"}'] == pytest.approx(COST_USD)
    assert cost['{model="m-hedged",provider="first"}'] == pytest.approx(MIN_SAMPLES * COST_USD)
    assert pair.metric("modelmux_hedges_total") == {
        '{outcome="made"}': 1.0,
        '{outcome="won"}': 1.0,
    }


def test_a_copy_is_recorded_and_billed_and_keeps_nobody_waiting(pair: Pair):
    copied = pair.metric("modelmux_mirrors_total")['{outcome="sent"}']
    gate = stage_gate(pair.second)
    answer = pair.ask("copied")
    assert (answer.status, answer.headers["x-modelmux-target"]) == (200, "first/m-copied")
    assert answer.headers["x-modelmux-attempts"] == "1"
    (copy,) = pair.second.wait_for_requests(1)
    assert copy.json() == {**OPENAI.ask("m-copied")}
    gate.open()
    pair.gateway.wait_until_logged('"mirror"')
    cost = pair.metric("modelmux_cost_usd_total")
    assert cost['{model="m-copied",provider="first"}'] == pytest.approx(COST_USD)
    assert cost['{model="m-copied",provider="second"}'] == pytest.approx(COST_USD)
    assert pair.metric("modelmux_mirrors_total")['{outcome="sent"}'] == copied + 1
    requests = pair.metric("modelmux_requests_total")
    assert not any('model="m-copied",provider="second"' in labels for labels in requests)


def stage_gate(place: Stage) -> "Gate":
    """Hold the answer back until the test lets it go."""
    gate = Gate()

    def script(_request: Request) -> Iterable[Part]:
        yield gate
        yield from ANSWERED

    place.run(script)
    return gate


def test_calls_of_a_session_stay_where_they_are(pair: Pair):
    homes = {
        name: {pair.target("shared", x_modelmux_session=name) for _ in range(3)}
        for name in map(str, range(12))
    }
    assert all(len(home) == 1 for home in homes.values())
    assert set.union(*homes.values()) == {"first", "second"}
    plain_calls = [pair.target("shared") for _ in range(4)]
    assert sorted(plain_calls) == ["first", "first", "second", "second"]


def test_a_rule_over_a_header_decides(pair: Pair):
    assert pair.target("m-x") == "first"
    assert pair.target("m-x", x_team="b") == "second"
    assert pair.target("m-x", x_team="a") == "first"


@pytest.mark.parametrize(
    ("status", "code", "message", "model"),
    [
        (400, "context_length_exceeded", "maximum context length is 8 tokens", "m-long"),
        (400, "content_filter", "we do not talk about that", "m-free"),
    ],
)
def test_what_one_refuses_another_takes(
    pair: Pair, status: int, code: str, message: str, model: str
):
    body = {"error": {"message": message, "type": "invalid_request_error", "code": code}}
    pair.first.play([http1.answer(status, msgspec.json.encode(body))])
    answer = pair.ask("longer")
    assert answer.status == 200
    assert answer.headers["x-modelmux-target"] == f"second/{model}"
    assert answer.headers["x-modelmux-attempts"] == "2"


@pytest.mark.parametrize(("region", "home"), [("eu", "first"), ("us", "second")])
def test_the_nearest_answers(pair: Pair, region: str, home: str):
    assert pair.target("near", x_modelmux_region=region) == home


RESIDENT = (
    CONFIG
    + """
[routing]
data_residency = "enforced"

[[keys]]
name = "eu"
secret = "a-secret-of-europeans"
region = "eu"

[[keys]]
name = "anywhere"
secret = "a-secret-of-anybody"
"""
)


def test_data_stays_in_the_region_and_a_reload_keeps_what_is_known(tmp_path: Path):
    with ExitStack() as stack:
        first, second = (stack.enter_context(stage.running()) for _ in range(2))
        first.play(ANSWERED)
        second.play(ANSWERED)
        config = RESIDENT.format(first=first.base_url, second=second.base_url)
        running = stack.enter_context(gateway.running(config, tmp_path))

        def ask(key: str, region: str = "") -> plain.Answer:
            fields = {"authorization": f"Bearer {key}", "x-modelmux-region": region}
            return plain.post(running.base_url, OPENAI.path, OPENAI.ask("both"), fields)

        european = ask("a-secret-of-europeans", "us")
        assert european.headers["x-modelmux-target"] == "first/m-both", "its key says where it is"
        assert ask("a-secret-of-anybody", "us").headers["x-modelmux-target"] == "second/m-both"
        assert ask("a-secret-of-anybody").status == 403
        first.play(FAILED)
        failed = [ask("a-secret-of-europeans").status for _ in range(6)]
        assert set(failed) == {502}, "data that must stay goes nowhere else"
        assert second.requests == [] or len(second.requests) == 1
        running.config_path.write_text(config + "\n# changed\n")
        assert plain.post(running.control_address, "/control/reload").status == 200
        state = plain.get(running.control_address, "/control/status").body
        assert b'{"name":"first/m-both","state":"open"' in state


# llmock: a provider that fails on purpose, and judges how its client copes

LLMOCK = """
[server]
log_format = "json"

[[providers]]
name = "openai"
type = "openai"
base_url = "{openai}"
api_key = "sk-upstream-000000"
first_byte_timeout_s = 2
idle_timeout_s = 2

[[providers]]
name = "anthropic"
type = "anthropic"
base_url = "{anthropic}"
api_key = "sk-upstream-000000"

[[providers]]
name = "other"
type = "openai"
base_url = "{openai}"
api_key = "sk-upstream-111111"

[[models]]
name = "both-{{n}}"
targets = ["openai/gpt-{{n}}", "anthropic/claude-{{n}}"]

[[models]]
name = "same-{{n}}"
targets = ["openai/gpt-{{n}}", "other/gpt-{{n}}"]
hedge = {{{{ enabled = true, min_delay_ms = 100, max_delay_ms = 200 }}}}
"""

MODELS = 12
"""A name for each test: what it did to a target is no other's matter."""

AT_OPENAI = {"match": {"provider": "openai"}}

SCENARIOS: dict[str, list[Behavior]] = {
    "retry-after": [fail(429, retry_after=2, times=1, **AT_OPENAI)],
    "outage": [fail(503, times=None, **AT_OPENAI)],
    "errors": [fail(500, times=2, **AT_OPENAI)],
    "delay": [{"type": "delay", "seconds": 1.0, **AT_OPENAI}],
}
STREAMS: dict[str, list[Behavior]] = {
    "slow first token": [{"type": "slow_first_token", "seconds": 1.0, **AT_OPENAI}],
    "disconnect": [stream_fault("disconnect", after_chunks=0, **AT_OPENAI)],
    "truncate": [stream_fault("truncate", after_chunks=0, **AT_OPENAI)],
    "stall": [stream_fault("stall", after_chunks=0, stall_seconds=5, **AT_OPENAI)],
}
HARMLESS = {"no_backoff", "gave_up"}
"""Warnings only: another target was asked at once, and the one that failed was not asked again."""


@pytest.fixture(scope="module")
def behind_llmock(
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[tuple[Gateway, Llmock, "itertools.count[int]"], None, None]:
    with ExitStack() as stack:
        mock = stack.enter_context(llmock.running(tmp_path_factory.mktemp("mock")))
        text = LLMOCK.format(openai=mock.openai_url, anthropic=mock.anthropic_url)
        head, _, model = text.partition("[[models]]")
        models = "".join(f"[[models]]{model.replace('{n}', str(n))}" for n in range(MODELS))
        running = gateway.running(
            head + models.replace("{{", "{").replace("}}", "}"), tmp_path_factory.mktemp("gateway")
        )
        yield stack.enter_context(running), mock, itertools.count()


@pytest.mark.parametrize("scenario", [*SCENARIOS, *STREAMS])
def test_llmock_finds_nothing_to_blame(
    behind_llmock: tuple[Gateway, Llmock, "itertools.count[int]"], scenario: str
):
    running, mock, numbers = behind_llmock
    mock.reset()
    stream = scenario in STREAMS
    # What is asked again at another provider in other words llmock does not take for a retry.
    model = f"{'same' if stream else 'both'}-{next(numbers)}"
    mock.script(*(SCENARIOS | STREAMS)[scenario])
    for number in range(3):
        words = f"hello {number}"
        asked = OPENAI.ask(model, words, stream=stream)
        answer = plain.post(running.base_url, OPENAI.path, asked)
        assert answer.status == 200, answer.body
        text = OPENAI.text_of_stream(answer.body) if stream else OPENAI.text_of(answer.body)
        assert words in text
        if stream:
            assert answer.body.endswith(OPENAI.end)
    verdict = mock.verdict()
    assert verdict.passed, verdict
    assert {finding.code for finding in verdict.findings} <= HARMLESS, verdict


@pytest.mark.parametrize(
    ("kind", "caller"),
    [
        ("disconnect", OPENAI),
        ("truncate", OPENAI),
        ("stall", OPENAI),
        # To a caller of the same API its bytes go as they are, whatever they are.
        ("malformed", ANTHROPIC),
    ],
    ids=str,
)
def test_llmock_sees_that_a_broken_stream_is_not_taken_for_a_whole_one(
    behind_llmock: tuple[Gateway, Llmock, "itertools.count[int]"], kind: str, caller: Dialect
):
    running, mock, _ = behind_llmock
    mock.reset()
    mock.script(stream_fault(kind, after_chunks=2, stall_seconds=5, **AT_OPENAI))  # type: ignore[arg-type]
    asked = caller.ask("same-11", "one two three four five", stream=True)
    with raw.posted(running.base_url, caller.path, asked) as exchange:
        cut = exchange.read_rest()
    assert caller.told_in_stream(cut) is not None, cut
    assert caller.end not in cut
    again = plain.post(running.base_url, caller.path, asked)
    assert again.body.endswith(caller.end)
    assert mock.verdict().passed, mock.verdict()
