"""Ollama as a target on its own API: bytes go through, and what breaks never looks finished."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import msgspec
import pytest

from tests.support import http1, plain, stage
from tests.support.cases import case
from tests.support.gateway import Gateway, running
from tests.support.goldens import Golden, goldens
from tests.support.stage import Stage
from tests.support.upstream import Do, Part

SPARES = 40

PROVIDER = """
[[providers]]
name = "local-{number}"
type = "ollama"
base_url = "{base_url}/v1"
"""

PATHS = {"ollama.chat": "/api/chat", "ollama.generate": "/api/generate"}
OWN = [golden for golden in goldens("request.json") if golden.wire_name in PATHS]
STREAMS = [
    golden
    for golden in goldens("stream.txt")
    if golden.wire_name in PATHS and not golden.case.startswith("error")
]

LINE = b'{"model":"m","created_at":"2026-11-20T09:15:30Z","message":{"role":"assistant","content":"half"},"done":false}\n'  # noqa: E501


@dataclass(frozen=True)
class House:
    """A gateway in front of a stage that plays Ollama."""

    gateway: Gateway
    ollama: Stage
    numbers: Iterator[int]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House, None, None]:
    with stage.running() as ollama:
        config = "[server]\nenable_retries = false\n"
        for number in range(SPARES):
            config += PROVIDER.format(number=number, base_url=ollama.base_url)
        with running(config, tmp_path_factory.mktemp("house")) as made:
            yield House(made, ollama, iter(range(SPARES)))


def lines(*pieces: bytes) -> list[Part]:
    head = http1.head(
        200, ("content-type", "application/x-ndjson"), ("transfer-encoding", "chunked")
    )
    return [head, *map(http1.chunk, pieces)]


@pytest.mark.parametrize("golden", OWN, ids=str)
def test_a_recorded_request_goes_through_with_only_the_model_s_name_changed(
    house: House, golden: Golden
) -> None:
    house.ollama.play([http1.answer(200, b'{"model":"m","message":{"content":""},"done":true}')])
    body = golden.read()
    own = msgspec.json.decode(body)["model"]
    asked = body.replace(f'"{own}"'.encode(), f'"local-0/{own}"'.encode(), 1)
    plain.request(house.gateway.base_url, "POST", PATHS[golden.wire_name], asked)
    assert house.ollama.request.body == body
    assert house.ollama.request.target == PATHS[golden.wire_name]


@pytest.mark.parametrize("golden", STREAMS, ids=str)
@pytest.mark.parametrize("step", [7, 1000])
def test_a_recorded_stream_goes_through_however_it_is_cut_up(
    house: House, golden: Golden, step: int
) -> None:
    body = golden.read()
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    house.ollama.play([*lines(*pieces), http1.LAST_CHUNK])
    own = msgspec.json.decode(body.splitlines()[0])["model"]
    asked = {"model": f"local-0/{own}", "prompt": "hi"}
    if golden.wire_name == "ollama.chat":
        asked = {"model": f"local-0/{own}", "messages": [{"role": "user", "content": "hi"}]}  # type: ignore[dict-item]
    got = plain.request(house.gateway.base_url, "POST", PATHS[golden.wire_name], asked)
    assert got.body == body.replace(f'"{own}"'.encode(), f'"local-0/{own}"'.encode())
    assert got.headers["content-type"] == "application/x-ndjson"


@case(92, 93)
@pytest.mark.parametrize("how", ["ended", "closed", "inside a line", "error", "malformed"])
def test_a_stream_that_breaks_never_looks_finished(house: House, how: str) -> None:
    tails: dict[str, list[Part]] = {
        "ended": [http1.LAST_CHUNK],
        "closed": [Do.CLOSE],
        "inside a line": [http1.chunk(b'{"model":"m","done":tr'), http1.LAST_CHUNK],
        "error": [http1.chunk(b'{"error":"boom"}\n'), http1.LAST_CHUNK],
        "malformed": [http1.chunk(b"<html>\n"), http1.LAST_CHUNK],
    }
    house.ollama.play([*lines(LINE), *tails[how]])
    asked = {
        "model": f"local-{next(house.numbers)}/m",
        "messages": [{"role": "user", "content": "hi"}],
    }
    got = plain.request(house.gateway.base_url, "POST", "/api/chat", asked)
    last = got.body.splitlines()[-1]
    assert b'"done":true' not in got.body
    assert "error" in msgspec.json.decode(last)


@case(94, 102)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_in_a_200_is_a_real_status(house: House, stream: bool) -> None:
    error = b'{"error":"model is overloaded"}\n'
    whole = [http1.answer(200, error)]
    house.ollama.play([*lines(error), http1.LAST_CHUNK] if stream else whole)
    asked = {
        "model": f"local-{next(house.numbers)}/m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": stream,
    }
    got = plain.request(house.gateway.base_url, "POST", "/api/chat", asked)
    assert got.status == 502
    assert "overloaded" in msgspec.json.decode(got.body)["error"]
