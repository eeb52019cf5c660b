import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux import __version__
from modelmux.errors import ConfigError
from modelmux.provider import catalog
from modelmux.provider.catalog import ProviderRow, WireRow
from modelmux.provider.endpoint import MAX_HEADS, Endpoint

OPENAI = catalog.load().provider("openai")
ANTHROPIC = catalog.load().provider("anthropic")
COMPATIBLE = catalog.load().provider("openai_compatible")
IN_PATH = ProviderRow(
    type="in_path",
    base_url="https://api.example.com",
    version="v1beta",
    wires=(
        WireRow(
            wire="w",
            paths={
                "chat": "/models/{model}:generate",
                "chat.stream": "/models/{model}:stream?alt=sse",
                "count_tokens": "/models/count:generate",
            },
        ),
    ),
)


def path_of(head: bytes) -> str:
    return head.split(b" ")[1].decode()


def test_a_head_is_a_request_line_and_fields_and_nothing_more():
    head = Endpoint(OPENAI).head("openai.chat", "chat")
    assert head == (
        b"POST /v1/chat/completions HTTP/1.1\r\n"
        b"host: api.openai.com\r\n"
        b"content-type: application/json\r\n"
        b"user-agent: modelmux/" + __version__.encode() + b"\r\n"
    )


def test_anthropic_says_which_version_it_speaks():
    endpoint = Endpoint(ANTHROPIC)
    head = endpoint.head("anthropic.messages", "chat", stream=True)
    assert b"\r\nanthropic-version: 2023-06-01\r\n" in head
    assert path_of(head) == "/v1/messages"
    assert path_of(endpoint.head("anthropic.messages", "count_tokens")) == (
        "/v1/messages/count_tokens"
    )


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://h", "/v1/chat/completions"),
        ("https://h/", "/v1/chat/completions"),
        ("https://h/v1", "/v1/chat/completions"),
        ("https://h/v1/", "/v1/chat/completions"),
        ("https://h/openai/v1", "/openai/v1/chat/completions"),
        ("https://h/api", "/api/v1/chat/completions"),
        ("https://h/api/v3", "/api/v3/chat/completions"),
        ("https://h/v1beta/openai/", "/v1beta/openai/chat/completions"),
        ("https://h/client/v4/accounts/x/ai", "/client/v4/accounts/x/ai/chat/completions"),
        ("https://h/vllm", "/vllm/v1/chat/completions"),
        ("https://h/api/chat/completions", "/api/chat/completions"),
        ("https://h/v1/chat/completions", "/v1/chat/completions"),
        ("https://h/my%20models", "/my%20models/v1/chat/completions"),
        ("https://h/modèles", "/mod%C3%A8les/v1/chat/completions"),
        ("unix:/run/llm.sock", "/v1/chat/completions"),
        ("unix:/run/llm.sock:/v1", "/v1/chat/completions"),
    ],
)
def test_a_base_url_works_with_and_without_its_version(base_url, path):
    endpoint = Endpoint(COMPATIBLE, base_url=base_url)
    assert path_of(endpoint.head("openai.chat", "chat")) == path


def test_a_provider_without_versions_gets_none():
    row = ProviderRow(type="x", version="", wires=COMPATIBLE.wires)
    endpoint = Endpoint(row, base_url="https://h")
    assert path_of(endpoint.head("openai.chat", "chat")) == "/chat/completions"


def test_the_host_field_names_the_port_where_it_is_not_the_usual_one():
    endpoint = Endpoint(COMPATIBLE, base_url="http://127.0.0.1:8080/v1")
    assert b"\r\nhost: 127.0.0.1:8080\r\n" in endpoint.head("openai.chat", "chat")
    assert endpoint.origin.port == 8080
    assert not endpoint.origin.is_tls


def test_a_provider_that_nobody_located_is_refused():
    with pytest.raises(ConfigError, match="no URL"):
        Endpoint(COMPATIBLE)


def test_header_fields_of_the_configuration_win():
    extra = {"User-Agent": "mine", "x-title": "t", "Anthropic-Version": "2024-01-01"}
    head = Endpoint(ANTHROPIC, extra_headers=extra).head("anthropic.messages", "chat")
    assert b"\r\nuser-agent: mine\r\n" in head
    assert b"\r\nx-title: t\r\n" in head
    assert b"\r\nanthropic-version: 2024-01-01\r\n" in head
    assert b"modelmux" not in head


def test_a_header_field_that_would_break_the_request_is_refused_at_load():
    with pytest.raises(ConfigError):
        Endpoint(OPENAI, extra_headers={"x": "a\r\nauthorization: Bearer stolen"})


def test_what_is_offered_can_be_asked():
    endpoint = Endpoint(ANTHROPIC)
    assert endpoint.offers("anthropic.messages", "count_tokens")
    assert not endpoint.offers("openai.chat", "chat")
    assert not Endpoint(OPENAI).offers("openai.chat", "count_tokens")
    with pytest.raises(KeyError):
        endpoint.head("openai.chat", "chat")


def test_a_model_in_the_path_stands_there_and_a_stream_may_have_a_path_of_its_own():
    endpoint = Endpoint(IN_PATH)
    assert endpoint.names_model("w", "chat")
    assert not endpoint.names_model("w", "count_tokens")
    assert path_of(endpoint.head("w", "chat", model="m")) == "/v1beta/models/m:generate"
    stream = endpoint.head("w", "chat", stream=True, model="m")
    assert path_of(stream) == "/v1beta/models/m:stream?alt=sse"
    count = endpoint.head("w", "count_tokens", stream=True, model="m")
    assert path_of(count) == "/v1beta/models/count:generate"


@pytest.mark.parametrize(
    ("model", "written"),
    [
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5@20251001"),
        ("a/../b", "a%2F..%2Fb"),
        ("m:rawPredict", "m%3ArawPredict"),
        ("a b;c?d#e", "a%20b%3Bc%3Fd%23e"),
        ("é\r\n", "%C3%A9%0D%0A"),
    ],
)
def test_a_model_cannot_leave_its_place_in_the_path(model, written):
    head = Endpoint(IN_PATH).head("w", "chat", model=model)
    assert path_of(head) == f"/v1beta/models/{written}:generate"


@given(st.text(min_size=1))
def test_whatever_a_model_is_called_the_head_stays_well_formed(model):
    if model.encode("utf-8", "ignore").decode() != model:
        return
    head = Endpoint(IN_PATH).head("w", "chat", model=model)
    line, *fields, end = head.split(b"\r\n")
    assert line.count(b" ") == 2
    assert all(field.count(b": ") >= 1 for field in fields)
    assert end == b""


def test_heads_of_models_are_kept_and_bounded():
    endpoint = Endpoint(IN_PATH)
    first = endpoint.head("w", "chat", model="m0")
    assert endpoint.head("w", "chat", model="m0") is first
    for number in range(MAX_HEADS + 1):
        endpoint.head("w", "chat", model=f"m{number}")
    assert len(endpoint._by_model) <= MAX_HEADS
    assert endpoint.head("w", "chat", model="m0") == first


def test_a_setting_that_is_missing_is_named():
    row = ProviderRow(
        type="x",
        base_url="https://h",
        wires=(WireRow(wire="w", paths={"chat": "/projects/{project}/x"}),),
    )
    with pytest.raises(ConfigError, match="project is not set"):
        Endpoint(row)
    endpoint = Endpoint(row, settings={"project": "example.com:p q"})
    assert path_of(endpoint.head("w", "chat")) == "/v1/projects/example.com:p%20q/x"


def test_an_operation_may_be_beside_the_version():
    row = catalog.load().provider("ollama")
    for base_url in ("http://h:1", "http://h:1/v1", "http://h:1/v1/chat/completions"):
        made = Endpoint(row, base_url=base_url)
        assert made.head("ollama.chat", "chat").startswith(b"POST /api/chat HTTP/1.1\r\n")
        assert made.head("openai.chat", "chat").startswith(b"POST /v1/chat/completions HTTP/1.1")
    behind = Endpoint(row, base_url="http://h:1/there/v1")
    assert behind.head("ollama.generate", "chat").startswith(b"POST /there/api/generate HTTP/1.1")
