import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import InvalidRequest
from modelmux.provider import catalog
from modelmux.provider.body import BodyEdits

VERTEX = BodyEdits(catalog.load().provider("vertex"))
OPENAI = BodyEdits(catalog.load().provider("openai"))


def applied(body: object, **options: object) -> tuple[dict[str, object], list[str]]:
    edited, losses = VERTEX.apply(msgspec.json.encode(body), **options)
    return msgspec.json.decode(edited), [loss.path for loss in losses]


def test_a_provider_without_edits_gets_the_bytes_that_came():
    body = b' { "model" : "m" } '
    assert OPENAI.apply(body) == (body, ())
    assert OPENAI.apply(body)[0] is body


def test_google_is_told_the_version_in_the_body_and_the_model_in_the_path():
    body, losses = applied({"model": "m", "messages": [], "stream": True}, drops_model=True)
    assert body == {"messages": [], "stream": True, "anthropic_version": "vertex-2023-10-16"}
    assert losses == []


def test_counting_tokens_keeps_the_model_in_the_body():
    body, _ = applied({"model": "m", "messages": []})
    assert body["model"] == "m"


def test_a_version_that_the_caller_wrote_is_not_googles():
    body, _ = applied({"anthropic_version": "bedrock-2023-05-31"})
    assert body == {"anthropic_version": "vertex-2023-10-16"}


def test_a_cache_marker_for_the_whole_request_is_lost_and_declared():
    body, losses = applied({"messages": [], "cache_control": {"type": "ephemeral"}})
    assert "cache_control" not in body
    assert losses == ["/cache_control"]


def test_a_marker_that_says_nothing_is_no_loss():
    assert applied({"cache_control": None})[1] == []


def test_betas_are_added_to_those_in_the_body_once():
    body, _ = applied({"anthropic_beta": ["a", "b"]}, betas=("b", "c"))
    assert body["anthropic_beta"] == ["a", "b", "c"]
    body, _ = applied({}, betas=("c",))
    assert body["anthropic_beta"] == ["c"]


def marker(**more: object) -> dict[str, object]:
    return {"type": "ephemeral", **more}


def test_the_scope_of_a_cache_marker_goes_wherever_one_may_stand():
    block = {"type": "text", "text": "t", "cache_control": marker(scope="global", ttl="1h")}
    body, losses = applied(
        {
            "system": [block],
            "tools": [{"name": "f", "cache_control": marker(scope="global")}],
            "messages": [
                {"role": "user", "content": "plain"},
                {"role": "user", "content": [{"type": "tool_result", "content": [block]}, block]},
            ],
        }
    )
    clean = {"type": "text", "text": "t", "cache_control": marker(ttl="1h")}
    assert body["system"] == [clean]
    assert body["tools"] == [{"name": "f", "cache_control": marker()}]
    assert body["messages"][1]["content"] == [
        {"type": "tool_result", "content": [clean]},
        clean,
    ]
    assert losses == [
        "/system/0/cache_control/scope",
        "/tools/0/cache_control/scope",
        "/messages/1/content/0/content/0/cache_control/scope",
        "/messages/1/content/1/cache_control/scope",
    ]


def test_what_only_looks_like_a_cache_marker_is_the_callers_own():
    said = {
        "system": 'a string with "scope" in it',
        "messages": [
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "input": {"cache_control": {"scope": 1}}},
                    {"type": "text", "text": '"scope"', "cache_control": None},
                    {"type": "text", "cache_control": "odd"},
                ],
            },
            {"role": "user", "content": {"cache_control": {"scope": 1}}},
            "not even a message",
        ],
        "tools": [{"input_schema": {"properties": {"scope": {"type": "string"}}}}],
    }
    body, losses = applied(said)
    assert losses == []
    assert body == said | {"anthropic_version": "vertex-2023-10-16"}


def test_values_that_nobody_edits_are_copied_byte_by_byte():
    messages = b'[ {"role":"user" , "content":[{"type":"text","text":"\\u00e9 1e400"}]} ]'
    body = b'{"max_tokens":1.50,"messages":' + messages + b"}"
    edited, _ = VERTEX.apply(body)
    assert messages in edited
    assert b'"max_tokens":1.50' in edited


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"\xff"])
def test_what_is_no_object_is_the_callers_mistake(body):
    with pytest.raises(InvalidRequest):
        VERTEX.apply(body)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)
_blocks = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("text")},
        optional={
            "cache_control": st.fixed_dictionaries({}, optional={"scope": _json, "ttl": _json}),
            "content": _json,
            "other": _json,
        },
    )
)


def without_scope(value: object, *, marker: bool = False) -> object:
    """The same edit on decoded JSON, where blocks nest only in `content`."""
    if isinstance(value, list):
        return [without_scope(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for name, item in value.items():
        if name == "cache_control" and isinstance(item, dict):
            out[name] = {key: each for key, each in item.items() if key != "scope"}
        elif name == "content" and isinstance(item, list):
            out[name] = without_scope(item)
        else:
            out[name] = item
    return out


@given(_blocks)
def test_taking_scopes_out_of_the_bytes_is_taking_them_out_of_the_value(blocks):
    body, _ = applied({"system": blocks})
    assert body["system"] == without_scope(blocks)
