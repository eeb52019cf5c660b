"""What the gateway says of its calls: one line each, metrics that add up, and no secret."""

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import House, logged
from tests.support import http1, plain, raw, stage
from tests.support.cases import case
from tests.support.dialects import (
    ANTHROPIC,
    DIALECTS,
    INPUT_TOKENS,
    OPENAI,
    OUTPUT_TOKENS,
    Dialect,
)
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.stage import Stage
from tests.support.upstream import Do, Gate

CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)
BOTH = pytest.mark.parametrize("upstream", DIALECTS, ids=lambda dialect: f"from-{dialect}")
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@case(79, 80)
@STREAM
@BOTH
@CALLERS
def test_a_call_leaves_one_line(house: House, caller: Dialect, upstream: Dialect, stream: bool):
    answer = http1.stream(*upstream.frames()) if stream else [http1.answer(200, upstream.answer())]
    house.behind(upstream).play(answer)
    call_id = f"one-line-{caller}-{upstream}-{stream}"
    model = f"{upstream.name}/{upstream.model}"
    body = msgspec.json.encode(caller.ask(model, stream=stream))
    headers = {"x-request-id": call_id, "x-modelmux-tags": "a, team=blue"}
    got = plain.post(house.url, caller.path, body, headers)
    assert got.headers["x-request-id"] == call_id
    line = logged(house.gateway, call_id)
    assert line["level"] == "info"
    assert (
        line["modelmux.wire"]
        == {"openai": "openai.chat", "anthropic": "anthropic.messages"}[caller.name]
    )
    assert line["modelmux.target"] == model
    assert line["modelmux.outcome"] == "ok"
    assert line["modelmux.attempts"] == 1
    assert line["gen_ai.operation.name"] == "chat"
    assert line["gen_ai.provider.name"] == upstream.name
    assert line["gen_ai.request.model"] == model
    assert line["gen_ai.response.model"] == upstream.model
    assert line.get("gen_ai.request.stream", False) is stream
    assert line["gen_ai.response.finish_reasons"] == ["stop"]
    assert line["gen_ai.usage.input_tokens"] == INPUT_TOKENS
    assert line["gen_ai.usage.output_tokens"] == OUTPUT_TOKENS
    assert line["gen_ai.usage.cache_read.input_tokens"] == 4
    assert line["http.response.status_code"] == 200
    assert line["http.request.body.size"] == len(body)
    assert line["modelmux.tags"] == {"a": "", "team": "blue"}
    assert ("gen_ai.response.time_to_first_chunk" in line) is stream
    assert float(line["modelmux.cost_usd"]) > 0
    assert "hello" not in str(line)


@BOTH
@CALLERS
def test_usage_is_known_also_of_a_stream_whose_caller_did_not_ask(
    house: House, caller: Dialect, upstream: Dialect
):
    house.behind(upstream).play(http1.stream(*upstream.frames()))
    call_id = f"unasked-usage-{caller}-{upstream}"
    asked = caller.ask(f"{upstream.name}/{upstream.model}", stream=True)
    plain.post(house.url, caller.path, asked, {"x-request-id": call_id})
    assert logged(house.gateway, call_id)["gen_ai.usage.output_tokens"] == OUTPUT_TOKENS


@CALLERS
def test_a_failure_is_told_with_its_reason(house: House, caller: Dialect):
    house.behind(caller).play([http1.answer(500, caller.error("api_error", "the cat did it"))])
    call_id = f"failed-{caller}"
    plain.post(house.url, caller.path, caller.ask(house.unused(caller)), {"x-request-id": call_id})
    line = logged(house.gateway, call_id)
    assert line["level"] == "warn"
    assert line["modelmux.outcome"] == "error"
    assert line["http.response.status_code"] == 502
    assert line["error.type"] == "target_error"
    assert "the cat did it" in line["exception.message"]


@case(93)
@BOTH
@CALLERS
def test_a_stream_that_broke_is_told_as_one(house: House, caller: Dialect, upstream: Dialect):
    cut = [http1.stream_head(), *map(http1.chunk, upstream.frames()[:3]), Do.CLOSE]
    house.behind(upstream).play(cut)
    call_id = f"broke-{caller}-{upstream}"
    asked = caller.ask(f"{upstream.name}/{upstream.model}", stream=True)
    with raw.posted(house.url, caller.path, asked, {"x-request-id": call_id}) as exchange:
        exchange.read_rest()
    line = logged(house.gateway, call_id)
    assert (line["modelmux.outcome"], line["http.response.status_code"]) == ("error", 502)


@CALLERS
def test_a_refused_request_leaves_a_line_too(house: House, caller: Dialect):
    call_id = f"refused-{caller}"
    plain.post(house.url, caller.path, b"{", {"x-request-id": call_id})
    line = logged(house.gateway, call_id)
    assert line["http.response.status_code"] == 400
    assert line["modelmux.attempts"] == 0
    assert line["error.type"] == "invalid_request"


@CALLERS
def test_a_request_without_an_id_is_given_one(house: House, caller: Dialect):
    answers = [plain.post(house.url, caller.path, caller.ask("modelmux/echo")) for _ in range(3)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 3
    for each in ids:
        assert logged(house.gateway, each)["modelmux.outcome"] == "ok"


@pytest.mark.parametrize(
    "bad", ["x" * 129, "na\xefve", 'a"b\\c'], ids=["long", "not ASCII", "quotes"]
)
def test_an_id_that_could_forge_the_log_does_not(house: House, bad: str):
    answer = plain.post(house.url, OPENAI.path, OPENAI.ask("modelmux/echo"), {"x-request-id": bad})
    kept = answer.headers["x-request-id"]
    assert kept != bad or bad.isascii()
    house.gateway.wait_until_logged(msgspec.json.encode(kept).decode())


TWO_PROVIDERS = """
[server]
log_format = "json"
{server}

[[keys]]
name = "team-a"
secret = "sk-caller-sentinel-1"

[[providers]]
name = "openai"
type = "openai"
base_url = "{openai}"
api_keys = ["sk-upstream-sentinel-2", "sk-upstream-sentinel-3"]
headers = {{ x-extra-token = "header-sentinel-4" }}

[[providers]]
name = "anthropic"
type = "anthropic"
base_url = "{anthropic}"
api_key = "plain-sentinel-words-5"

[[models]]
name = "team"
targets = ["openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5"]
"""

SENTINELS = [
    "sk-caller-sentinel-1",
    "sk-upstream-sentinel-2",
    "sk-upstream-sentinel-3",
    "plain-sentinel-words-5",
    "sk-ant-sentinel-of-a-stranger-6",
]

KEY = {"authorization": "Bearer sk-caller-sentinel-1"}


class Samples:
    """The samples of `/metrics`."""

    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self._samples = [sample for family in families for sample in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        """The sum of those samples that have these labels."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == f"modelmux_{name}" and labels.items() <= sample.labels.items()
        )


@dataclass(frozen=True)
class Watched:
    gateway: Gateway
    openai: Stage
    anthropic: Stage

    def samples(self) -> Samples:
        answer = plain.get(self.gateway.base_url, "/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return Samples(answer.body.decode())


@pytest.fixture
def watched(start_gateway: GatewayStarter) -> Generator[Watched, None, None]:
    """A gateway of which nothing has been asked."""
    with ExitStack() as stack:
        openai, anthropic = (stack.enter_context(stage.running()) for _ in range(2))
        config = TWO_PROVIDERS.format(
            server="enable_retries = false", openai=openai.base_url, anthropic=anthropic.base_url
        )
        yield Watched(start_gateway(config), openai, anthropic)


GPT, CLAUDE = "gpt-4.1-mini", "claude-haiku-4-5"


def ask_this_and_that(watched: Watched) -> None:
    """Ten requests: seven are answered, two fail at a model, one is let in by nobody."""
    url = watched.gateway.base_url
    watched.openai.play([http1.answer(200, OPENAI.answer())])
    watched.anthropic.play([http1.answer(200, ANTHROPIC.answer())])
    for model in (GPT, GPT, GPT, CLAUDE, CLAUDE):
        plain.post(url, OPENAI.path, OPENAI.ask(model), KEY)
    watched.openai.play(http1.stream(*OPENAI.frames()))
    plain.post(url, ANTHROPIC.path, ANTHROPIC.ask(GPT, stream=True), KEY)
    watched.openai.play([http1.answer(400, OPENAI.error("invalid_request_error", "no"))])
    plain.post(url, OPENAI.path, OPENAI.ask(GPT), KEY)
    # One that is answered by the second of two.
    watched.openai.play([http1.answer(500, OPENAI.error("server_error", "no"))])
    plain.post(url, OPENAI.path, OPENAI.ask("team"), KEY)
    plain.post(url, OPENAI.path, OPENAI.ask("nothing"), KEY)
    plain.post(url, OPENAI.path, OPENAI.ask(GPT))


def test_requests_are_counted_once(watched: Watched):
    assert watched.samples().sum("requests_total") == 0
    ask_this_and_that(watched)
    samples = watched.samples()
    chat = {"wire": "openai.chat"}
    assert samples.sum("requests_total", **chat, provider="openai", model=GPT, status="200") == 3
    assert samples.sum("requests_total", **chat, provider="anthropic", status="200") == 3
    assert samples.sum("requests_total", wire="anthropic.messages", status="200") == 1
    for status in ("400", "401", "404"):
        assert samples.sum("requests_total", status=status) == 1
    assert samples.sum("requests_total") == 10
    assert samples.sum("failures_total") == 3
    assert samples.sum("failures_total", kind="authentication", model="") == 1
    assert samples.sum("request_duration_seconds_count", **chat, model=GPT) == 4
    assert samples.sum("time_to_first_token_seconds_count") == 1
    assert samples.sum("overhead_seconds_count") == 7
    assert samples.sum("in_flight") == 0


def test_tokens_and_attempts_are_counted_where_they_arise(watched: Watched):
    ask_this_and_that(watched)
    samples = watched.samples()
    gpt, claude = {"provider": "openai", "model": GPT}, {"provider": "anthropic", "model": CLAUDE}
    assert samples.sum("attempts_total", **gpt, outcome="ok") == 4
    assert samples.sum("attempts_total", **gpt, outcome="error") == 2
    assert samples.sum("attempts_total", **claude) == 3
    assert samples.sum("tokens_total", **gpt, type="cache_read") == 4 * 4
    assert samples.sum("tokens_total", **gpt, type="reasoning") == 4 * 2
    assert samples.sum("tokens_total", **gpt) == 4 * (INPUT_TOKENS + OUTPUT_TOKENS)
    assert samples.sum("tokens_total", **claude) == 3 * (INPUT_TOKENS + OUTPUT_TOKENS)
    # Four times 8 new tokens at 0.40 dollars a million, 4 cached ones at 0.10, 7 written at 1.60.
    assert samples.sum("cost_usd_total", **gpt) == pytest.approx(4 * 14.8e-6)
    assert samples.sum("cost_usd_total", **claude) > 0
    assert samples.sum("upstream_connections", state="busy") == 0
    assert samples.sum("upstream_connections", state="idle") == 2


def test_health_tells_how_chats_have_fared(watched: Watched):
    ask_this_and_that(watched)
    health = msgspec.json.decode(plain.get(watched.gateway.base_url, "/health").body)
    assert health["status"] == "ok"
    assert health["metrics"] == {
        # Not the one without a key, whose body was not read.
        "total_requests": 9,
        "successful_requests": 7,
        "failed_requests": 2,
        "quota_errors": 0,
        "retry_attempts": 0,
        "success_rate": 78.0,
    }


def test_calls_under_way_are_counted(watched: Watched):
    gate = Gate()
    watched.openai.play([http1.stream_head(), http1.chunk(OPENAI.frames()[0]), gate, Do.CLOSE])
    asked = OPENAI.ask(GPT, stream=True)
    with raw.posted(watched.gateway.base_url, OPENAI.path, asked, KEY):
        gate.wait_until_reached()
        samples = watched.samples()
    assert samples.sum("in_flight") == 1
    assert samples.sum("upstream_connections", provider="openai", state="busy") == 1


def test_a_fallback_leaves_a_line_for_each_target_and_one_for_the_call(watched: Watched):
    watched.openai.play([http1.answer(500, OPENAI.error("server_error", "no"))])
    watched.anthropic.play([http1.answer(200, ANTHROPIC.answer())])
    headers = {**KEY, "x-request-id": "fell-back"}
    plain.post(watched.gateway.base_url, OPENAI.path, OPENAI.ask("team"), headers)
    line = logged(watched.gateway, "fell-back")
    assert (line["modelmux.attempts"], line["modelmux.outcome"]) == (2, "ok")
    steps = [logged(watched.gateway, f"fell-back.{number}") for number in (1, 2)]
    assert [step["modelmux.parent_id"] for step in steps] == ["fell-back"] * 2
    assert [step["modelmux.outcome"] for step in steps] == ["error", "ok"]
    assert [step["modelmux.attempts"] for step in steps] == [1, 1]
    assert [step["gen_ai.provider.name"] for step in steps] == ["openai", "anthropic"]


@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_secret_is_in_the_log(start_gateway: GatewayStarter, log_format: str, level: str):
    with stage.running() as openai, stage.running() as anthropic:
        config = TWO_PROVIDERS.format(
            server=f'log_level = "{level}"\nenable_retries = false',
            openai=openai.base_url,
            anthropic=anthropic.base_url,
        )
        running = start_gateway(config, "--log-format", log_format)
        url = running.base_url
        told = " ".join(SENTINELS)
        openai.play([http1.answer(400, OPENAI.error("invalid_request_error", told))])
        anthropic.play([http1.answer(401, ANTHROPIC.error("authentication_error", told))])
        asked = [
            (OPENAI, OPENAI.ask("gpt-4.1-mini", told), KEY, ""),
            (ANTHROPIC, ANTHROPIC.ask("claude-haiku-4-5", told), {"x-api-key": SENTINELS[0]}, ""),
            (OPENAI, OPENAI.ask(told), KEY, ""),
            (OPENAI, OPENAI.ask("m"), {"authorization": f"Bearer {SENTINELS[4]}"}, ""),
            (OPENAI, OPENAI.ask("m"), {**KEY, "x-request-id": SENTINELS[1]}, ""),
            (OPENAI, OPENAI.ask("m"), {**KEY, "x-modelmux-tags": told}, ""),
            (OPENAI, OPENAI.ask("m"), {}, f"?key={SENTINELS[0]}"),
        ]
        for dialect, body, headers, query in asked:
            plain.post(url, dialect.path + query, body, headers)
        plain.post(url, OPENAI.path, OPENAI.ask("m"), {**KEY, "x-request-id": "the-last"})
        running.wait_until_logged("the-last")
        if level == "debug":
            assert "caller asks" in running.log
        for sentinel in SENTINELS:
            assert sentinel not in running.log


def test_debug_shows_what_is_said_without_credentials(start_gateway: GatewayStarter, house: House):
    config = f"""
[server]
log_format = "json"
log_level = "debug"
[[providers]]
name = "p"
type = "openai"
base_url = "{house.openai.base_url}"
api_key = "sk-upstream-sentinel-2"
"""
    house.openai.play([http1.answer(200, OPENAI.answer(text="the answer's words"))])
    running = start_gateway(config)
    headers = {"x-request-id": "shown", "authorization": "Bearer whatever-it-is-12345"}
    plain.post(running.base_url, OPENAI.path, OPENAI.ask("p/m", "the question's words"), headers)
    logged(running, "shown")
    assert "the question's words" in running.log
    assert "the answer's words" in running.log
    assert "Bearer ***" in running.log
    assert "whatever-it-is-12345" not in running.log


def test_debug_shows_what_a_stream_said(start_gateway: GatewayStarter, house: House):
    config = f"""
[server]
log_format = "json"
log_level = "debug"
[[providers]]
name = "p"
type = "openai"
base_url = "{house.openai.base_url}"
api_key = "sk-upstream-sentinel-2"
"""
    house.openai.play(http1.stream(*OPENAI.frames(words=["a ", "sk-upstream-sentinel-2", " b"])))
    running = start_gateway(config)
    asked = OPENAI.ask("p/m", stream=True)
    plain.post(running.base_url, OPENAI.path, asked, {"x-request-id": "streamed"})
    running.wait_until_logged("caller is answered 200")
    assert "chat.completion.chunk" in running.log
    assert "sk-upstream-sentinel-2" not in running.log


def test_a_quiet_log_has_failures_only(start_gateway: GatewayStarter):
    running = start_gateway('[server]\nlog_level = "warn"\nlog_format = "json"')
    for name, model in (("went-well", "modelmux/echo"), ("went-wrong", "nothing")):
        plain.post(running.base_url, OPENAI.path, OPENAI.ask(model), {"x-request-id": name})
    running.wait_until_logged("went-wrong")
    assert "went-well" not in running.log
