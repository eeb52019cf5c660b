import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import File, Generic, Part, Reasoning, Refusal, Text
from modelmux.ir.request import GenericTool, Message, Tool, ToolChoice
from modelmux.wire.bedrock_converse import native, request_decode
from tests.support import amazon
from tests.support.cases import case
from tests.support.goldens import Golden, goldens, normal

OWN = [each for each in goldens("request.json") if each.wire_name == "bedrock.converse"]
HELLO = request_decode.decode(b'{"messages":[{"role":"user","content":[{"text":"a"}]}]}')


@case(54, 64)
@pytest.mark.parametrize("golden", OWN, ids=str)
def test_what_was_said_is_said_again_and_amazons_sdk_takes_it(golden: Golden):
    body = golden.read()
    found = native.encode(request_decode.decode(body))
    assert normal(found.body) == normal(body)
    if golden.case != "unknown-fields":
        assert amazon.complaints(msgspec.json.decode(found.body)) == ""


@pytest.mark.parametrize(
    "part",
    [
        Reasoning("t", "s", origin="anthropic.messages"),
        Generic("x", "another", Raw(b"{}")),
        File("image", "f", "openai.chat"),
    ],
)
def test_what_another_hand_put_in_and_cannot_be_said_is_content(part: Part):
    found = native.encode(replace(HELLO, messages=(Message("user", (part,)),)))
    assert [(loss.path, loss.kind) for loss in found.losses] == [("/messages/0/parts/0", "content")]


def test_a_refusal_and_a_developer_are_said_in_the_apis_words():
    messages = (*HELLO.messages, Message("developer", (Refusal("no"), Text("b"))))
    said = msgspec.json.decode(native.encode(replace(HELLO, messages=messages)).body)
    assert said["messages"][1] == {"role": "system", "content": [{"text": "no"}, {"text": "b"}]}


def test_a_tool_of_another_provider_is_content():
    tools = (GenericTool("web", "web", "another", Raw(b"{}")), Tool("f"))
    found = native.encode(replace(HELLO, tools=tools))
    assert [loss.path for loss in found.losses] == ["/tools/0"]
    assert len(msgspec.json.decode(found.body)["toolConfig"]["tools"]) == 1


def test_choices_without_a_word_are_left_to_the_model():
    assert native.choice(ToolChoice("none")) == {"auto": {}}


def test_a_schema_that_is_no_text_is_refused():
    with pytest.raises(InvalidRequest):
        native.schema_text(Raw(b'"\xff"'))
