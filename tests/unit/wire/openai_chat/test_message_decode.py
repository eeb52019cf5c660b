import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Citation,
    Extra,
    File,
    Generic,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.request import Message
from modelmux.wire.openai_chat import calls, schema
from modelmux.wire.openai_chat.message_decode import Reading, with_field
from modelmux.wire.openai_chat.schema import NAME
from tests.support.cases import case
from tests.unit.wire.openai_chat.chat import PDF, PNG, WAV, body, user


def read(*messages: object) -> list[Message]:
    raw = body(*messages)
    given, unknown = schema.full_request.decode(raw)
    reading = Reading(raw, unknown)
    return [reading.message(index, m) for index, m in enumerate(given.messages)]


def parts(content: object) -> tuple[object, ...]:
    return read(user(content))[0].parts


def refused(message: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        read(user(), message)
    return caught.value


@case(5)
@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_a_string_is_a_bare_text(role: str) -> None:
    assert read({"role": role, "content": "hi"}) == [Message(role, (Text("hi"),), bare=True)]


def test_a_list_is_not_bare() -> None:
    (message,) = read(user([{"type": "text", "text": "hi"}]))
    assert message == Message("user", (Text("hi"),))


@case(12)
def test_a_participant_has_a_name() -> None:
    assert read({**user(), "name": "ada"})[0].name == "ada"
    assert read({"role": "assistant", "content": "x", "name": "bob"})[0].name == "bob"


@case(9, 53)
@pytest.mark.parametrize("message", [{"role": "assistant"}, {"role": "assistant", "content": None}])
def test_an_answer_may_be_nothing(message: object) -> None:
    assert read(message) == [Message("assistant", (), bare=True)]


@case(53)
def test_nulls_say_nothing() -> None:
    fields = ("tool_calls", "function_call", "refusal", "audio", "annotations", "reasoning", "x")
    nulls = dict.fromkeys((*fields, "name", "cache_control", "images"))
    assert read({**user(), **nulls}) == read(user())
    plain = {"role": "assistant", "content": "hi"}
    assert read({**plain, **nulls}) == read(plain)


@case(67, 69, 71, 72)
@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://a.example", "detail": "low"}},
            Uri("image", "https://a.example", detail="low"),
        ),
        (
            {"type": "image_url", "image_url": "https://a.example"},
            Uri("image", "https://a.example"),
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            Blob("image", "image/png", PNG),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": WAV, "format": "mp3"}},
            Blob("audio", "audio/mpeg", WAV),
        ),
        ({"type": "file", "file": {"file_id": "f"}}, File("document", "f", NAME)),
        ({"type": "file", "file": {"file_data": PDF}}, Blob("document", "application/pdf", PDF)),
        (
            {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text("hi", cache_control=CacheControl("1h")),
        ),
    ],
)
def test_every_kind_of_content_is_a_part(part: object, expected: object) -> None:
    assert parts([part]) == (expected,)


def test_a_part_of_an_unknown_type_is_kept_whole() -> None:
    given = {"type": "video_url", "video_url": {"url": "v"}}
    raw = Raw(msgspec.json.encode(given))
    assert parts([{"type": "text", "text": "a"}, given])[1] == Generic("video_url", NAME, raw)
    known = {"type": "holo", "text": "x"}  # all of whose fields some schema names
    assert parts([known]) == (Generic("holo", NAME, Raw(msgspec.json.encode(known))),)


@case(54)
def test_unknown_fields_stay_with_the_object_they_stood_in() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://a.example", "x/y": 1}, "z": 2}
    (message,) = read({**user([part]), "w": {"v": None}})
    (image,) = message.parts
    assert isinstance(image, Uri)
    assert image.extra == Extra(
        NAME, {"/image_url/x~1y": Raw(b"1"), "/z": Raw(b"2")}, "/messages/0/content/0"
    )
    assert message.extra == Extra(NAME, {"/w": Raw(b'{"v":null}')}, "/messages/0")


def test_tool_calls_come_after_what_was_said() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    custom = {"id": "c2", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    (message,) = read({"role": "assistant", "content": "So", "tool_calls": [call, custom]})
    expected = (Text("So"), ToolCall("c1", "f", "{}"), ToolCall("c2", "sh", "ls", custom=True))
    assert message == Message("assistant", expected, bare=True)


@case(35)
def test_no_tool_calls_are_none() -> None:
    assert read({"role": "assistant", "content": "hi", "tool_calls": []}) == [
        Message("assistant", (Text("hi"),), bare=True)
    ]


def test_a_call_of_an_unknown_type_is_kept_whole() -> None:
    call = {"id": "c1", "type": "hologram", "hologram": {"x": 1}}
    (message,) = read({"role": "assistant", "tool_calls": [call]})
    raw = Raw(msgspec.json.encode(call))
    assert message.parts == (Generic("tool_call:hologram", NAME, raw),)


@case(1)
def test_a_tools_result_is_a_part_of_a_users_message() -> None:
    bare, listed = read(
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "ok"}]},
    )
    assert bare == Message("user", (ToolResult("c1", (Text("ok"),), bare=True),))
    assert listed == Message("user", (ToolResult("c2", (Text("ok"),)),))


def test_a_result_may_be_nothing() -> None:
    (message,) = read({"role": "tool", "tool_call_id": "c1"})
    assert message.parts == (ToolResult("c1", bare=True),)


@case(63)
def test_a_marker_on_a_message_belongs_to_what_the_message_says() -> None:
    cache = {"cache_control": {"type": "ephemeral"}}
    spoken, result = read(
        {**user(), **cache}, {"role": "tool", "tool_call_id": "c1", "content": "ok", **cache}
    )
    assert spoken.parts == (Text("hi", cache_control=CacheControl()),)
    expected = ToolResult("c1", (Text("ok"),), bare=True, cache_control=CacheControl())
    assert result.parts == (expected,)


def test_a_marker_on_a_message_of_a_list_is_kept() -> None:
    (message,) = read({**user([{"type": "text", "text": "a"}]), "cache_control": {}})
    assert message.extra == Extra(NAME, {"/cache_control": Raw(b"{}")}, "/messages/0")


@case(13)
def test_a_function_call_and_its_result_are_a_tools() -> None:
    first, result, second, again = read(
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "g", "content": "2"},
    )
    assert first.parts == (ToolCall(calls.legacy_id(1), "f", "{}"),)
    assert result.parts == (ToolResult(calls.legacy_id(1), (Text("1"),), bare=True),)
    assert second.parts == (ToolCall(calls.legacy_id(2), "f", "{}"),)
    (odd,) = again.parts
    assert isinstance(odd, ToolResult)
    assert odd.extra == Extra(NAME, {"/name": Raw(b'"g"')}, "/messages/3")


def test_a_name_on_a_tools_result_is_kept() -> None:
    (message,) = read({"role": "tool", "tool_call_id": "c1", "name": "f", "content": "ok"})
    (result,) = message.parts
    assert isinstance(result, ToolResult)
    assert result.extra == Extra(NAME, {"/name": Raw(b'"f"')}, "/messages/0")


@case(55, 61)
def test_reasoning_comes_first() -> None:
    (message,) = read({"role": "assistant", "content": "So", "reasoning_content": "why"})
    assert message.parts == (Reasoning("why", origin=NAME), Text("So"))


@case(76)
def test_a_refusal_stands_beside_or_in_the_content() -> None:
    beside, within, both = read(
        {"role": "assistant", "refusal": "no"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "a"}], "refusal": "b"},
    )
    assert beside == Message("assistant", (Refusal("no"),), bare=True)
    assert within == Message("assistant", (Refusal("no"),))
    assert both.parts == (Refusal("a"),)
    assert both.extra is not None
    assert both.extra.content == {"/refusal"}


@case(78)
def test_annotations_are_citations_of_the_text() -> None:
    raw = {"type": "url_citation", "url_citation": {"url": "https://a.example"}}
    cited, silent = read(
        {"role": "assistant", "content": "So", "annotations": [raw]},
        {"role": "assistant", "annotations": [raw]},
    )
    (text,) = cited.parts
    assert isinstance(text, Text)
    expected = Citation("https://a.example", wire=NAME, raw=Raw(msgspec.json.encode(raw)))
    assert text.citations == (expected,)
    assert silent.extra is not None
    assert list(silent.extra.fields) == ["/annotations"]


@case(71)
def test_a_spoken_turn_is_known_to_this_wire_only() -> None:
    (message,) = read({"role": "assistant", "audio": {"id": "a1"}})
    assert message.extra is not None
    assert message.extra.content == {"/audio"}


def test_drawn_images_are_parts_of_an_answer() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    (message,) = read({"role": "assistant", "content": "So", "images": [image]})
    assert message.parts == (Text("So"), Blob("image", "image/png", PNG))


def test_a_field_where_it_has_no_business_is_kept() -> None:
    (message,) = read({**user(), "tool_call_id": "c1"})
    assert message.extra == Extra(NAME, {"/tool_call_id": Raw(b'"c1"')}, "/messages/0")


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"content": "hi"}, "messages[1].role"),
        ({"role": "boss", "content": "hi"}, "messages[1].role"),
        ({"role": "user", "content": 5}, "messages[1].content"),
        ({"role": "user", "content": [{"text": "hi"}]}, "messages[1].content[0].type"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[1].content[0]"),
        (
            {"role": "user", "content": [{"type": "file", "file": {}}]},
            "messages[1].content[0].file",
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
            "messages[1].content[0].image_url.url",
        ),
        ({"role": "user", "content": "hi", "tool_calls": [{"id": "1"}]}, "messages[1]"),
        ({"role": "assistant", "images": [{"type": "x"}]}, "messages[1].images[0].type"),
        ({"role": "tool", "content": "ok"}, "messages[1].tool_call_id"),
        (
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "refusal", "refusal": "x"}]},
            "messages[1].content[0]",
        ),
        (5, "messages[1]"),
    ],
)
def test_a_message_that_is_none_is_refused_with_the_field(message: object, param: str) -> None:
    assert refused(message).param == param


def test_fields_are_added_to_those_that_are_there() -> None:
    first = with_field(None, "/m", "a", 1, content=True)
    assert with_field(first, "/m", "b", Raw(b"2")) == Extra(
        NAME, {"/a": Raw(b"1"), "/b": Raw(b"2")}, "/m", frozenset({"/a"})
    )
