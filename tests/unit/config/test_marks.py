from typing import Annotated

import pytest
from msgspec import Meta

from modelmux.config.marks import (
    MASK,
    bare,
    is_secret,
    limits,
    marks,
    names_credential,
    presentable,
    without_credentials,
)

Hidden = Annotated[str, Meta(extra={"secret": True})]


def test_marks_are_those_of_every_meta_of_an_annotation():
    annotation = Annotated[str, Meta(extra={"a": 1}), Meta(extra={"b": 2})]
    assert marks(annotation) == {"a": 1, "b": 2}
    assert marks(str) == {}
    assert bare(annotation) is str


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, ""),
        (Annotated[int, Meta(ge=1, le=65535)], " from 1 to 65535"),
        (Annotated[int, Meta(ge=1)], " of at least 1"),
        (Annotated[float, Meta(gt=0)], " above 0"),
        (Annotated[str, Meta(min_length=1)], " that is not empty"),
        (Annotated[str, Meta(extra={"secret": True})], ""),
    ],
)
def test_limits_are_told_in_words(annotation: object, words: str):
    assert limits(annotation) == words


def test_an_array_of_secrets_is_a_secret():
    assert is_secret(Hidden)
    assert is_secret(tuple[Hidden, ...])
    assert not is_secret(tuple[str, ...])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Authorization", True),
        ("x-api-key", True),
        ("OPENAI_API_KEY", True),
        ("APIKEY", True),
        ("Cookie", True),
        ("X-Auth-Token", True),
        ("DB_PASSWORD", True),
        ("monkey", False),
        ("x-team", False),
        ("PORT", False),
    ],
)
def test_a_name_tells_whether_it_holds_a_credential(name: str, expected: bool):
    assert names_credential(name) is expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:p@h/v1", f"https://{MASK}@h/v1"),
        ("https://h/v1?key=abc", f"https://h/v1?{MASK}"),
        ("https://h:8443/v1", "https://h:8443/v1"),
        ("user@example.com", "user@example.com"),
        ("http://[::1", MASK),
    ],
)
def test_a_url_is_shown_without_credentials(text: str, shown: str):
    assert without_credentials(text) == shown


def test_what_is_presentable_holds_no_secret():
    assert presentable("s", secret=True) == MASK
    assert presentable("", secret=True) == ""
    assert presentable(("a", "b"), secret=True) == [MASK, MASK]
    assert presentable({"authorization": "s", "x-team": "t"}, secret=False) == {
        "authorization": MASK,
        "x-team": "t",
    }
    assert presentable(3, secret=False) == 3
