import re

from hypothesis import given
from hypothesis import strategies as st

from modelmux.ir import signed_ids
from modelmux.ir.parts import Text, ToolCall, ToolResult
from modelmux.ir.request import Message, Request
from tests.support.cases import case


@case(59, 60)
@given(st.text(max_size=60).filter(lambda text: text.isprintable()))
def test_any_signature_comes_back_byte_for_byte(signature: str) -> None:
    id_ = signed_ids.join("gem_a_0", signature)
    assert signed_ids.split(id_) == ("gem_a_0", signature)


@given(st.binary(min_size=1, max_size=90))
def test_a_signature_in_base64_is_not_encoded_again(data: bytes) -> None:
    import base64

    signature = base64.b64encode(data).decode()
    id_ = signed_ids.join("call", signature)
    assert len(id_) <= len("call") + len(signed_ids.MARK) + len(signature)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", id_)
    assert signed_ids.split(id_) == ("call", signature)


def test_an_id_without_a_signature_is_itself() -> None:
    assert signed_ids.split("call_abc") == ("call_abc", None)


def test_a_signature_that_was_cut_short_is_none() -> None:
    assert signed_ids.split("call__thoughtx_" + "/") == ("call", None)


def test_calls_and_results_lose_their_signatures_together() -> None:
    signed = signed_ids.join("a", "c2ln")
    request = Request(
        "m",
        (
            Message("assistant", (ToolCall(signed, "f"), Text("x"))),
            Message("user", (ToolResult(signed),)),
        ),
    )
    plain = signed_ids.without_signatures(request)
    assert [part for message in plain.messages for part in message.parts] == [
        ToolCall("a", "f"),
        Text("x"),
        ToolResult("a"),
    ]
