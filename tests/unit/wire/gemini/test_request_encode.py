import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import Unrepresentable
from modelmux.ir.parts import Extra
from modelmux.ir.profile import Profile
from modelmux.ir.request import Tool
from tests.support import foreign
from tests.support.cases import case
from tests.unit.wire.gemini import translate


@case(49)
def test_several_answers_are_refused() -> None:
    with pytest.raises(Unrepresentable, match="2 are asked for"):
        translate.encoded(replace(foreign.request(foreign.user()), choices=2))


@case(54)
def test_fields_of_other_wires_are_declared() -> None:
    request = replace(foreign.request(foreign.user()), extra=Extra("some.other", {"/x": Raw(b"1")}))
    assert translate.lost(request) == ["/x"]


def test_tools_to_a_model_that_calls_none_are_lost() -> None:
    request = replace(foreign.request(foreign.user()), tools=(Tool("f"),))
    losses = translate.encoded(request, Profile(tools=False)).losses
    assert [(loss.path, loss.kind) for loss in losses] == [("/tools", "content")]


def test_model_and_stream_are_not_in_the_body() -> None:
    request = replace(foreign.request(foreign.user()), model="m", stream=True)
    assert translate.body(request) == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert translate.encoded(request).restore is None
