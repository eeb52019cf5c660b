import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from modelmux.ir.parts import (
    Blob,
    File,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.request import GenericTool, Message, Request, Tool
from modelmux.target.estimate import (
    BYTES_PER_TOKEN,
    TOKENS_PER_MEDIUM,
    TOKENS_PER_MESSAGE,
    input_tokens,
    text_tokens,
)

WORDS = "x" * 400
"""A hundred tokens."""


def tokens_of(part: Part) -> int:
    """What a part adds to a message."""
    return input_tokens(Request("m", (Message("user", (part,)),))) - TOKENS_PER_MESSAGE


def parts() -> dict[str, tuple[Part, int]]:
    name = "x" * 4
    return {
        "text": (Text(WORDS), 100),
        "refusal": (Refusal(WORDS), 100),
        "reasoning": (Reasoning(WORDS), 100),
        "tool call": (ToolCall("id", name, WORDS), 101),
        "provider's call": (ServerToolCall("id", name, WORDS, "w"), 101),
        "provider's result": (ServerToolResult("id", "t", "w", Raw(WORDS.encode())), 100),
        "generic": (Generic("t", "w", Raw(WORDS.encode())), 100),
        "result": (ToolResult("id", (Text(WORDS), Uri("image", "https://x"))), 1600),
        "uri": (Uri("image", "https://x"), TOKENS_PER_MEDIUM),
        "blob": (Blob("image", "image/png", WORDS), TOKENS_PER_MEDIUM),
        "file": (File("image", "file-1", "openai"), TOKENS_PER_MEDIUM),
    }


@pytest.mark.parametrize("kind", parts())
def test_every_kind_of_part_weighs_something(kind: str):
    part, expected = parts()[kind]
    assert tokens_of(part) == expected


def test_every_message_has_its_delimiters():
    message = Message("user", (Text(WORDS),))
    assert input_tokens(Request("m", (message, message))) == 2 * (100 + TOKENS_PER_MESSAGE)


def test_tools_are_part_of_the_prompt():
    schema = Raw(b"x" * 396)
    tools = (Tool("name", "four", schema), Tool("noparams"), GenericTool("t", "n", "w", schema))
    assert input_tokens(Request("m", (), tools)) == (4 + 4 + 396 + 8 + 396) // BYTES_PER_TOKEN


def test_an_empty_prompt_has_no_tokens():
    assert input_tokens(Request("m", ())) == 0


@given(st.text())
def test_text_has_a_token_if_it_is_there_and_never_more_than_bytes(text: str):
    tokens = text_tokens(text)
    assert bool(tokens) == bool(text)
    assert tokens <= len(text.encode())


@given(st.text(max_size=50), st.text(max_size=50))
def test_more_text_never_has_fewer_tokens(text: str, more: str):
    assert tokens_of(Text(text)) <= tokens_of(Text(text + more))
