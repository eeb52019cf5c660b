import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.provider.quoting import MAX_CHARS, quoted


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop",
        "sk-ant-api03-AbCdEf_0123-456789",
        "sk-abc***********xyz",
        "gsk_0123456789abcdef",
        "xai-0123456789abcdef",
        "AIzaSyA-0123456789abcdefghijklmnopqrstu",
        "ya29.a0AfH6SMBx-0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0",
        "Bearer what-ever_it=is",
        "0123456789aBcDeFgHiJkLm",
    ],
)
def test_what_looks_like_a_secret_is_not_quoted(secret):
    said = quoted(
        f"Incorrect API key provided: {secret}. See https://example.com/account", about_keys=True
    )
    assert secret not in said
    assert secret.removeprefix("Bearer ") not in said
    assert said.startswith("Incorrect API key provided: ")
    assert said.endswith("See https://example.com/account")


@pytest.mark.parametrize(
    "text",
    [
        "The model `claude-haiku-4-5-20251001` does not exist",
        "messages.0.content.1.cache_control: Extra inputs are not permitted",
        "Permission 'aiplatform.endpoints.predict' denied on resource "
        "'//aiplatform.googleapis.com/projects/my-project-1/locations/us-east5'",
        "Rate limit reached for gpt-5.4-mini on tokens per min (TPM): Limit 200000, Used 199999",
    ],
)
def test_what_explains_an_error_is_quoted(text):
    assert quoted(text, about_keys=True) == text


def test_ids_are_left_alone_where_it_is_not_about_keys():
    text = "no tool_result for toolu_01A09q90qw90lq917835lq9"
    assert quoted(text) == text
    assert quoted("your key sk-proj-abcdefghijkl") == "your key …"


def test_a_long_run_of_anything_is_looked_through_once():
    run = "aA-" * 100_000
    assert len(quoted(run, about_keys=True)) <= MAX_CHARS


def test_a_quotation_is_one_line_and_bounded():
    said = quoted("a\r\n\tb\x00 " + "<p>no</p> " * 100_000)
    assert said.startswith("a b <p>no</p>")
    assert len(said) == MAX_CHARS
    assert said.endswith("…")


@given(st.text())
def test_no_text_makes_a_quotation_long_or_more_than_a_line(text):
    said = quoted(text)
    assert len(said) <= MAX_CHARS
    assert "\n" not in said
    assert "\r" not in said
