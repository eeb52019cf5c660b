"""What is said over the wire while measuring: calls as the SDKs send them, answers as the providers
give them, headers included, because headers are a good part of what a proxy has to do.

Both sides use the same text, so that every answer can be checked by what it says, whatever wire it
came back on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

WireName = Literal["openai", "anthropic"]

CALLER_KEY = "sk-bench-caller-4f9d1c7e2ab85360"
"""What the caller shows the gateway. The mock upstream refuses a call that still carries it."""
UPSTREAM_KEYS: dict[WireName, str] = {
    "openai": "sk-bench-openai-upstream",
    "anthropic": "sk-bench-anthropic-upstream",
}
MODELS: dict[WireName, str] = {"openai": "gpt-4.1", "anthropic": "claude-sonnet-4-5"}
PATHS: dict[WireName, str] = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}

PROMPT_TOKENS, COMPLETION_TOKENS = 213, 117
TEXT = (
    "A reverse proxy stands in front of one or more servers and answers on their behalf. It\n"
    "terminates connections, picks a server for each request, passes the request on, and returns "
    "the answer as if it were its own. Three things follow:\n\n"
    '1. Clients need to know one address only, and one set of "house rules".\n'
    "2. Servers may come, go and move without anybody noticing \u2014 even mid-day.\n"
    "3. What every server would do (TLS, limits, logs, caches) is done once, in one place.\n\n"
    "The price is one more hop: a little latency, and a process that must not fail."
)
WORDS = (TEXT.replace(" ", "\0 ") * 2).split("\0")[:100]
"""One for each content event of a stream; a longer stream begins again."""

_OPENAI_ID = "chatcmpl-CfRx2mWk8QnT4hZJp6vYs0dLbEaU9"
_ANTHROPIC_ID = "msg_01XFDUDYJgAACzvnptvVoYEL"
_CREATED = 1763629200


@dataclass(frozen=True, slots=True)
class Stream:
    """How the mock upstream paces a streamed answer."""

    chunks: int = 100
    interval_us: int = 0
    """Between two chunks; 0: as fast as they are taken."""
    tick_us: int = 0
    """Chunks of several streams come together, at multiples of this."""
    gathered: bool = False
    """A hundred chunks in one write."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One kind of call, as the caller makes it."""

    wire: WireName
    model: str
    stream: Stream | None = None
    prompt_bytes: int = 700
    fault: str = ""
    """For the benchmark's own test: the mock upstream answers wrongly in this way."""


def text_of(stream: Stream | None) -> str:
    """What the answer to a call says."""
    if stream is None:
        return TEXT
    return "".join(WORDS[i % len(WORDS)] for i in range(stream.chunks))


def request(ask: Ask, *, port: int, prefix: str, credential: str) -> bytes:
    """A whole HTTP request: `prefix` goes before the path, `credential` is the key to show."""
    body = msgspec.json.encode(_openai_call(ask) if ask.wire == "openai" else _anthropic_call(ask))
    headers = _openai_headers if ask.wire == "openai" else _anthropic_headers
    lines = [
        f"POST {prefix}{PATHS[ask.wire]} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        *headers(credential),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def write_answers(folder: Path) -> None:
    """Write what the mock upstream serves: for each wire the parts that `upstream.c` reads."""
    for wire in ("openai", "anthropic"):
        for part, content in _answers(wire):
            (folder / f"{wire}.{part}").write_bytes(content)


def _answers(wire: WireName) -> Iterator[tuple[str, bytes]]:
    whole = _openai_whole if wire == "openai" else _anthropic_whole
    events = _openai_events if wire == "openai" else _anthropic_events
    body = whole(TEXT)
    yield "whole", _head(wire, "application/json", len(body)) + body
    body = whole(TEXT[:-40])
    yield "swapped", _head(wire, "application/json", len(body)) + body
    yield "stream_head", _head(wire, "text/event-stream; charset=utf-8", None)
    start, content, end = events()
    yield "stream_start", start
    yield "stream_content", content
    yield "stream_end", end


# --- calls ----------------------------------------------------------------------------------------


def _prompt(ask: Ask) -> str:
    steer = ""
    if ask.stream is not None:
        steer = f" chunks={ask.stream.chunks} interval_us={ask.stream.interval_us}"
        steer += f" tick_us={ask.stream.tick_us}" if ask.stream.tick_us else ""
        steer += " gathered=1" if ask.stream.gathered else ""
    if ask.fault:
        steer += f" fault={ask.fault}"
    question = (
        f"What is a reverse proxy, and what is it for? [[mock{steer} ]]\n\nWhat I have read: "
    )
    return question + (TEXT * (ask.prompt_bytes // len(TEXT) + 1))[: ask.prompt_bytes]


def _openai_call(ask: Ask) -> dict[str, object]:
    call: dict[str, object] = {
        "messages": [
            {"role": "system", "content": "You explain networks to beginners. Be brief."},
            {"role": "user", "content": _prompt(ask)},
        ],
        "model": ask.model,
        "max_tokens": 1024,
        "temperature": 0.2,
    }
    if ask.stream is not None:
        call |= {"stream": True, "stream_options": {"include_usage": True}}
    return call


def _anthropic_call(ask: Ask) -> dict[str, object]:
    call: dict[str, object] = {
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": _prompt(ask)}],
        "model": ask.model,
        "system": "You explain networks to beginners. Be brief.",
        "temperature": 0.2,
    }
    if ask.stream is not None:
        call["stream"] = True
    return call


_STAINLESS = [
    "X-Stainless-Lang: python",
    "X-Stainless-OS: Linux",
    "X-Stainless-Arch: x64",
    "X-Stainless-Runtime: CPython",
    "X-Stainless-Runtime-Version: 3.12.11",
    "X-Stainless-Async: async:asyncio",
    "x-stainless-retry-count: 0",
    "x-stainless-read-timeout: 600",
]


def _openai_headers(credential: str) -> Sequence[str]:
    return [
        "Accept-Encoding: gzip, deflate",
        "Connection: keep-alive",
        "Accept: application/json",
        "Content-Type: application/json",
        "User-Agent: AsyncOpenAI/Python 2.8.1",
        "X-Stainless-Package-Version: 2.8.1",
        *_STAINLESS,
        f"Authorization: Bearer {credential}",
    ]


def _anthropic_headers(credential: str) -> Sequence[str]:
    return [
        "Accept-Encoding: gzip, deflate",
        "Connection: keep-alive",
        "Accept: application/json",
        "Content-Type: application/json",
        "User-Agent: AsyncAnthropic/Python 0.75.0",
        "X-Stainless-Package-Version: 0.75.0",
        *_STAINLESS,
        "anthropic-version: 2023-06-01",
        f"X-Api-Key: {credential}",
    ]


# --- answers --------------------------------------------------------------------------------------

_OPENAI_HEADERS = [
    "access-control-expose-headers: X-Request-ID",
    "openai-organization: example-org-7gq2ya",
    "openai-processing-ms: 1482",
    "openai-project: proj_9mWq2ZcT4vXn8LkB1sHd6RyE",
    "openai-version: 2020-10-01",
    "x-envoy-upstream-service-time: 1497",
    "x-ratelimit-limit-requests: 10000",
    "x-ratelimit-limit-tokens: 30000000",
    "x-ratelimit-remaining-requests: 9999",
    "x-ratelimit-remaining-tokens: 29999731",
    "x-ratelimit-reset-requests: 6ms",
    "x-ratelimit-reset-tokens: 0s",
    "x-request-id: req_5a1c9e0b7d3f42688f1e6c2ab49d7053",
    "x-openai-proxy-wasm: v0.1",
    "cf-cache-status: DYNAMIC",
    "strict-transport-security: max-age=31536000; includeSubDomains; preload",
    "x-content-type-options: nosniff",
    "server: cloudflare",
    "cf-ray: 9a1b2c3d4e5f6071-FRA",
    'alt-svc: h3=":443"; ma=86400',
]
_ANTHROPIC_HEADERS = [
    "anthropic-ratelimit-requests-limit: 4000",
    "anthropic-ratelimit-requests-remaining: 3999",
    "anthropic-ratelimit-requests-reset: 2025-11-20T09:00:00Z",
    "anthropic-ratelimit-input-tokens-limit: 2000000",
    "anthropic-ratelimit-input-tokens-remaining: 2000000",
    "anthropic-ratelimit-input-tokens-reset: 2025-11-20T09:00:00Z",
    "anthropic-ratelimit-output-tokens-limit: 400000",
    "anthropic-ratelimit-output-tokens-remaining: 400000",
    "anthropic-ratelimit-output-tokens-reset: 2025-11-20T09:00:00Z",
    "anthropic-ratelimit-tokens-limit: 2400000",
    "anthropic-ratelimit-tokens-remaining: 2400000",
    "request-id: req_011CVJx7nQ2mZ8sKpL4tYwRb",
    "strict-transport-security: max-age=31536000; includeSubDomains; preload",
    "anthropic-organization-id: 6b1f0d1e-8a55-4c1c-9f3d-2f1e7f0a9c44",
    "server: cloudflare",
    "x-envoy-upstream-service-time: 2210",
    "via: 1.1 google",
    "cf-cache-status: DYNAMIC",
    "x-robots-tag: none",
    "cf-ray: 9a1b2c3d4e5f6071-FRA",
]


def _head(wire: WireName, content_type: str, body_bytes: int | None) -> bytes:
    lines = [
        "HTTP/1.1 200 OK",
        "date: Thu, 20 Nov 2025 09:00:00 GMT",
        f"content-type: {content_type}",
        *(_OPENAI_HEADERS if wire == "openai" else _ANTHROPIC_HEADERS),
        "transfer-encoding: chunked" if body_bytes is None else f"content-length: {body_bytes}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _openai_usage() -> dict[str, object]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": COMPLETION_TOKENS,
        "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _openai_whole(text: str) -> bytes:
    body: dict[str, object] = {
        "id": _OPENAI_ID,
        "object": "chat.completion",
        "created": _CREATED,
        "model": MODELS["openai"] + "-2025-04-14",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": text,
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": _openai_usage(),
        "service_tier": "default",
        "system_fingerprint": "fp_3502f4eb73",
    }
    # The provider sends whole answers indented.
    return msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n"


def _openai_event(choices: Sequence[object], usage: object = None) -> bytes:
    chunk = {
        "id": _OPENAI_ID,
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": MODELS["openai"] + "-2025-04-14",
        "service_tier": "default",
        "system_fingerprint": "fp_3502f4eb73",
        "choices": choices,
        "usage": usage,
    }
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def _openai_events() -> tuple[bytes, bytes, bytes]:
    def choice(delta: object, finish: str | None = None) -> list[object]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    start = choice({"role": "assistant", "content": "", "refusal": None})
    content = b"".join(_openai_event(choice({"content": word})) for word in WORDS)
    end = _openai_event(choice({}, "stop")) + _openai_event([], _openai_usage())
    return _openai_event(start), content, end + b"data: [DONE]\n\n"


def _anthropic_message(content: Sequence[object], stop: str | None, out: int) -> dict[str, object]:
    return {
        "model": MODELS["anthropic"] + "-20250929",
        "id": _ANTHROPIC_ID,
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": PROMPT_TOKENS,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": out,
            "service_tier": "standard",
        },
    }


def _anthropic_whole(text: str) -> bytes:
    content = [{"type": "text", "text": text}]
    return msgspec.json.encode(_anthropic_message(content, "end_turn", COMPLETION_TOKENS))


def _anthropic_event(kind: str, **fields: object) -> bytes:
    return (
        f"event: {kind}\ndata: ".encode() + msgspec.json.encode({"type": kind} | fields) + b"\n\n"
    )


def _anthropic_events() -> tuple[bytes, bytes, bytes]:
    start = (
        _anthropic_event("message_start", message=_anthropic_message([], None, 1))
        + _anthropic_event(
            "content_block_start", index=0, content_block={"type": "text", "text": ""}
        )
        + _anthropic_event("ping")
    )
    content = b"".join(
        _anthropic_event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        for word in WORDS
    )
    usage = {"input_tokens": PROMPT_TOKENS, "output_tokens": COMPLETION_TOKENS}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    end = (
        _anthropic_event("content_block_stop", index=0)
        + _anthropic_event("message_delta", delta=stop, usage=usage)
        + _anthropic_event("message_stop")
    )
    return start, content, end
