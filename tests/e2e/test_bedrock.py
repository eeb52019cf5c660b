"""Amazon Bedrock behind the gateway: signatures, Converse, Claude's own bodies, and what breaks."""

import re
from base64 import b64encode
from collections.abc import Generator

import msgspec
import pytest

from modelmux.wire.framing import eventstream
from tests.support import gateway, http1, plain, stage
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, TEXT, WORDS, Dialect
from tests.support.gateway import Gateway
from tests.support.stage import Stage

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
AMAZON = ("content-type", "application/vnd.amazon.eventstream")

CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)


@pytest.fixture(scope="module")
def amazon() -> Generator[Stage, None, None]:
    with stage.running() as running:
        yield running


@pytest.fixture(scope="module")
def running(
    amazon: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Gateway, None, None]:
    config = f"""
[server]
log_format = "json"
enable_retries = false

[[providers]]
name = "bedrock"
type = "bedrock"
region = "us-east-1"
base_url = "{amazon.base_url}"
access_key_id = "AKIDEXAMPLE"
secret_access_key = "wJalrXUtnFEMI/K7MDENG"
session_token = "session-token"

[[providers]]
name = "keyed"
type = "bedrock"
region = "us-east-1"
base_url = "{amazon.base_url}"
api_key = "bedrock-api-key-000"
"""
    with gateway.running(config, tmp_path_factory.mktemp("bedrock")) as started:
        yield started


def answered(text: str = TEXT) -> list[bytes]:
    body = {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 12, "outputTokens": 7, "totalTokens": 19},
        "metrics": {"latencyMs": 5},
    }
    return [http1.answer(200, body, ("x-amzn-requestid", "amzn-1"))]


def event(name: str, **payload: object) -> bytes:
    return eventstream.event(name, msgspec.json.encode(payload))


def converse_stream() -> list[bytes]:
    deltas = [event("contentBlockDelta", contentBlockIndex=0, delta={"text": w}) for w in WORDS]
    return [
        event("messageStart", role="assistant"),
        *deltas,
        event("contentBlockStop", contentBlockIndex=0),
        event("messageStop", stopReason="end_turn"),
        event("metadata", usage={"inputTokens": 12, "outputTokens": 7, "totalTokens": 19}),
    ]


def claude_stream() -> list[bytes]:
    frames: list[bytes] = []
    for each in ANTHROPIC.frames(""):
        data = each.partition(b"data: ")[2].strip()
        payload = msgspec.json.encode({"bytes": b64encode(data).decode()})
        frames.append(eventstream.event("chunk", payload))
    return frames


def streamed(*pieces: bytes) -> list[bytes]:
    head = http1.head(200, AMAZON, ("transfer-encoding", "chunked"))
    return [head, *map(http1.chunk, pieces), http1.LAST_CHUNK]


def ask(running: Gateway, caller: Dialect, model: str, *, stream: bool = False) -> plain.Answer:
    return plain.post(running.base_url, caller.path, caller.ask(model, stream=stream))


@CALLERS
def test_a_model_is_asked_by_converse_and_signed(
    running: Gateway, amazon: Stage, caller: Dialect
) -> None:
    amazon.play(answered())
    answer = ask(running, caller, f"bedrock/{NOVA}")
    assert caller.text_of(answer.body) == TEXT
    request = amazon.request
    assert request.target == "/model/amazon.nova-lite-v1%3A0/converse"
    authorization = request.header("authorization") or ""
    assert re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/us-east-1/bedrock/aws4_request, "
        r"SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}",
        authorization,
    )
    assert request.header("x-amz-security-token") == "session-token"
    sent = request.json()
    assert isinstance(sent, dict)
    assert sent["messages"] == [{"role": "user", "content": [{"text": "hello"}]}]
    assert not sent.keys() & {"model", "stream"}


@CALLERS
def test_an_answer_without_an_id_gets_one(running: Gateway, amazon: Stage, caller: Dialect) -> None:
    amazon.play(answered())
    assert msgspec.json.decode(ask(running, caller, f"bedrock/{NOVA}").body)["id"]


@case(100)
@CALLERS
@pytest.mark.parametrize("size", [5, 1 << 20])
def test_a_stream_in_amazons_frames_is_the_callers_own(
    running: Gateway, amazon: Stage, caller: Dialect, size: int
) -> None:
    data = b"".join(converse_stream())
    amazon.play(streamed(*(data[at : at + size] for at in range(0, len(data), size))))
    answer = ask(running, caller, f"bedrock/{NOVA}", stream=True)
    assert caller.text_of_stream(answer.body) == TEXT
    assert answer.body.endswith(caller.end)
    assert amazon.request.target.endswith("/converse-stream")


@CALLERS
def test_claude_is_asked_in_its_own_words(running: Gateway, amazon: Stage, caller: Dialect) -> None:
    amazon.play([http1.answer(200, ANTHROPIC.answer("claude"))])
    answer = ask(running, caller, f"bedrock/{CLAUDE}")
    assert caller.text_of(answer.body) == TEXT
    request = amazon.request
    assert request.target == f"/model/{CLAUDE.replace(':', '%3A')}/invoke"
    sent = request.json()
    assert isinstance(sent, dict)
    assert sent["anthropic_version"] == "bedrock-2023-05-31"
    assert not sent.keys() & {"model", "stream"}


@case(65)
def test_betas_travel_in_the_body_and_unknown_ones_do_not(running: Gateway, amazon: Stage) -> None:
    amazon.play([http1.answer(200, ANTHROPIC.answer("claude"))])
    answer = plain.post(
        running.base_url,
        ANTHROPIC.path,
        ANTHROPIC.ask(f"bedrock/{CLAUDE}"),
        {"anthropic-beta": "interleaved-thinking-2025-05-14,files-api-2025-04-14"},
    )
    request = amazon.request
    sent = request.json()
    assert isinstance(sent, dict)
    assert sent["anthropic_beta"] == ["interleaved-thinking-2025-05-14"]
    assert request.header("anthropic-beta") is None
    assert "files-api-2025-04-14" in answer.headers["x-modelmux-losses"]


@case(100)
@CALLERS
def test_claudes_stream_comes_out_of_its_frames(
    running: Gateway, amazon: Stage, caller: Dialect
) -> None:
    amazon.play(streamed(*claude_stream()))
    answer = ask(running, caller, f"bedrock/{CLAUDE}", stream=True)
    assert caller.text_of_stream(answer.body) == TEXT
    assert answer.body.endswith(caller.end)
    assert amazon.request.target.endswith("/invoke-with-response-stream")


def test_a_bearers_key_is_shown_and_nothing_is_signed(running: Gateway, amazon: Stage) -> None:
    amazon.play(answered())
    ask(running, OPENAI, f"keyed/{NOVA}")
    assert amazon.request.header("authorization") == "Bearer bedrock-api-key-000"
    assert amazon.request.header("x-amz-date") is None


MODELS = pytest.mark.parametrize(
    ("model", "frames"),
    [(NOVA, converse_stream), (CLAUDE, claude_stream)],
    ids=["converse", "claude"],
)
BROKEN = eventstream.exception("modelStreamErrorException", b'{"message":"The model failed."}')


@case(92, 100)
@CALLERS
@MODELS
def test_an_exception_in_mid_stream_is_the_callers_own_error(
    running: Gateway, amazon: Stage, caller: Dialect, model: str, frames: object
) -> None:
    assert callable(frames)
    amazon.play(streamed(*frames()[:-3], BROKEN))
    answer = ask(running, caller, f"bedrock/{model}", stream=True)
    assert answer.status == 200
    assert b"The model failed." in answer.body
    assert caller.end not in answer.body


@case(93, 100)
@CALLERS
@MODELS
@pytest.mark.parametrize("how", ["cut inside a frame", "bad checksum", "ends early"])
def test_a_stream_that_breaks_never_looks_finished(
    running: Gateway, amazon: Stage, caller: Dialect, model: str, frames: object, how: str
) -> None:
    assert callable(frames)
    whole = frames()[:-3]
    last = {
        "cut inside a frame": BROKEN[:20],
        "bad checksum": BROKEN[:-1] + bytes([BROKEN[-1] ^ 1]),
        "ends early": b"",
    }[how]
    amazon.play(streamed(*whole, *([last] if last else [])))
    answer = ask(running, caller, f"bedrock/{model}", stream=True)
    assert caller.end not in answer.body
    assert b"error" in answer.body


@case(94, 102, 104)
@CALLERS
@pytest.mark.parametrize("model", [NOVA, CLAUDE], ids=["converse", "claude"])
@pytest.mark.parametrize(
    "refusal",
    [
        (400, "ValidationException", 400),
        (404, "ResourceNotFoundException", 404),
        (429, "ThrottlingException", 429),
        (403, "AccessDeniedException", 502),
        (424, "ModelErrorException", 502),
        (408, "ModelTimeoutException", 504),
    ],
    ids=lambda refusal: refusal[1],
)
def test_a_plain_error_before_the_stream_has_its_status(
    running: Gateway, amazon: Stage, caller: Dialect, model: str, refusal: tuple[int, str, int]
) -> None:
    status, type_, expected = refusal
    told = {"message": f"about {type_}"}
    headers = ("x-amzn-errortype", f"{type_}:http://internal.amazon.com/"), ("retry-after", "0")
    amazon.play([http1.answer(status, told, *headers)])
    answer = ask(running, caller, f"bedrock/{model}-{type_}", stream=True)
    assert answer.status == expected
    assert f"about {type_}".encode() in answer.body or expected == 502
    msgspec.json.decode(answer.body)


@case(94)
@CALLERS
def test_an_exception_first_thing_in_a_200_has_a_real_status(
    running: Gateway, amazon: Stage, caller: Dialect
) -> None:
    slow = eventstream.exception("throttlingException", b'{"message":"slow down"}')
    amazon.play(streamed(slow))
    answer = ask(running, caller, f"bedrock/{NOVA}-x", stream=True)
    assert answer.status == 429
    assert b"slow down" in answer.body


@CALLERS
def test_a_200_with_an_error_body_is_an_error(
    running: Gateway, amazon: Stage, caller: Dialect
) -> None:
    amazon.play([http1.answer(200, {"__type": "InternalServerException", "message": "boom"})])
    answer = ask(running, caller, f"bedrock/{NOVA}")
    assert answer.status == 502
    assert b"boom" in answer.body


def test_a_clock_that_is_wrong_is_set_and_the_call_signed_anew(
    running: Gateway, amazon: Stage
) -> None:
    refused = http1.answer(
        403,
        {"message": "Signature expired"},
        ("x-amzn-errortype", "InvalidSignatureException"),
        ("date", "Fri, 01 Jan 2027 00:00:00 GMT"),
    )
    amazon.play([refused], answered())
    assert OPENAI.text_of(ask(running, OPENAI, f"bedrock/{NOVA}").body) == TEXT
    first, second = amazon.requests
    assert (second.header("x-amz-date") or "").startswith("20270101T0000")
    assert first.header("authorization") != second.header("authorization")


def test_no_secret_is_logged(running: Gateway) -> None:
    assert "wJalrXUtnFEMI" not in running.log
    assert "bedrock-api-key-000" not in running.log
