"""Requests that are passed on as they came, and answers that are passed back."""

from typing import Final

import msgspec
from msgspec import Struct

from modelmux.ir.response import Summary, Usage
from modelmux.target.passage import Passage, Payload, Spliced
from modelmux.target.reply import Passed, Reply
from modelmux.transport.base import HttpResponse
from modelmux.wire import extra

MAX_READ_BYTES: Final = 262_144
"""Up to this size an answer in JSON is read whole, because it says what it cost."""

_SHOWN: Final = frozenset({b"content-type", b"content-disposition", b"openai-processing-ms"})
"""Header fields of an answer that say what it is; no others are passed back."""

_MASK: Final = "…".encode()


class _Usage(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(Struct):
    usage: _Usage | None = None


_answer = msgspec.json.Decoder(_Answer)


def renamed(passage: Passage, asked: str, model: str) -> Payload:
    """The body, with the provider's name for the model in place of the one asked for."""
    payload = passage.payload
    if not model or asked == model:
        return payload
    if passage.model_at is not None:
        start, end = passage.model_at
        return Spliced(payload, start, end, model.encode())
    if isinstance(payload, bytes) and payload:
        return extra.replace_string(payload, "model", asked, model)
    return payload


async def reply(response: HttpResponse, secret: bytes) -> Reply:
    """A provider's answer, to be passed back.

    Args:
        response: It.
        secret: The credential that was sent, which must not be shown; or `b""`.

    Raises:
        TargetError: A short answer broke off.
    """
    fields = tuple(field for field in response.headers if field[0] in _SHOWN)
    if not _is_short_json(response):
        passed = Passed(response, response.status, fields)
        return Reply(passed, aclose=response.aclose)
    try:
        body = await response.read(MAX_READ_BYTES)
    finally:
        await response.aclose()
    if secret:
        body = body.replace(secret, _MASK)
    made = Reply(Passed(body, response.status, fields))
    made.summary = Summary(_usage(body))
    return made


def _is_short_json(response: HttpResponse) -> bool:
    kind = response.header(b"content-type") or b""
    size = response.header(b"content-length") or b""
    short = size.isdigit() and int(size[:10]) <= MAX_READ_BYTES
    return short and kind.lower().startswith(b"application/json")


def _usage(body: bytes) -> Usage | None:
    """Tokens, where the answer tells them as OpenAI's API or Anthropic's does."""
    try:
        usage = _answer.decode(body).usage
    except extra.MALFORMED:
        return None  # it is passed on and not looked into: what it is, is the caller's to find
    if usage is None:
        return None
    return Usage(
        usage.input_tokens or usage.prompt_tokens or 0,
        usage.output_tokens or usage.completion_tokens or 0,
    )
