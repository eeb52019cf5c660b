"""Answers that are given again: right on every wire, and to nobody they are not for."""

import threading
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import http1, keyvalue, plain, raw, stage
from tests.support.dialects import DIALECTS, OPENAI, TEXT, Dialect
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.http1 import Request
from tests.support.keyvalue import Server
from tests.support.stage import Stage
from tests.support.upstream import Do, Gate, Part

CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)

CONFIG = """
[server]
log_format = "json"
[[providers]]
name = "p"
type = "openai"
base_url = "{base_url}"
models = ["m", {{ name = "priced", price = {{ input = 1e6, output = 1e6, cache_read = 1e6 }} }}]
api_key = "sk-upstream-000000"
[cache]
enabled = true
{cache}
"""

KEYS = "".join(
    f'[[keys]]\nname = "{name}"\nsecret = "{name}-secret-00000000"\n{more}\n'
    for name, more in (
        ("anna", 'tags = { team = "red" }'),
        ("ben", 'tags = { team = "red" }'),
        ("carl", 'tags = { team = "blue" }'),
        ("few", 'models = ["other"]\ntags = { team = "red" }'),
    )
)


@pytest.fixture
def upstream() -> Generator[Stage, None, None]:
    with stage.running() as running:
        running.run(_answer)
        yield running


@pytest.fixture
def redis(tmp_path: Path) -> Generator[Server, None, None]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with keyvalue.running(folder) as running:
        yield running


def _answer(request: Request) -> list[Part]:
    if b'"stream":true' in request.body.replace(b" ", b""):
        return list(http1.stream(*OPENAI.frames()))
    return [http1.answer(200, OPENAI.answer())]


def ask(
    running: Gateway,
    caller: Dialect = OPENAI,
    text: str = "hello",
    *,
    model: str = "p/m",
    key: str = "",
    stream: bool = False,
    **headers: str,
) -> plain.Answer:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        fields["authorization"] = f"Bearer {key}-secret-00000000"
    asked = caller.ask(model, text, stream=stream, max_tokens=64)
    return plain.post(running.base_url, caller.path, asked, fields)


def word(answer: plain.Answer) -> str:
    assert answer.status == 200, answer.body
    return answer.headers["x-modelmux-cache"]


# On every wire


@pytest.mark.parametrize("first_streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("first", DIALECTS, ids=lambda each: f"kept-of-{each}")
def test_a_kept_answer_is_right_for_every_caller_whole_and_streamed(
    start_gateway: GatewayStarter, upstream: Stage, first: Dialect, first_streams: bool
):
    running = start_gateway(CONFIG.format(base_url=upstream.base_url, cache=""))
    assert word(ask(running, first, stream=first_streams)) == "miss"
    for caller in DIALECTS:
        for stream in (False, True):
            answer = ask(running, caller, stream=stream)
            assert word(answer) == "hit"
            assert answer.headers["x-modelmux-target"] == "p/m"
            assert answer.headers["x-modelmux-attempts"] == "0"
            assert int(answer.headers["age"]) >= 0
            said = caller.text_of_stream if stream else caller.text_of
            assert said(answer.body) == TEXT
            if stream:
                assert answer.body.endswith(caller.end)
    assert len(upstream.requests) == 1


# For whom


@pytest.mark.parametrize(
    ("scope", "hits"),
    [("key", {"anna"}), ("team", {"anna", "ben"}), ("all", {"anna", "ben", "carl"})],
)
def test_callers_see_each_others_answers_only_as_far_as_the_scope_says(
    start_gateway: GatewayStarter, upstream: Stage, scope: str, hits: set[str]
):
    config = CONFIG.format(base_url=upstream.base_url, cache=f'scope = "{scope}"')
    running = start_gateway(config + KEYS)
    ask(running, key="anna")
    found = {key for key in ("anna", "ben", "carl") if word(ask(running, key=key)) == "hit"}
    assert found == hits
    # What a key may not ask for it does not get from what others have asked.
    assert ask(running, key="few").status == 403


# What is saved


def test_a_hit_is_not_billed_and_what_it_saved_is_told(
    start_gateway: GatewayStarter, upstream: Stage
):
    running = start_gateway(CONFIG.format(base_url=upstream.base_url, cache=""))
    for _ in range(3):
        ask(running, model="p/priced")
    metrics = plain.get(running.base_url, "/metrics").body.decode()
    assert 'modelmux_cost_usd_total{model="priced",provider="p"} 19.0' in metrics
    assert "modelmux_cache_saved_usd_total 38.0" in metrics
    assert "modelmux_cache_saved_tokens_total 38.0" in metrics
    assert 'modelmux_cache_answers_total{result="hit"} 2.0' in metrics
    assert 'modelmux_attempts_total{model="priced",outcome="ok",provider="p"} 1.0' in metrics
    running.wait_until_logged('"modelmux.cache":"hit"')
    running.wait_until_logged('"modelmux.saved_usd":19')


@CALLERS
def test_a_caller_can_ask_for_a_fresh_answer_and_is_told_of_a_wish_that_is_none(
    start_gateway: GatewayStarter, upstream: Stage, caller: Dialect
):
    running = start_gateway(CONFIG.format(base_url=upstream.base_url, cache=""))
    words = [
        word(ask(running, caller, x_modelmux_cache=wish))
        for wish in ("no-store", "max-age=60", "max-age=60", "no-cache", "max-age=60")
    ]
    assert words == ["bypass", "miss", "hit", "miss", "hit"]
    refused = ask(running, caller, x_modelmux_cache="often")
    assert refused.status == 400
    assert "expected no-store, no-cache or max-age" in caller.told(refused.body).message


def test_rules_decide_what_is_kept(start_gateway: GatewayStarter, upstream: Stage):
    rules = """
[[cache.rules]]
skip_if = "stream"
[[cache.rules]]
cache_if = 'headers["x-team"] == "red"'
"""
    running = start_gateway(CONFIG.format(base_url=upstream.base_url, cache=rules))
    words = [
        word(ask(running, stream=stream, x_team=team))
        for team, stream in (("red", False), ("red", False), ("red", True), ("blue", False))
    ]
    assert words == ["miss", "hit", "bypass", "bypass"]


# In other words


def test_a_question_in_other_words_gets_the_answer_to_the_one_it_is_like(
    start_gateway: GatewayStarter, upstream: Stage
):
    semantic = '[cache.semantic]\ntarget = "p/embed"\nthreshold = 0.9'
    config = CONFIG.format(base_url=upstream.base_url, cache=semantic)
    running = start_gateway(config.replace('models = ["m"', 'models = ["embed", "m"'))

    def script(request: Request) -> list[Part]:
        if not request.target.endswith("/embeddings"):
            return _answer(request)
        vector = [1.0, 0.1 if b"distance" in request.body else 0.0]
        if b"sun" in request.body:
            vector = [0.0, 1.0]
        rows = [{"object": "embedding", "index": 0, "embedding": vector}]
        usage = {"prompt_tokens": 4, "total_tokens": 4}
        body = {"object": "list", "model": "embed", "data": rows, "usage": usage}
        return [http1.answer(200, body)]

    upstream.run(script)
    assert word(ask(running, text="How far is the moon?")) == "miss"
    for caller in DIALECTS:
        alike = ask(running, caller, text="The distance of the moon?")
        assert word(alike) == "hit"
        assert 0.9 < float(alike.headers["x-modelmux-cache-similarity"]) < 1
        assert caller.text_of(alike.body) == TEXT
    assert word(ask(running, text="How far is the sun?")) == "miss"
    paths = Counter(request.target for request in upstream.requests)
    assert paths == {"/v1/chat/completions": 2, "/v1/embeddings": 4}
    metrics = plain.get(running.base_url, "/metrics").body.decode()
    assert 'modelmux_cache_answers_total{result="similar"} 2.0' in metrics
    # Vectors are used and paid, whoever asked for them.
    assert 'modelmux_tokens_total{model="embed",provider="p",type="input"} 16.0' in metrics
    assert "modelmux_in_flight 0.0" in metrics


# Several at once


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_what_many_ask_at_once_is_asked_once_even_if_the_first_leaves(
    start_gateway: GatewayStarter, upstream: Stage, stream: bool
):
    running = start_gateway(CONFIG.format(base_url=upstream.base_url, cache=""))
    gate = Gate()
    frames = [http1.chunk(frame) for frame in OPENAI.frames()]
    upstream.play([http1.stream_head(), frames[0], gate, *frames[1:], http1.chunk(b"")])
    asked = OPENAI.ask("p/m", "hello", stream=True, max_tokens=64)
    with raw.posted(running.base_url, OPENAI.path, asked) as leading:
        leading.read_until(b"data: ")
        with ThreadPoolExecutor(8) as pool:
            others = [
                pool.submit(ask, running, caller, stream=stream)
                for caller in DIALECTS
                for _ in range(4)
            ]
            line = "modelmux_in_flight 9.0"
            while line not in plain.get(running.base_url, "/metrics").body.decode():
                pass
            leading.leave()
            gate.open()
            answers = [other.result() for other in others]
    for caller, four in zip(DIALECTS, (answers[:4], answers[4:]), strict=True):
        said = caller.text_of_stream if stream else caller.text_of
        assert [said(answer.body) for answer in four] == [TEXT] * 4
    assert Counter(map(word, answers)) == {"hit": 8}
    assert len(upstream.requests) == 1
    assert word(ask(running)) == "hit"


@pytest.mark.parametrize("ending", [Do.CLOSE, Do.RESET], ids=["closed", "reset"])
def test_an_answer_that_broke_off_is_not_kept(
    start_gateway: GatewayStarter, upstream: Stage, ending: Do
):
    running = start_gateway(CONFIG.format(base_url=upstream.base_url, cache=""))
    frames = [http1.chunk(frame) for frame in OPENAI.frames()]
    upstream.play([http1.stream_head(), *frames[:2], ending])
    broken = ask(running, stream=True)
    assert not broken.body.endswith(OPENAI.end)
    upstream.run(_answer)
    assert word(ask(running, stream=True)) == "miss"


# In a server that gateways share


def test_two_gateways_share_what_is_kept_in_a_server(
    start_gateway: GatewayStarter, upstream: Stage, redis: Server
):
    cache = f'backend = "redis"\nurl = "{redis.url}"'
    config = CONFIG.format(base_url=upstream.base_url, cache=cache)
    one, two = start_gateway(config), start_gateway(config)
    assert word(ask(one)) == "miss"
    for caller in DIALECTS:
        for stream in (False, True):
            answer = ask(two, caller, stream=stream)
            assert word(answer) == "hit"
            said = caller.text_of_stream if stream else caller.text_of
            assert said(answer.body) == TEXT
    assert len(upstream.requests) == 1


def test_no_call_fails_while_the_server_is_killed_and_started_again(
    start_gateway: GatewayStarter, upstream: Stage, redis: Server
):
    cache = f'backend = "redis"\nurl = "{redis.url}"'
    running = start_gateway(CONFIG.format(base_url=upstream.base_url, cache=cache))
    words: Counter[str] = Counter()
    is_over = threading.Event()

    def load(thread: int) -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            answer = ask(running, text=f"{(thread + number) % 50}", stream=bool(number % 2))
            words[word(answer)] += 1

    with ThreadPoolExecutor(8) as pool:
        loads = [pool.submit(load, number) for number in range(8)]
        try:
            _wait_for_hits(running, 200)
            redis.kill()
            running.wait_until_logged("the cache's server cannot be used; nothing is kept")
            redis.start()
            running.wait_until_logged("the cache's server can be used again")
            _wait_for_hits(running, 200)
        finally:
            is_over.set()
        for each in loads:
            each.result()
    assert words["hit"] > 400
    assert running.log.count("the cache's server cannot be used") == 1


def _wait_for_hits(running: Gateway, more: int) -> None:
    """Block until so many more answers have been found."""

    def hits() -> float:
        lines = plain.get(running.base_url, "/metrics").body.decode().splitlines()
        name = 'modelmux_cache_answers_total{result="hit"} '
        return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))

    enough = hits() + more
    while hits() < enough:
        pass


def test_a_server_that_is_not_there_is_no_failure(start_gateway: GatewayStarter, upstream: Stage):
    cache = 'backend = "redis"\nurl = "redis://127.0.0.1:9"'
    running = start_gateway(CONFIG.format(base_url=upstream.base_url, cache=cache))
    assert [word(ask(running)) for _ in range(2)] == ["miss", "miss"]
    running.wait_until_logged("the cache's server cannot be used")
