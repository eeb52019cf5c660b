"""Many callers at once: nobody gets what is another's, and nobody waits for ever."""

import asyncio
import itertools
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from tests.e2e.conftest import House
from tests.support import http1, plain, raw, stage
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, Dialect
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.http1 import Request
from tests.support.stage import Stage
from tests.support.upstream import Do, Gate, Part

CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)


class Asked(msgspec.Struct):
    """What every request here holds, on either wire."""

    messages: list[dict[str, str]]
    stream: bool = False


def repeating(dialect: Dialect):
    """A script that says the caller's own words again, in pieces."""

    def script(request: Request) -> Sequence[Part]:
        asked = msgspec.json.decode(request.body, type=Asked)
        words = asked.messages[-1]["content"]
        if not asked.stream:
            return [http1.answer(200, dialect.answer(text=words))]
        pieces = [words[at : at + 5] for at in range(0, len(words), 5)]
        return http1.stream(*dialect.frames(words=pieces))

    return script


async def exchange(port: int, path: str, body: dict[str, object], leave_after: int) -> bytes | None:
    """The answer's body, or nothing if the caller left after so many bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    encoded = msgspec.json.encode(body)
    head = f"POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: {len(encoded)}\r\n"
    writer.write(head.encode() + b"connection: close\r\n\r\n" + encoded)
    if leave_after:
        await reader.read(leave_after)
        writer.transport.abort()
        return None
    received = await reader.read(-1)
    writer.close()
    await writer.wait_closed()
    head, _, rest = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), received
    if b"transfer-encoding: chunked" not in head:
        return rest
    # Chunks are whole events here, and no event has a line end of CR and LF.
    return b"".join(rest.split(b"\r\n")[1::2])


@CALLERS
def test_nobody_gets_anothers_answer(house: House, caller: Dialect):
    house.openai.run(repeating(OPENAI))
    house.anthropic.run(repeating(ANTHROPIC))
    port = int(house.url.rpartition(":")[2])
    models = [f"{each.name}/{each.model}" for each in DIALECTS]

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = {}
            for number, model, stream in itertools.product(range(100), models, (False, True)):
                words = f"only-{number}-{model}-{stream}-" + "x" * (number % 50)
                # Every fourth leaves before its answer is complete.
                leave_after = 1 + number % 300 if number % 4 == 3 else 0
                body = caller.ask(model, words, stream=stream)
                tasks[words, stream] = group.create_task(
                    exchange(port, caller.path, body, leave_after)
                )
        for (words, stream), task in tasks.items():
            received = task.result()
            if received is not None:
                said = caller.text_of_stream if stream else caller.text_of
                assert said(received) == words

    asyncio.run(run(), debug=False)


@pytest.fixture
def upstream() -> Generator[Stage, None, None]:
    with stage.running() as running:
        yield running


@pytest.fixture
def narrow(start_gateway: GatewayStarter, upstream: Stage) -> Gateway:
    """A gateway that has one call under way at its provider at most."""
    return start_gateway(
        f"""
[server]
log_format = "json"
enable_retries = false
[[providers]]
name = "p"
type = "openai"
base_url = "{upstream.base_url}"
api_key = "sk-upstream-000000"
limits = {{ concurrency = 1 }}
"""
    )


@CALLERS
def test_calls_beyond_the_limit_wait_their_turn(narrow: Gateway, upstream: Stage, caller: Dialect):
    most, under_way, lock = 0, 0, threading.Lock()

    def script(request: Request) -> Generator[Part, None, None]:
        nonlocal most, under_way
        with lock:
            under_way += 1
            most = max(most, under_way)
        yield b""
        with lock:
            under_way -= 1
        yield from repeating(OPENAI)(request)

    upstream.run(script)

    def ask(number: int) -> str:
        asked = caller.ask("p/m", f"number {number}", stream=bool(number % 2))
        answer = plain.post(narrow.base_url, caller.path, asked)
        assert answer.status == 200
        return (caller.text_of_stream if number % 2 else caller.text_of)(answer.body)

    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(ask, range(32)))
    assert said == [f"number {number}" for number in range(32)]
    assert most == 1


def test_who_leaves_the_queue_or_a_place_makes_room(narrow: Gateway, upstream: Stage):
    gate = Gate()
    first = [http1.stream_head(), http1.chunk(OPENAI.frames()[0]), gate, Do.CLOSE]
    upstream.play(first, http1.stream(*OPENAI.frames()))
    asked = OPENAI.ask("p/m", stream=True)
    with raw.posted(narrow.base_url, OPENAI.path, asked) as holding:
        waiting = plain.connection(narrow.base_url)
        waiting.request("POST", OPENAI.path, msgspec.json.encode(asked))
        waiting.close()
        patient = plain.connection(narrow.base_url)
        patient.request("POST", OPENAI.path, msgspec.json.encode(asked))
        holding.leave()
        assert patient.getresponse().read().endswith(OPENAI.end)
        patient.close()
    assert len(upstream.requests) == 2


def test_a_call_does_not_wait_in_the_queue_beyond_its_time(narrow: Gateway, upstream: Stage):
    gate = Gate()
    upstream.play([http1.stream_head(), http1.chunk(OPENAI.frames()[0]), gate, Do.CLOSE])
    asked = OPENAI.ask("p/m", stream=True)
    with raw.posted(narrow.base_url, OPENAI.path, asked):
        headers = {"x-modelmux-timeout": "0.3"}
        answer = plain.post(narrow.base_url, OPENAI.path, OPENAI.ask("p/m"), headers)
        assert (answer.status, OPENAI.told(answer.body).code) == (429, "rate_limit_exceeded")
    assert len(upstream.requests) == 1


@CALLERS
def test_a_connection_serves_one_call_after_another(house: House, caller: Dialect):
    house.behind(caller).run(repeating(caller))
    line = plain.connection(house.url)
    for number in range(20):
        stream = bool(number % 2)
        body = (
            b"{"
            if number % 5 == 4
            else msgspec.json.encode(caller.ask(caller.model, f"number {number}", stream=stream))
        )
        line.request("POST", caller.path, body, {"content-type": "application/json"})
        response = line.getresponse()
        received = response.read()
        if number % 5 == 4:
            assert response.status == 400
        else:
            said = caller.text_of_stream if stream else caller.text_of
            assert said(received) == f"number {number}"
    line.close()


@CALLERS
def test_requests_may_be_sent_before_answers_have_come(house: House, caller: Dialect):
    house.behind(caller).run(repeating(caller))
    line = plain.connection(house.url)
    line.connect()
    for number in range(5):
        body = msgspec.json.encode(caller.ask(caller.model, f"number {number}"))
        head = f"POST {caller.path} HTTP/1.1\r\nhost: h\r\ncontent-length: {len(body)}\r\n\r\n"
        line.sock.sendall(head.encode() + body)
    received = b""
    while received.count(b"number ") < 5:
        received += line.sock.recv(65536)
    at = [received.index(b"number %d" % number) for number in range(5)]
    assert at == sorted(at)
    line.close()
