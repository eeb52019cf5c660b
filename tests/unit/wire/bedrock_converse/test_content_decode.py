import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Generic,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.wire import sealed
from modelmux.wire.bedrock_converse import content_decode
from tests.support.cases import case

READER = content_decode.Reader(InvalidRequest)


def parts(*blocks: object) -> tuple[object, ...]:
    return READER.parts([Raw(msgspec.json.encode(block)) for block in blocks], "/content")


def test_text_is_text():
    assert parts({"text": "a"}) == (Text("a"),)


@case(63)
def test_a_cache_point_marks_what_stands_before_it():
    assert parts({"text": "a"}, {"cachePoint": {"type": "default", "ttl": "5m"}}) == (
        Text("a", cache_control=CacheControl("5m")),
    )


def test_a_cache_point_without_anything_to_mark_stays_one():
    (found,) = parts({"cachePoint": {"type": "default"}})
    assert isinstance(found, Generic)


@case(20)
def test_a_tools_arguments_are_kept_as_they_came():
    block = Raw(b'{"toolUse":{"toolUseId":"t","name":"f","input":{"b":1, "a":2}}}')
    assert READER.parts([block], "") == (ToolCall("t", "f", '{"b":1, "a":2}'),)


@case(31, 32)
def test_results_hold_text_json_and_media():
    (found,) = parts(
        {
            "toolResult": {
                "toolUseId": "t",
                "status": "error",
                "content": [
                    {"json": {"a": 1}},
                    {"image": {"format": "png", "source": {"bytes": "eA=="}}},
                ],
            }
        }
    )
    assert isinstance(found, ToolResult)
    assert found.is_error is True
    text, image = found.parts
    assert isinstance(text, Text)
    assert text.text == '{"a":1}'
    assert image == Blob("image", "image/png", "eA==")


def test_a_result_holds_nothing_else():
    with pytest.raises(InvalidRequest, match="expected text, JSON or media"):
        parts(
            {
                "toolResult": {
                    "toolUseId": "t",
                    "content": [{"reasoningContent": {"redactedContent": "x"}}],
                }
            }
        )


def test_media_in_amazons_store_are_an_address():
    source = {"s3Location": {"uri": "s3://b/k"}}
    assert parts({"video": {"format": "mp4", "source": source}}) == (
        Uri("video", "s3://b/k", "video/mp4"),
    )


@case(55, 56)
def test_thinking_is_its_own():
    assert parts(
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "eA=="}},
    ) == (
        Reasoning("hm", "s", origin="bedrock.converse"),
        Reasoning(encrypted="eA==", origin="bedrock.converse"),
    )


@case(58)
def test_thinking_of_another_provider_comes_back_as_that():
    theirs = Reasoning("hm", "s", origin="anthropic.messages")
    block = {"reasoningText": {"text": "hm", "signature": sealed.seal(theirs)}}
    assert parts({"reasoningContent": block}) == (theirs,)


@case(78)
def test_a_citation_is_known_by_its_address():
    found = content_decode.citation(
        Raw(b'{"title":"T","source":"https://a","sourceContent":[{"text":"x"},{"text":"y"}]}')
    )
    assert (found.url, found.title, found.cited_text) == ("https://a", "T", "xy")
    assert content_decode.citation(Raw(b'{"title":5}')).title is None


@pytest.mark.parametrize(
    "block",
    [
        {"guardContent": {"text": {"text": "x"}}},
        {"toolUse": {"toolUseId": "s", "name": "n", "input": {}, "type": "server_tool_use"}},
        {"document": {"name": "n", "source": {"text": "plain"}}},
        {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": []}},
        {"reasoningContent": {}},
        {"image": {"format": "png", "source": {}}},
        {},
    ],
)
def test_what_the_neutral_model_has_no_word_for_is_kept_whole(block: dict[str, object]):
    (found,) = parts(block)
    assert isinstance(found, Generic)
    assert msgspec.json.decode(found.raw) == block


def test_a_mistake_is_named():
    with pytest.raises(InvalidRequest) as caught:
        parts({"image": {"source": 5}})
    assert caught.value.param == "content[0].image.source"
