"""What is passed on and not looked into: images, audio, files, batches."""

import os
import threading
from collections.abc import Generator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import msgspec
import openai
import pytest

from tests.e2e.conftest import logged
from tests.support import gateway, http1, memory, plain, raw, stage
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.stage import Stage
from tests.support.upstream import Do

CONFIG = """
[server]
log_format = "json"
enable_retries = false
max_upload_bytes = 2_000_000

[[keys]]
name = "all"
secret = "sk-caller-everything-1"

[[keys]]
name = "few"
secret = "sk-caller-few-models-2"
models = ["fast", "second/*"]

[[providers]]
name = "first"
type = "openai"
base_url = "{first}"
api_key = "sk-upstream-sentinel-1"
models = [
  {{ name = "hear", upstream = "whisper-2" }}, {{ name = "say", upstream = "tts-2" }}, "draw",
]

[[providers]]
name = "second"
type = "openai"
base_url = "{second}"
api_key = "sk-upstream-sentinel-2"
priority = 2
models = ["hear"]

[[providers]]
name = "third"
type = "anthropic"
base_url = "{second}"
api_key = "sk-upstream-sentinel-3"
"""

ALL = {"authorization": "Bearer sk-caller-everything-1"}
FEW = {"authorization": "Bearer sk-caller-few-models-2"}


@dataclass(frozen=True)
class Place:
    gateway: Gateway
    first: Stage
    second: Stage

    @property
    def url(self) -> str:
        return self.gateway.base_url

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(
            base_url=f"{self.url}/v1", api_key="sk-caller-everything-1", max_retries=0
        )


@pytest.fixture(scope="module")
def running_place(
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Place, None, None]:
    with stage.running() as first, stage.running() as second:
        config = CONFIG.format(first=first.base_url, second=second.base_url)
        with gateway.running(config, tmp_path_factory.mktemp("passing")) as running:
            yield Place(running, first, second)


@pytest.fixture
def place(running_place: Place) -> Place:
    running_place.first.play()
    running_place.second.play()
    return running_place


def form(*fields: tuple[str, str | bytes]) -> tuple[bytes, dict[str, str]]:
    """A form of text fields and, as bytes, files; and its header fields."""
    parts: list[bytes] = []
    for name, value in fields:
        if isinstance(value, bytes):
            head = f'name="{name}"; filename="a.bin"\r\ncontent-type: audio/wav'
            parts.append(head.encode() + b"\r\n\r\n" + value)
        else:
            parts.append(f'name="{name}"\r\n\r\n{value}'.encode())
    body = b"".join(b"--frontier\r\ncontent-disposition: form-data; " + p + b"\r\n" for p in parts)
    kind = "multipart/form-data; boundary=frontier"
    return body + b"--frontier--\r\n", {"content-type": kind, **ALL}


def whole(body: bytes, kind: str) -> bytes:
    """A whole answer of that kind."""
    return http1.head(200, ("content-type", kind), ("content-length", str(len(body)))) + body


@pytest.mark.parametrize("size", [10, 1_500_000], ids=["in memory", "on disk"])
@pytest.mark.parametrize("model_first", [True, False], ids=["model first", "model last"])
def test_a_recording_reaches_the_model_it_names(place: Place, size: int, model_first: bool):
    place.first.play([http1.answer(200, {"text": "hello", "usage": {"input_tokens": 7}})])
    sound = os.urandom(size)
    fields: list[tuple[str, str | bytes]] = [("model", "hear"), ("file", sound)]
    body, headers = form(*(fields if model_first else fields[::-1]), ("language", "en"))
    call_id = f"heard-{size}-{model_first}"
    answer = plain.request(
        place.url, "POST", "/v1/audio/transcriptions", body, {**headers, "x-request-id": call_id}
    )
    assert (answer.status, msgspec.json.decode(answer.body)["text"]) == (200, "hello")
    sent = place.first.request
    assert sent.target == "/v1/audio/transcriptions"
    assert sent.header("content-type") == headers["content-type"]
    assert sent.body == body.replace(b"\r\n\r\nhear\r\n", b"\r\n\r\nwhisper-2\r\n")
    line = logged(place.gateway, call_id)
    assert line["gen_ai.operation.name"] == "audio_transcriptions"
    assert line["gen_ai.usage.input_tokens"] == 7
    assert line["http.request.body.size"] == len(body)


def test_a_recording_goes_to_the_next_provider_where_one_fails(place: Place):
    place.first.play([http1.answer(503, {"error": {"message": "no"}})])
    place.second.play([http1.answer(200, {"text": "hello"})])
    body, headers = form(("file", os.urandom(1_000_000)), ("model", "hear"))
    answer = plain.request(place.url, "POST", "/v1/audio/transcriptions", body, headers)
    assert answer.headers["x-modelmux-target"] == "second/hear"
    assert place.second.request.body == body


def test_the_sdk_transcribes_and_speaks(place: Place):
    place.first.play([http1.answer(200, {"text": "hello"})])
    heard = place.client.audio.transcriptions.create(model="hear", file=("a.wav", b"RIFF"))
    assert heard.text == "hello"
    sound = os.urandom(300_000)
    place.first.play([whole(sound, "audio/mpeg")])
    said = place.client.audio.speech.create(model="say", voice="alloy", input="hello")
    assert said.content == sound
    assert said.response.headers["content-type"] == "audio/mpeg"
    assert place.first.request.json()["model"] == "tts-2"


def test_images_and_moderations_pass(place: Place):
    place.first.play([http1.answer(200, {"created": 1, "data": [{"b64_json": "AAAA"}]})])
    drawn = place.client.images.generate(model="draw", prompt="a cat")
    assert drawn.data is not None
    assert drawn.data[0].b64_json == "AAAA"
    place.first.play([http1.answer(200, {"id": "m", "model": "draw", "results": []})])
    assert place.client.moderations.create(model="draw", input="x").results == []
    place.first.play([http1.answer(200, {"created": 1, "data": [{"b64_json": "BBBB"}]})])
    edited = place.client.images.edit(model="draw", image=("a.png", b"PNG"), prompt="a hat")
    assert edited.data is not None
    assert place.first.request.target == "/v1/images/edits"


def test_a_sound_that_broke_off_does_not_look_whole(place: Place):
    head = http1.head(200, ("content-type", "audio/mpeg"), ("transfer-encoding", "chunked"))
    place.first.play([head, http1.chunk(b"x" * 100), Do.CLOSE])
    asked = {"model": "say", "voice": "alloy", "input": "x"}
    with raw.posted(place.url, "/v1/audio/speech", asked, ALL) as exchange:
        body = exchange.read_rest()
    assert exchange.status == 200
    assert not body.endswith(b"0\r\n\r\n")


def test_a_refusal_comes_in_the_providers_words(place: Place):
    error = {"error": {"message": "too loud", "type": "invalid_request_error", "more": [1]}}
    place.first.play([http1.answer(400, error)])
    body, headers = form(("model", "hear"), ("file", b"x"))
    answer = plain.request(place.url, "POST", "/v1/audio/transcriptions", body, headers)
    assert (answer.status, msgspec.json.decode(answer.body)) == (400, error)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([("file", b"x")], "expected a field of the form"),
        ([("model", ""), ("file", b"x")], "expected a field of the form"),
        ([("model", "m" * 2000)], "at most 1024 bytes"),
        ([("model", "nobodys")], "nobodys"),
    ],
)
def test_a_wrong_form_is_refused(place: Place, fields: list[tuple[str, str | bytes]], said: str):
    body, headers = form(*fields)
    answer = plain.request(place.url, "POST", "/v1/audio/transcriptions", body, headers)
    assert answer.status in (400, 404)
    assert said in msgspec.json.decode(answer.body)["error"]["message"]
    assert place.first.requests == []


def test_what_is_no_form_is_refused(place: Place):
    headers = {**ALL, "content-type": "multipart/form-data"}
    answer = plain.request(place.url, "POST", "/v1/audio/translations", b"--x", headers)
    assert answer.status == 400
    answer = plain.request(place.url, "POST", "/v1/audio/translations", b"{}", ALL)
    assert answer.status == 400


def test_a_body_that_is_too_large_is_turned_away(place: Place):
    body, headers = form(("model", "hear"), ("file", b"x" * 2_000_001))
    answer = plain.request(place.url, "POST", "/v1/audio/transcriptions", body, headers)
    assert answer.status == 413
    assert "max_upload_bytes" in msgspec.json.decode(answer.body)["error"]["message"]


def test_a_provider_of_another_api_says_that_it_has_no_words(place: Place):
    asked = {"model": "third/any", "voice": "alloy", "input": "x"}
    answer = plain.post(place.url, "/v1/audio/speech", asked, ALL)
    assert answer.status == 422


def test_files_are_kept_by_the_first_provider(place: Place):
    place.first.play([http1.answer(200, {"id": "file-1", "object": "file"})])
    client = place.client
    made = client.files.create(file=("a.jsonl", b"{}\n" * 300_000), purpose="batch")
    assert made.id == "file-1"
    assert place.first.request.body.count(b"{}\n") == 300_000
    place.first.play([whole(b"the content", "application/x-jsonl")])
    assert client.files.content("file-1").content == b"the content"
    assert place.first.request.target == "/v1/files/file-1/content"
    place.first.play([http1.answer(200, {"id": "file-1", "object": "file", "deleted": True})])
    assert client.files.delete("file-1").deleted
    assert place.first.request.method == "DELETE"
    place.first.play([http1.answer(200, {"object": "list", "data": [], "has_more": False})])
    assert list(client.files.list(limit=3, after="file-0")) == []
    assert place.first.request.target == "/v1/files?after=file-0&limit=3"


def test_batches_are_begun_and_cancelled(place: Place):
    batch = {"id": "b-1", "object": "batch", "endpoint": "/v1/chat/completions", "status": "x"}
    place.first.play([http1.answer(200, batch)])
    made = place.client.batches.create(
        input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert made.id == "b-1"
    place.first.play([http1.answer(200, batch)])
    place.client.batches.cancel("b-1")
    assert place.first.request.target == "/v1/batches/b-1/cancel"


def test_another_provider_is_named(place: Place):
    place.second.play([http1.answer(200, {"object": "list", "data": []})])
    named = {**ALL, "x-modelmux-provider": "second"}
    answer = plain.request(place.url, "GET", "/v1/files?key=sk-leak&limit=2", None, named)
    assert answer.headers["x-modelmux-target"] == "second/files"
    assert place.second.request.target == "/v1/files?limit=2"
    nobody = {**ALL, "x-modelmux-provider": "nobody"}
    answer = plain.request(place.url, "GET", "/v1/files", None, nobody)
    assert answer.status == 404
    assert "first, second" in msgspec.json.decode(answer.body)["error"]["message"]


def test_anthropics_files_and_batches_are_anthropics(place: Place):
    place.second.play([http1.answer(200, {"data": [], "has_more": False})])
    headers = {"x-api-key": "sk-caller-everything-1", "anthropic-version": "2023-06-01"}
    plain.request(place.url, "GET", "/v1/files", None, headers)
    assert place.second.request.header("x-api-key") == "sk-upstream-sentinel-3"
    place.second.play([http1.answer(200, {"id": "msgbatch_1"})])
    plain.request(place.url, "GET", "/v1/messages/batches/msgbatch_1/results", None, headers)
    assert place.second.request.target == "/v1/messages/batches/msgbatch_1/results"


def test_a_key_for_some_models_sees_only_accounts_that_it_allows(place: Place):
    place.second.play([http1.answer(200, {"object": "list", "data": []})])
    answer = plain.request(place.url, "GET", "/v1/files", None, FEW)
    assert answer.headers["x-modelmux-target"] == "second/files"
    named = {**FEW, "x-modelmux-provider": "first"}
    answer = plain.request(place.url, "GET", "/v1/files", None, named)
    assert answer.status == 403
    assert place.first.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/../models",
        "/v1/files/%2e%2e/models",
        "/v1/files/a/../../models",
        "/v1/files/a%0d%0ax",
        "/v1/files/a%2fb/c/d/e/f",
        "/v1/files//x",
        "/v1/files/a%3fb",
    ],
)
def test_a_path_leads_to_nothing_else(place: Place, path: str):
    answer = plain.request(place.url, "GET", path, None, ALL)
    assert answer.status == 404
    assert place.first.requests == []


class Sink(BaseHTTPRequestHandler):
    """An upstream that reads 200 MB without keeping them: a stage keeps all it is sent."""

    taken: ClassVar[list[int]] = []
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        left = size = int(self.headers["content-length"])
        while left:
            left -= len(self.rfile.read(min(left, 1_000_000)))
        self.taken.append(size)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "16")
        self.end_headers()
        self.wfile.write(b'{"text":"hello"}')

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def sink() -> Generator[str, None, None]:
    Sink.taken.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_large_upload_takes_no_memory(start_gateway: GatewayStarter, sink: str):
    config = CONFIG.format(first=sink, second=sink).replace("2_000_000", "300_000_000")
    running = start_gateway(config)
    body, headers = form(("file", bytes(200_000_000)), ("model", "hear"))
    answer = plain.request(
        running.base_url, "POST", "/v1/audio/transcriptions", body, headers, timeout_s=40
    )
    assert answer.status == 200
    assert Sink.taken == [len(body) + len("whisper-2") - len("hear")]
    assert memory.peak_bytes(running.pid) < 120_000_000
