"""Requests that are wrong: refused at once, in the caller's dialect, with the field by its name."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from tests.e2e.conftest import House
from tests.support import plain
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, Dialect
from tests.support.gateway import GatewayStarter

CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)

# Of the other kind: what goes to the same kind unread is the upstream's to judge.
OPENAIS_TARGET, ANTHROPICS_TARGET = "anthropic/claude-haiku-4-5", "openai/gpt-4.1-mini"
TARGETS = {"openai": OPENAIS_TARGET, "anthropic": ANTHROPICS_TARGET}

NO_REQUESTS: dict[str, bytes] = {
    "empty": b"",
    "half": b'{"model": "m", "messages": [',
    "no JSON": b"model=m&messages=hello",
    "a list": b"[]",
    "a number": b"1",
    "not UTF-8": b'{"model": "\xff\xfe", "messages": []}',
    "NaN": b'{"model": "modelmux/echo", "messages": NaN}',
    "two values": b'{"model": "m"} {"model": "m"}',
    "deep": b'{"model": "m", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@case(102, 114)
@pytest.mark.parametrize("body", NO_REQUESTS)
@CALLERS
def test_what_is_no_request_is_refused(house: House, caller: Dialect, body: str):
    answer = plain.post(house.url, caller.path, NO_REQUESTS[body])
    assert answer.status == 400
    assert caller.told(answer.body).type == "invalid_request_error"


def user(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


def openai_call(arguments: str) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    return {
        "role": "assistant",
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
    }


_ASKED = {"role": "user", "content": "hello"}

# What is said in place of a right request's fields (nothing: the field is left out), and the field
# that the answer names.
WRONG_OF_OPENAI: dict[str, tuple[Mapping[str, object], str]] = {
    "no model": ({"model": None}, "model"),
    "model is a number": ({"model": 4}, "model"),
    "stream is a word": ({"stream": "yes"}, "stream"),
    "no messages": ({"messages": None}, "messages"),
    "messages is a text": ({"messages": "hello"}, "messages"),
    "a message is a text": ({"messages": ["hello"]}, "messages[0]"),
    "content is a number": (user(7), "messages[0].content"),
    "a part of no kind": (user([{"text": "hello"}]), "messages[0].content[0]"),
    "an unknown role": ({"messages": [{"role": "wizard", "content": "hello"}]}, "messages[0].role"),
    "no role": ({"messages": [{"content": "hello"}]}, "messages[0].role"),
    "temperature is a text": ({"temperature": "hot"}, "temperature"),
    "tools is an object": ({"tools": {}}, "tools"),
    "a tool without a name": (
        {"tools": [{"type": "function", "function": {}}]},
        "tools[0].function.name",
    ),
    "an answer to no call": (
        {"messages": [_ASKED, {"role": "tool", "tool_call_id": "call_9", "content": "42"}]},
        "call_9",
    ),
    "an answer without an id": (
        {"messages": [_ASKED, openai_call("{}"), {"role": "tool", "content": "42"}]},
        "messages[2].tool_call_id",
    ),
    "arguments that are no JSON": (
        {
            "messages": [
                _ASKED,
                openai_call('{"a": '),
                {"role": "tool", "tool_call_id": "call_1", "content": "42"},
            ]
        },
        "messages[1]: the arguments of the call of 'f'",
    ),
    "arguments that are no object": (
        {
            "messages": [
                _ASKED,
                openai_call("[1]"),
                {"role": "tool", "tool_call_id": "call_1", "content": "42"},
            ]
        },
        "messages[1]: the arguments of the call of 'f'",
    ),
}

WRONG_OF_ANTHROPIC: dict[str, tuple[Mapping[str, object], str]] = {
    "no model": ({"model": None}, "model"),
    "model is a list": ({"model": []}, "model"),
    "stream is a number": ({"stream": 1}, "stream"),
    "no max_tokens": ({"max_tokens": None}, "max_tokens"),
    "max_tokens is a text": ({"max_tokens": "many"}, "max_tokens"),
    "no messages": ({"messages": None}, "messages"),
    "content is a number": (user(7), "messages[0].content"),
    "a block of no kind": (user([{"text": "hello"}]), "messages[0].content[0]"),
    "an unknown role": ({"messages": [{"role": "wizard", "content": "hello"}]}, "messages[0].role"),
    "system is a number": ({"system": 1}, "system"),
    "an answer to no call": (user([{"type": "tool_result", "tool_use_id": "toolu_9"}]), "toolu_9"),
    "a tool without a schema's object": (
        {"tools": [{"name": "f", "input_schema": 7}]},
        "tools: the parameters of 'f'",
    ),
}

WRONG = [
    pytest.param(dialect, change, field, id=f"{dialect}-{name}")
    for dialect, table in ((OPENAI, WRONG_OF_OPENAI), (ANTHROPIC, WRONG_OF_ANTHROPIC))
    for name, (change, field) in table.items()
]


@case(20, 36, 102)
@pytest.mark.parametrize(("caller", "change", "field"), WRONG)
def test_a_field_that_is_wrong_is_named(
    house: House, caller: Dialect, change: Mapping[str, object], field: str
):
    asked = {**caller.ask(TARGETS[caller.name]), **change}
    asked = {name: value for name, value in asked.items() if value is not None}
    answer = plain.post(house.url, caller.path, asked)
    assert answer.status == 400
    told = caller.told(answer.body)
    assert told.type == "invalid_request_error"
    assert told.code == "invalid_request"
    assert field in told.message
    if caller is OPENAI:
        assert told.param
    assert not house.openai.requests
    assert not house.anthropic.requests


@CALLERS
def test_a_model_that_nobody_offers_is_not_found(house: House, caller: Dialect):
    answer = plain.post(house.url, caller.path, caller.ask(f"{caller.model}x"))
    told = caller.told(answer.body)
    assert (answer.status, told.code) == (404, "model_not_found")
    assert f"'{caller.model}x'" in told.message
    assert f"{caller.model}," in told.message, "the nearest name"


@CALLERS
def test_a_body_that_is_packed_is_refused(house: House, caller: Dialect):
    headers = {"content-encoding": "gzip"}
    answer = plain.post(house.url, caller.path, caller.ask("modelmux/echo"), headers)
    assert answer.status == 400
    assert "content-encoding" in caller.told(answer.body).message


@pytest.mark.parametrize("value", ["soon", "0", "-1", "inf", "nan"])
@CALLERS
def test_a_time_limit_that_is_none_is_refused(house: House, caller: Dialect, value: str):
    headers = {"x-modelmux-timeout": value}
    answer = plain.post(house.url, caller.path, caller.ask("modelmux/echo"), headers)
    assert answer.status == 400
    assert value in caller.told(answer.body).message


@case(102)
@CALLERS
def test_a_body_that_is_too_large_is_refused(start_gateway: GatewayStarter, caller: Dialect):
    running = start_gateway("server.max_body_bytes = 100_000")
    for address in (running.base_url, running.unix_address):
        answer = plain.post(address, caller.path, caller.ask("modelmux/echo", "x" * 100_001))
        told = caller.told(answer.body)
        assert (answer.status, told.type) == (413, "request_too_large")
        assert "server.max_body_bytes" in told.message
        fits = plain.post(address, caller.path, caller.ask("modelmux/echo", "x" * 99_000))
        assert fits.status == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_not_waited_for(start_gateway: GatewayStarter, chunked: bool):
    running = start_gateway("server.max_body_bytes = 1000")
    line = plain.connection(running.base_url)
    line.putrequest("POST", OPENAI.path)
    line.putheader("content-type", "application/json")
    if chunked:
        line.putheader("transfer-encoding", "chunked")
        line.endheaders()
        line.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
    else:
        line.putheader("content-length", "1000000000")
        line.endheaders()
        line.send(b"x" * 4096)
    answer = line.getresponse()
    assert answer.status == 413
    assert msgspec.json.decode(answer.read())["error"]["type"] == "request_too_large"
    line.close()


@case(49)
def test_more_answers_than_a_wire_can_give_are_refused(house: House):
    answer = plain.post(house.url, OPENAI.path, OPENAI.ask(OPENAIS_TARGET, n=2))
    told = OPENAI.told(answer.body)
    assert (answer.status, told.code) == (422, "unrepresentable")
    assert not house.anthropic.requests


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nbroken\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /v1/messages HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    ],
    ids=["a bad header", "TLS", "a bad length"],
)
def test_what_is_no_http_harms_nobody(house: House, raw: bytes):
    line = plain.connection(house.url)
    line.connect()
    line.sock.sendall(raw)
    assert b" 200 " not in line.sock.recv(1000)
    line.close()
    assert plain.get(house.url, "/healthz").status == 200
