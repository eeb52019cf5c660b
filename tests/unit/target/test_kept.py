import os
import subprocess
import sys

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.ir.parts import Extra, Reasoning, Text, ToolCall
from modelmux.ir.request import Loss, Message, Request, Sampling, Tool
from modelmux.ir.response import Response, Usage
from modelmux.target import kept
from modelmux.target.kept import Kept
from modelmux.wire import anthropic_messages, openai_chat

REQUEST = Request("m", (Message("user", (Text("hello"),)),), max_tokens=9)
RESPONSE = Response(
    "id",
    "m-2026",
    (
        Reasoning("hm", signature="s"),
        Text("naïve ☂"),
        ToolCall("t1", "look", '{"a": 1}'),
    ),
    "tool_call",
    Usage(3, 2),
    created_at_s=7,
    extra=Extra("openai.chat", {"/x": Raw(b'{"b": [1,  2]}')}),
)


def test_an_answer_comes_back_as_it_was_kept():
    entry = Kept(RESPONSE, "p/m", 12.5, (Loss("/x", "unknown"),))
    assert kept.decode(kept.encode(entry)) == entry


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"version":1}', b"[" * 5000])
def test_what_is_damaged_is_not_there(data: bytes):
    assert kept.decode(data) is None


def test_what_another_version_kept_is_not_there():
    entry = Kept(RESPONSE, "p/m", 12.5, version=kept.VERSION + 1)
    assert kept.decode(kept.encode(entry)) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, stream=True),
        replace(REQUEST, include_usage=False),
        replace(REQUEST, wire="openai.chat", spelling=frozenset({"x"})),
        replace(REQUEST, messages=(Message("user", (Text("hello"),), bare=True),)),
    ],
)
def test_how_it_is_asked_does_not_matter(other: Request):
    assert kept.key(other, ()) == kept.key(REQUEST, ())


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, model="n"),
        replace(REQUEST, max_tokens=8),
        replace(REQUEST, user="somebody"),
        replace(REQUEST, sampling=Sampling(temperature=0.0)),
        replace(REQUEST, messages=(Message("user", (Text("hello "),)),)),
        replace(REQUEST, messages=(Message("system", (Text("hello"),)),)),
        replace(REQUEST, tools=(Tool("t", parameters=Raw(b"{}")),)),
        replace(REQUEST, extra=Extra("w", {"/x": Raw(b"1")})),
    ],
)
def test_whatever_changes_the_answer_changes_the_key(other: Request):
    assert kept.key(other, ()) != kept.key(REQUEST, ())


def test_who_asks_and_who_answers_are_part_of_the_key():
    keys = {kept.key(REQUEST, scope) for scope in ((), ("a",), ("a", "b"), ("ab",), ("b", "a"))}
    assert len(keys) == 5


def test_two_wires_that_ask_the_same_have_one_key():
    chat = {
        "model": "m",
        "max_tokens": 9,
        "temperature": 0,
        "stream": True,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hello"},
        ],
    }
    messages = {
        "model": "m",
        "max_tokens": 9,
        "temperature": 0,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    }
    keys = {
        kept.key(wire.decode_request(msgspec.json.encode(body)), ())
        for wire, body in ((openai_chat.WIRE, chat), (anthropic_messages.WIRE, messages))
    }
    assert len(keys) == 1


PROGRAM = """
from msgspec import Raw
from modelmux.ir.parts import Extra, Text
from modelmux.ir.request import Message, Request
from modelmux.target import kept
extra = Extra("w", {"/b": Raw(b"1"), "/a": Raw(b"2")}, content=frozenset({"/b", "/a", "/c"}))
print(kept.key(Request("m", (Message("user", (Text("x"),), extra=extra),)), ("s",)))
"""


def test_every_process_has_the_same_key_for_the_same():
    keys = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(keys) == 1


def test_an_alias_is_of_the_bytes_the_wire_and_the_scope():
    aliases = {
        kept.alias("w", b"{}", ()),
        kept.alias("v", b"{}", ()),
        kept.alias("w", b"{} ", ()),
        kept.alias("w", b"{}", ("a",)),
    }
    assert len(aliases) == 4
