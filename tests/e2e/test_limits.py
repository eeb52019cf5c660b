"""Limits of providers: kept by waiting, told where that does not help, or passed by."""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.support import gateway, http1, llmock, plain, raw, stage
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, Dialect
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.llmock import Llmock
from tests.support.stage import Stage
from tests.support.upstream import Do, Gate

CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)

CONFIG = """
[server]
log_format = "json"
{server}
[[providers]]
name = "p"
type = "{type}"
base_url = "{base_url}"
models = ["m"]
api_key = "sk-upstream-000000"
{limits}
"""


@pytest.fixture
def upstream() -> Generator[Stage, None, None]:
    with stage.running() as running:
        yield running


@contextmanager
def behind(
    directory: Path, provider: Dialect, *options: str, limits: str = ""
) -> Generator[tuple[Gateway, Llmock], None, None]:
    """A gateway in front of an llmock that has limits of its own."""
    with ExitStack() as stack:
        folders = [directory / name for name in ("llmock", "gateway")]
        for folder in folders:
            folder.mkdir()
        mock = stack.enter_context(llmock.running(folders[0], *options))
        url = {OPENAI.name: mock.openai_url, ANTHROPIC.name: mock.anthropic_url}[provider.name]
        config = CONFIG.format(type=provider.name, base_url=url, limits=limits, server="")
        yield stack.enter_context(gateway.running(config, folders[1])), mock


def ask_all(
    url: str, count: int, threads: int, ask: Callable[[int], dict[str, object]], path: str
) -> Counter[int]:
    """The statuses of so many calls, so many of them at once."""

    def one(number: int) -> int:
        return plain.post(url, path, ask(number)).status

    with ThreadPoolExecutor(threads) as pool:
        return Counter(pool.map(one, range(count)))


def upstream_statuses(mock: Llmock) -> Counter[int | None]:
    return Counter(each.status for each in mock.requests())


# What llmock allows, and says in the header fields of each provider


@pytest.mark.parametrize("provider", DIALECTS, ids=lambda each: f"of-{each}")
def test_calls_wait_for_a_limit_of_requests_that_was_learned(tmp_path: Path, provider: Dialect):
    # Sixty at once, and one more each second.
    with behind(tmp_path, provider, "--rpm", "60") as (running, mock):

        def ask(number: int) -> dict[str, object]:
            return OPENAI.ask("p/m", f"{number}", stream=bool(number % 2))

        assert ask_all(running.base_url, 62, 8, ask, OPENAI.path) == {200: 62}
        # Nor did the provider have to refuse anything.
        assert upstream_statuses(mock) == {200: 62}
        assert mock.verdict().passed


@pytest.mark.parametrize("provider", DIALECTS, ids=lambda each: f"of-{each}")
def test_calls_wait_for_a_limit_of_tokens_that_was_learned(tmp_path: Path, provider: Dialect):
    # A thousand tokens a second come back; five thousand are asked for each time.
    with behind(tmp_path, provider, "--tpm", "60000") as (running, mock):

        def ask(number: int) -> dict[str, object]:
            return OPENAI.ask("p/m", f"{number}", max_tokens=5000)

        assert ask_all(running.base_url, 12, 3, ask, OPENAI.path) == {200: 12}
        assert upstream_statuses(mock) == {200: 12}


def test_a_crowd_that_comes_before_anything_is_known_gets_through_too(tmp_path: Path):
    with behind(tmp_path, OPENAI, "--rpm", "60") as (running, mock):

        def ask(number: int) -> dict[str, object]:
            return OPENAI.ask("p/m", f"{number}")

        assert ask_all(running.base_url, 63, 63, ask, OPENAI.path) == {200: 63}
        assert upstream_statuses(mock)[429] >= 1
        assert mock.verdict().passed


def test_configured_limits_need_no_word_from_the_provider(tmp_path: Path):
    limits = "limits = { requests_per_minute = 60, tokens_per_minute = 100000, learn = false }"
    with behind(tmp_path, OPENAI, "--rpm", "60", limits=limits) as (running, mock):
        asked = ask_all(running.base_url, 62, 62, lambda _: OPENAI.ask("p/m"), OPENAI.path)
        assert asked == {200: 62}
        assert upstream_statuses(mock) == {200: 62}
        metrics = plain.get(running.base_url, "/metrics").body.decode()
        assert 'modelmux_limit_waits_total{provider="p"} 2.0' in metrics
        assert 'modelmux_limit_waiting{provider="p"} 0.0' in metrics


# What callers are told


@CALLERS
def test_who_would_wait_too_long_is_told_when_to_come_back(
    start_gateway: GatewayStarter, upstream: Stage, caller: Dialect
):
    limits = "limits = { requests_per_minute = 2, max_wait_s = 5 }"
    running = start_gateway(
        CONFIG.format(type="openai", base_url=upstream.base_url, limits=limits, server="")
    )
    upstream.play([http1.answer(200, OPENAI.answer())])
    asked = caller.ask("p/m")
    answers = [plain.post(running.base_url, caller.path, asked) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    refused = answers[-1]
    told = caller.told(refused.body)
    assert told.type == "rate_limit_error"
    assert told.code == "rate_limit_exceeded"
    assert "p/m: the limit of 2 requests a minute at the provider is reached" in told.message
    assert 25 <= int(refused.headers["retry-after"]) <= 31
    assert refused.headers["x-modelmux-attempts"] == "0"
    assert len(upstream.requests) == 2
    metrics = plain.get(running.base_url, "/metrics").body.decode()
    assert 'modelmux_limit_refusals_total{provider="p"} 1.0' in metrics


def test_a_provider_without_room_is_passed_over(start_gateway: GatewayStarter, upstream: Stage):
    config = CONFIG.format(
        type="openai",
        base_url=upstream.base_url,
        limits="limits = { requests_per_minute = 1 }",
        server="",
    )
    other = config[config.index("[[providers]]") :].replace('"p"', '"q"')
    running = start_gateway(config + other.replace("requests_per_minute = 1", "concurrency = 9"))
    upstream.play([http1.answer(200, OPENAI.answer())])
    targets = [
        plain.post(running.base_url, OPENAI.path, OPENAI.ask("m")).headers["x-modelmux-target"]
        for _ in range(4)
    ]
    assert targets == ["p/m", "q/m", "q/m", "q/m"]


KEYS = """
[[keys]]
name = "people"
secret = "people-secret-0000"
priority = "high"
[[keys]]
name = "batch"
secret = "batch-secret-00000"
priority = "low"
"""


def test_the_calls_of_a_key_with_a_higher_class_go_first(
    start_gateway: GatewayStarter, upstream: Stage
):
    running = start_gateway(
        CONFIG.format(
            type="openai",
            base_url=upstream.base_url,
            limits="limits = { concurrency = 1 }",
            server="",
        )
        + KEYS
    )
    gate = Gate()
    first = [http1.stream_head(), http1.chunk(OPENAI.frames()[0]), gate, Do.CLOSE]
    upstream.play(first, [http1.answer(200, OPENAI.answer())])

    def ask(key: str, words: str, tags: str = "") -> None:
        headers = {"authorization": f"Bearer {key}-secret-0000" + "0" * (key == "batch")}
        if tags:
            headers["x-modelmux-tags"] = tags
        answer = plain.post(running.base_url, OPENAI.path, OPENAI.ask("p/m", words), headers)
        assert answer.status == 200

    def wait_for(waiting: int) -> None:
        line = f'modelmux_limit_waiting{{provider="p"}} {waiting}.0'
        while line not in plain.get(running.base_url, "/metrics").body.decode():
            pass

    people = {"authorization": "Bearer people-secret-0000"}
    asked = OPENAI.ask("p/m", "holds the place", stream=True)
    with raw.posted(running.base_url, OPENAI.path, asked, headers=people) as holding:
        upstream.wait_for_requests(1)
        threads = []
        for key, words, tags in (
            ("batch", "third", ""),
            ("people", "fourth", "priority=low"),
            ("people", "second", ""),
        ):
            threads.append(Thread(target=ask, args=(key, words, tags)))
            threads[-1].start()
            wait_for(len(threads))
        holding.leave()
        for thread in threads:
            thread.join()
    said: Sequence[str] = [request.body.decode() for request in upstream.requests]
    order = [word for body in said for word in ("second", "third", "fourth") if word in body]
    assert order == ["second", "third", "fourth"]


# Too much for the gateway itself


@CALLERS
def test_calls_beyond_what_the_gateway_takes_are_sent_away_and_its_health_is_told(
    start_gateway: GatewayStarter, upstream: Stage, caller: Dialect
):
    running = start_gateway(
        CONFIG.format(
            type="openai", base_url=upstream.base_url, limits="", server="max_in_flight = 1"
        )
    )
    gate = Gate()
    upstream.play([http1.stream_head(), http1.chunk(OPENAI.frames()[0]), gate, Do.CLOSE])
    with raw.posted(running.base_url, OPENAI.path, OPENAI.ask("p/m", stream=True)) as holding:
        upstream.wait_for_requests(1)
        answer = plain.post(running.base_url, caller.path, caller.ask("p/m"))
        assert answer.status in {503, 529}
        assert caller.told(answer.body).code == "gateway_saturated"
        assert answer.headers["retry-after"] == "1"
        for path in ("/health", "/healthz", "/readyz", "/v1/models"):
            assert plain.get(running.base_url, path).status == 200
        metrics = plain.get(running.base_url, "/metrics").body.decode()
        assert "modelmux_shed_total 1.0" in metrics
        holding.leave()
    running.wait_until_logged("calls are sent away: 1 calls are under way")
