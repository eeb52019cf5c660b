import pytest

from modelmux.ir.parts import Blob, Part, Text, ToolResult, Uri
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Message, ReasoningOptions, Request, ResponseFormat, Tool
from modelmux.target.capability import missing, modalities

IMAGE = Blob("image", "image/png", "AAAA")
SCHEMA = ResponseFormat("json_schema", "x")


def request(*parts: Part, **more: object) -> Request:
    return Request("m", (Message("user", parts or (Text("Hello!"),)),), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "profile", "lacks"),
    [
        (request(), Profile(tools=False, input_modalities=frozenset()), ""),
        (request(tools=(Tool("f"),)), Profile(tools=False), "it has no tools"),
        (request(tools=(Tool("f"),)), UNKNOWN, ""),
        (request(IMAGE), Profile(input_modalities=frozenset()), "it takes no image"),
        (request(IMAGE), Profile(input_modalities=frozenset({"image"})), ""),
        (request(IMAGE), UNKNOWN, ""),
        (
            request(ToolResult("i", (Uri("audio", "https://x"),))),
            Profile(input_modalities=frozenset({"image"})),
            "it takes no audio",
        ),
        (
            request(reasoning=ReasoningOptions(effort="high")),
            Profile(reasoning="none"),
            "it does not reason",
        ),
        (request(reasoning=ReasoningOptions(effort="none")), Profile(reasoning="none"), ""),
        (request(reasoning=ReasoningOptions(mode="disabled")), Profile(reasoning="none"), ""),
        (request(response_format=SCHEMA), Profile(structured_output="tool"), ""),
        (
            request(response_format=SCHEMA),
            Profile(structured_output="tool", tools=False),
            "it keeps to no schema",
        ),
        (
            request(Text("x" * 4000)),
            Profile(context_tokens=500),
            "it takes 500 tokens, and the prompt has about 1004",
        ),
        (request(Text("x" * 4000)), Profile(context_tokens=5000), ""),
        (
            request(max_tokens=900),
            Profile(context_tokens=5000, max_output_tokens=800),
            "it answers with at most 800 tokens",
        ),
    ],
)
def test_what_a_model_lacks(asked: Request, profile: Profile, lacks: str):
    assert missing(asked, profile) == lacks


def test_what_stands_in_a_prompt_beside_text():
    assert modalities(request(IMAGE, Uri("video", "https://x"), Text("x"))) == {"image", "video"}
