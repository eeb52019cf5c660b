import msgspec
from msgspec import Raw

from modelmux.ir.response import Usage
from modelmux.wire.gemini import counts
from tests.support.cases import case


def read(**said: object) -> Usage:
    return counts.read(Raw(msgspec.json.encode(said)))


@case(80, 82)
def test_thoughts_and_tools_count_where_the_neutral_model_has_them() -> None:
    usage = read(
        promptTokenCount=10,
        cachedContentTokenCount=4,
        candidatesTokenCount=5,
        thoughtsTokenCount=7,
        toolUsePromptTokenCount=3,
        totalTokenCount=25,
    )
    assert (usage.input_tokens, usage.output_tokens) == (13, 12)
    assert (usage.cache_read_input_tokens, usage.reasoning_output_tokens) == (4, 7)


def test_own_counts_come_back_as_they_came() -> None:
    for said in (
        {"promptTokenCount": 3},
        {"promptTokenCount": 3, "candidatesTokenCount": 0, "totalTokenCount": 3},
        {"totalTokenCount": 9, "newCount": 1},
        {"promptTokenCount": 1, "thoughtsTokenCount": 2, "totalTokenCount": 3},
    ):
        assert (
            msgspec.to_builtins(
                msgspec.json.decode(msgspec.json.encode(counts.encode(read(**said))))
            )
            == said
        )


def test_counts_of_another_wire_add_up() -> None:
    usage = Usage(20, 9, cache_read_input_tokens=5, reasoning_output_tokens=4)
    assert counts.encode(usage) == {
        "promptTokenCount": 20,
        "cachedContentTokenCount": 5,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 4,
        "totalTokenCount": 29,
    }
