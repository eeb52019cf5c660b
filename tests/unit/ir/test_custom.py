import msgspec

from modelmux.ir import custom
from modelmux.ir.parts import Text, ToolCall
from modelmux.ir.request import GenericTool, Grammar, Message, Request, Tool

PATCH = Tool("patch", "Changes files.", custom=True, grammar=Grammar("lark", "start: X"))
PLAIN = Tool("plain")
SEARCH = GenericTool("web_search", "web_search", "w", msgspec.Raw(b"{}"))


def request(*messages: Message) -> Request:
    return Request("m", messages, (PATCH, PLAIN, SEARCH))


def test_tools_of_free_text_are_named():
    assert custom.names(request()) == {"patch"}


def test_such_a_tool_becomes_a_function_of_one_string():
    patch, plain, search = custom.as_functions(request()).tools
    assert (plain, search) == (PLAIN, SEARCH)
    assert isinstance(patch, Tool)
    assert patch.custom is False
    assert patch.description == "Changes files.\n\n`input` follows this lark grammar:\nstart: X"
    schema = msgspec.json.decode(patch.parameters or b"")
    assert schema["properties"] == {"input": {"type": "string"}}
    assert schema["required"] == ["input"]


def test_calls_of_such_tools_become_calls_of_the_function():
    said = Message("assistant", (Text("a"), ToolCall("1", "patch", 'x"y', custom=True)))
    other = Message("assistant", (ToolCall("2", "plain", "{}"),))
    changed, same = custom.as_functions(request(said, other)).messages
    assert same is other
    call = changed.parts[1]
    assert isinstance(call, ToolCall)
    assert call.custom is False
    assert msgspec.json.decode(call.arguments) == {"input": 'x"y'}
