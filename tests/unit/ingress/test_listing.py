import asyncio
from collections.abc import Sequence
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.ingress.auth import Keyring
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.listing import MAX_PAGE, ModelsDoor
from modelmux.ingress.streaming import Streaming
from modelmux.ingress.surface import ModelRow, Surface
from modelmux.provider.offer import Offering
from modelmux.target.call import Caller
from modelmux.target.registry import Registry
from modelmux.wire import anthropic_messages, gemini, openai_chat
from modelmux.wire.base import Wire
from tests.support.cases import case
from tests.support.targets import Fake
from tests.unit.ingress.world import Notes

ROWS = [
    ModelRow("fast", ("openai/gpt-5-mini", "anthropic/claude-haiku"), 1_700_000_000),
    ModelRow("gpt-5", ("openai/gpt-5",), 1_700_000_000, 400_000, 128_000),
    ModelRow("claude-haiku", ("anthropic/claude-haiku",), 1_700_000_000, 200_000),
]
ANTHROPIC = {"anthropic-version": "2023-06-01"}


def dialect(request: HttpRequest) -> Wire:
    if "anthropic-version" in request.headers:
        return anthropic_messages.WIRE
    return gemini.WIRE if "x-goog-api-key" in request.headers else openai_chat.WIRE


class List:
    """The door, in front of `rows` for everybody but the key `few`, who may see one."""

    def __init__(self, rows: Sequence[ModelRow] = ROWS, *, keys: bool = False) -> None:
        callers = {"all": Caller("all"), "few": Caller("few", ("fast",))} if keys else {}
        offers = [
            Offering(
                "openai", 1, ["gpt-5", "gpt-5-mini"], lambda model: Fake(name=f"openai/{model}")
            ),
            Offering("local", 1, ["l*"], lambda model: Fake(name=f"local/{model}")),
        ]
        surface = Surface(
            Registry(offers, [], lambda plan: plan.targets[0].target),
            Keyring({sha256(key.encode()).digest(): caller for key, caller in callers.items()}),
            Streaming("auto", 1, 1.0),
            Notes(),
            lambda caller: rows[:1] if caller.name == "few" else rows,
        )
        self._door = ModelsDoor(dialect, lambda: surface, lambda: "made-1")

    def ask(
        self, id_: str | None = None, query: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        fields = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        request = HttpRequest("GET", "/v1/models", query, fields, b"", 0.0)
        if id_ is not None:
            request.parameters = {"id": id_}
        return asyncio.run(self._door(request))

    def page(self, query: str = "") -> tuple[list[str], bool]:
        """The ids of a page, and whether there are more."""
        got = said(self.ask(query=query.encode(), headers=ANTHROPIC))
        ids = [model["id"] for model in got["data"]]
        assert got["first_id"] == (ids[0] if ids else None)
        assert got["last_id"] == (ids[-1] if ids else None)
        return ids, got["has_more"]


def said(answer: Answer) -> dict[str, object] | list[object] | object:
    assert isinstance(answer.body, bytes)
    return msgspec.json.decode(answer.body)


# OpenAI's


def test_the_list_has_openais_shape():
    answer = List().ask()
    assert answer.status == 200
    assert dict(answer.headers) == {
        b"content-type": b"application/json",
        b"x-request-id": b"made-1",
    }
    assert said(answer) == {
        "object": "list",
        "data": [
            {"id": "fast", "object": "model", "created": 1_700_000_000, "owned_by": "modelmux"},
            {"id": "gpt-5", "object": "model", "created": 1_700_000_000, "owned_by": "openai"},
            {
                "id": "claude-haiku",
                "object": "model",
                "created": 1_700_000_000,
                "owned_by": "anthropic",
            },
        ],
    }


def test_one_model_has_openais_shape():
    assert said(List().ask("gpt-5")) == {
        "id": "gpt-5",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "openai",
    }


@pytest.mark.parametrize(
    ("id_", "owner"),
    [
        ("openai/gpt-5", "openai"),
        ("openai/gpt-5-mini", "openai"),
        ("llama", "local"),
        ("modelplex-gpt-5", "openai"),
    ],
)
def test_what_can_be_asked_for_is_found_also_if_the_list_does_not_have_it(id_: str, owner: str):
    assert said(List().ask(id_)) == {
        "id": id_,
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": owner,
    }


def test_what_is_known_of_a_model_is_known_by_its_full_name_too():
    got = said(List().ask("openai/gpt-5", headers=ANTHROPIC))
    assert (got["id"], got["max_input_tokens"]) == ("openai/gpt-5", 400_000)
    assert said(List().ask("llama", headers=ANTHROPIC))["max_input_tokens"] is None


def test_a_model_that_is_not_there_is_not_found():
    answer = List().ask("gpt-6")
    assert answer.status == 404
    assert said(answer)["error"]["code"] == "model_not_found"


# Anthropic's


def test_the_list_has_anthropics_shape_for_who_speaks_it():
    got = said(List().ask(query=b"limit=1", headers=ANTHROPIC))
    assert got == {
        "data": [
            {
                "type": "model",
                "id": "fast",
                "display_name": "fast",
                "created_at": "2023-11-14T22:13:20Z",
                "max_input_tokens": None,
                "max_tokens": None,
            }
        ],
        "first_id": "fast",
        "last_id": "fast",
        "has_more": True,
    }


def test_one_model_has_anthropics_shape_for_who_speaks_it():
    got = said(List().ask("gpt-5", headers=ANTHROPIC))
    assert (got["type"], got["max_input_tokens"], got["max_tokens"]) == ("model", 400_000, 128_000)


def test_a_model_that_is_not_there_is_not_found_in_the_callers_dialect():
    answer = List().ask("gpt-6", headers=ANTHROPIC)
    assert answer.status == 404
    assert said(answer)["type"] == "error"
    assert said(answer)["error"]["type"] == "not_found_error"


def rows(count: int) -> list[ModelRow]:
    return [ModelRow(f"m{number}", (f"p/m{number}",)) for number in range(count)]


def test_a_page_has_twenty_models_unless_told():
    assert List(rows(25)).page() == ([f"m{number}" for number in range(20)], True)
    assert List(rows(20)).page() == ([f"m{number}" for number in range(20)], False)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=2", (["m0", "m1"], True)),
        ("limit=2&after_id=m1", (["m2", "m3"], True)),
        ("limit=2&after_id=m3", (["m4"], False)),
        ("limit=2&after_id=m4", ([], False)),
        ("limit=2&before_id=m3", (["m1", "m2"], True)),
        ("limit=2&before_id=m2", (["m0", "m1"], False)),
        ("limit=2&before_id=m0", ([], False)),
        ("limit=2&after_id=nobody", ([], False)),
        ("limit=2&before_id=nobody", ([], False)),
        ("limit=1000", ([f"m{number}" for number in range(5)], False)),
    ],
)
def test_pages_are_turned_as_anthropic_does(query: str, expected: tuple[list[str], bool]):
    assert List(rows(5)).page(query) == expected


@given(st.integers(0, 30), st.integers(1, 7))
def test_turning_pages_shows_every_model_once(count: int, limit: int):
    made = List(rows(count))
    seen, more, query = [], True, f"limit={limit}"
    while more:
        ids, more = made.page(query)
        assert len(ids) <= limit
        seen += ids
        query = f"limit={limit}&after_id={ids[-1]}" if ids else query
    assert seen == [f"m{number}" for number in range(count)]


@pytest.mark.parametrize("value", ["0", str(MAX_PAGE + 1), "-1", "x", "%C2%B2", "9" * 5000])
def test_what_is_no_size_of_a_page_is_refused(value: str):
    answer = List().ask(query=f"limit={value}".encode(), headers=ANTHROPIC)
    assert answer.status == 400
    assert "from 1 to 1000" in said(answer)["error"]["message"]


def test_openais_list_has_no_pages():
    assert len(said(List(rows(25)).ask(query=b"limit=1"))["data"]) == 25


# Who may see what


def test_the_list_needs_a_key_where_there_are_keys():
    for headers, shape in (({}, "error"), (ANTHROPIC, "type")):
        answer = List(keys=True).ask(headers=headers)
        assert answer.status == 401
        assert shape in said(answer)


def test_a_key_sees_what_it_may_use():
    assert len(said(List(keys=True).ask(headers={"x-api-key": "all"}))["data"]) == 3
    assert len(said(List(keys=True).ask(headers={"x-api-key": "few"}))["data"]) == 1


def test_a_model_that_a_key_may_not_use_is_not_there_for_it():
    for id_ in ("gpt-5", "openai/gpt-5-mini", "llama"):
        assert List(keys=True).ask(id_, headers={"x-api-key": "few"}).status == 404
    assert List(keys=True).ask("fast", headers={"x-api-key": "few"}).status == 200


def test_the_callers_own_id_is_kept():
    for id_ in ("fast", "nobody"):
        answer = List().ask(id_, headers={"x-request-id": "mine"})
        assert dict(answer.headers)[b"x-request-id"] == b"mine"


GEMINI = {"x-goog-api-key": "k"}


@case(109)
def test_gemini_s_list_has_its_own_shape() -> None:
    body = msgspec.json.decode(List().ask(headers=GEMINI).body)
    assert body["models"][1] == {
        "name": "models/gpt-5",
        "baseModelId": "gpt-5",
        "version": "001",
        "displayName": "gpt-5",
        "inputTokenLimit": 400_000,
        "outputTokenLimit": 128_000,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
    assert "nextPageToken" not in body
    one = msgspec.json.decode(List().ask("gpt-5", headers=GEMINI).body)
    assert one["name"] == "models/gpt-5"


def test_gemini_s_list_comes_in_pages() -> None:
    names: list[str] = []
    token = b""
    for _ in range(3):
        query = b"pageSize=1" + (b"&pageToken=" + token if token else b"")
        body = msgspec.json.decode(List().ask(query=query, headers=GEMINI).body)
        names += [model["baseModelId"] for model in body["models"]]
        token = body.get("nextPageToken", "").encode()
    assert names == ["fast", "gpt-5", "claude-haiku"]
    assert token == b""
    odd = List().ask(query=b"pageToken=x", headers=GEMINI)
    assert msgspec.json.decode(odd.body)["models"] == []
