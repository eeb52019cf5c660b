import subprocess
import sys
from decimal import Decimal

import pytest

from modelmux.errors import ConfigError
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Sampling
from modelmux.provider import catalog
from modelmux.provider.catalog import ModelRow, ProfileRow
from modelmux.provider.price import Price

BUILT_IN = catalog.load()
PROMISED = {
    "openai_compatible", "openai", "azure", "azure_foundry", "anthropic", "vertex", "gemini",
    "bedrock", "huggingface", "mistral", "groq", "deepseek", "xai", "openrouter", "together",
    "fireworks", "cerebras", "perplexity", "dashscope", "moonshot", "zhipu", "minimax", "ollama",
    "cohere", "vllm", "sglang", "llamacpp", "lmstudio", "litellm", "modelmux", "echo",
}  # fmt: skip
TYPES = BUILT_IN.types


def test_every_type_that_is_promised_is_there():
    assert set(TYPES) >= PROMISED


def test_rows_have_a_field_for_each_of_a_profile():
    assert set(ProfileRow.__struct_fields__) == set(Profile.__struct_fields__)


@pytest.mark.parametrize("type_", TYPES)
def test_every_price_says_where_and_when_it_was_read(type_):
    for row in BUILT_IN.provider(type_).models:
        if row.price is not None:
            assert row.price.source, row.name
            assert row.price.read is not None, row.name
            assert row.price.input is not None, row.name
            assert row.price.output is not None, row.name


@pytest.mark.parametrize("type_", TYPES)
def test_no_model_has_two_rows(type_):
    names = [row.name for row in BUILT_IN.provider(type_).models]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("type_", TYPES)
def test_what_models_refuse_are_sampling_parameters(type_):
    for row in BUILT_IN.models(type_).rows:
        assert BUILT_IN.profile(type_, row.name).refuses <= set(Sampling.__struct_fields__)


def test_a_cache_costs_less_to_read_and_more_to_write():
    for type_ in ("openai", "anthropic"):
        for row in BUILT_IN.provider(type_).models:
            for price in filter(None, (row.price, row.price and row.price.long)):
                if price.cache_read is not None:
                    assert price.cache_read < price.input, row.name
                if price.cache_write is not None:
                    assert price.cache_write > price.input, row.name


def test_a_snapshot_is_its_model():
    assert BUILT_IN.price("openai", "gpt-5.4-mini-2026-03-17") == BUILT_IN.price(
        "openai", "gpt-5.4-mini"
    )
    assert BUILT_IN.price("anthropic", "claude-haiku-4-5-20251001") == BUILT_IN.price(
        "anthropic", "claude-haiku-4-5"
    )


@pytest.mark.parametrize(
    ("model", "reasoning", "prefill", "context"),
    [
        ("claude-haiku-4-5-20251001", "budget", True, 200_000),
        ("claude-haiku-4-5@20251001", "budget", True, 200_000),
        ("claude-sonnet-4-6", "adaptive", False, 1_000_000),
        ("claude-opus-4-8", "adaptive", False, 1_000_000),
        ("claude-opus-5", "adaptive", False, 1_000_000),
        ("claude-fable-5-2", "adaptive", False, 1_000_000),
        ("claude-3-5-sonnet-20241022", None, True, 0),
    ],
)
def test_families_of_claude_are_told_apart(model, reasoning, prefill, context):
    for type_ in ("anthropic", "vertex"):
        profile = BUILT_IN.profile(type_, model)
        assert (profile.reasoning, profile.prefill, profile.context_tokens) == (
            reasoning,
            prefill,
            context,
        )


@pytest.mark.parametrize(
    ("model", "reasoning", "takes_temperature", "developer"),
    [
        ("gpt-4o-mini", "none", True, False),
        ("gpt-4.1", "none", True, False),
        ("o3", "effort", False, True),
        ("gpt-5", "effort", False, True),
        ("gpt-5-mini-2025-08-07", "effort", False, True),
        ("gpt-5.1", "effort", True, True),
        ("gpt-5.4-mini", "effort", True, True),
        ("gpt-5.6-sol", "effort", False, True),
        ("gpt-6.2-sol", "effort", False, True),
        ("something-new", None, True, False),
    ],
)
def test_families_of_openai_are_told_apart(model, reasoning, takes_temperature, developer):
    profile = BUILT_IN.profile("openai", model)
    assert profile.reasoning == reasoning
    assert ("temperature" not in profile.refuses) == takes_temperature
    assert profile.developer_role == developer
    assert profile.max_tokens_field == "max_completion_tokens"


def test_a_server_that_copies_openai_gets_the_name_that_all_of_them_know():
    assert BUILT_IN.profile("openai_compatible", "llama").max_tokens_field == "max_tokens"
    assert BUILT_IN.profile("ollama", "llama3.2").max_tokens_field == "max_tokens"


def test_prices_that_nobody_could_read_are_unknown():
    assert BUILT_IN.price("vertex", "claude-opus-5") is None
    assert BUILT_IN.price("ollama", "llama3.2") is None
    assert BUILT_IN.price("openai", "something-new") is None


def test_a_price_is_decimal_and_exact():
    price = BUILT_IN.price("openai", "gpt-6-luna")
    assert price is not None
    assert price.input == Decimal("0.1")


def test_a_provider_with_openais_api_is_one_row():
    made = catalog.parse(
        """
        [[providers]]
        type = "openai_compatible"
        like = ""
        wires = [{ wire = "openai.chat", paths = { chat = "/chat/completions" } }]
        forward = ["idempotency-key"]
        profile = { max_tokens_field = "max_tokens" }

        [[providers]]
        type = "new"
        base_url = "https://api.example.com/openai/v1"
        env = { api_key = ["NEW_API_KEY"] }
        """
    )
    row = made.provider("new")
    assert row.auth == "bearer"
    assert row.wires[0].paths == {"chat": "/chat/completions"}
    assert row.forward == ("idempotency-key",)
    assert made.profile("new", "x").max_tokens_field == "max_tokens"


def test_headers_that_may_matter_to_some_provider_are_known():
    assert {"anthropic-beta", "idempotency-key"} <= BUILT_IN.forwarded
    assert not {"authorization", "x-api-key", "openai-organization"} & BUILT_IN.forwarded


def test_an_unknown_type_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError) as caught:
        BUILT_IN.provider("anthropc")
    assert "anthropic" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "[[providers]",
        '[[providers]]\ntype = "a"\nlike = ""\nbase_ulr = "x"',
        '[[providers]]\ntype = "a"\nlike = "b"',
        '[[providers]]\ntype = "a"\nlike = ""\nmodels_from = "b"',
        '[[providers]]\ntype = "a"\nlike = ""\nauth = "magic"',
        '[[providers]]\ntype = "a"\nlike = ""\nmodels = [{ name = "m", price = { input = -1 } }]',
    ],
)
def test_a_catalogue_that_says_what_no_row_can_say_is_refused(text):
    with pytest.raises(ConfigError, match="catalogue"):
        catalog.parse(text)


@pytest.mark.parametrize(
    ("type_", "environ", "settings"),
    [
        ("openai", {"OPENAI_API_KEY": "k"}, {"api_key": "k"}),
        ("openai", {"OPENAI_API_KEY": ""}, None),
        ("openai", {}, None),
        ("anthropic", {"ANTHROPIC_API_KEY": "k"}, {"api_key": "k"}),
        ("vertex", {"ANTHROPIC_VERTEX_PROJECT_ID": "p"}, None),
        (
            "vertex",
            {"ANTHROPIC_VERTEX_PROJECT_ID": "p", "CLOUD_ML_REGION": "global"},
            {"project": "p", "region": "global"},
        ),
        ("ollama", {"OPENAI_API_KEY": "k"}, None),
    ],
)
def test_a_provider_is_on_when_every_setting_has_a_variable(type_, environ, settings):
    assert BUILT_IN.provider(type_).settings(environ) == settings


# What a configuration says.


def test_the_configuration_wins_over_the_catalogue_field_by_field():
    models = BUILT_IN.models("openai", [ModelRow(name="gpt-5.4", context_tokens=1000)])
    profile = models.profile("gpt-5.4")
    assert profile.context_tokens == 1000
    assert profile.max_output_tokens == 128_000
    assert models.price("gpt-5.4") == BUILT_IN.price("openai", "gpt-5.4")


def test_a_glob_of_the_configuration_wins_over_a_model_of_the_catalogue():
    price = Price(input=Decimal(1))
    models = BUILT_IN.models("openai", [ModelRow(name="gpt-*", price=price, tools=False)])
    assert models.price("gpt-5.4") == price
    assert models.profile("gpt-5.4").tools is False


def test_a_model_of_the_configuration_wins_over_its_glob():
    rows = [ModelRow(name="m-1", tools=True), ModelRow(name="m-*", tools=False)]
    models = BUILT_IN.models("openai_compatible", rows)
    assert models.profile("m-1").tools is True
    assert models.profile("m-2").tools is False


def test_a_renamed_model_is_what_the_provider_calls_it():
    models = BUILT_IN.models("openai", [ModelRow(name="fast", upstream="gpt-5.4-mini")])
    assert models.upstream("fast") == "gpt-5.4-mini"
    assert models.price("fast") == BUILT_IN.price("openai", "gpt-5.4-mini")
    assert models.profile("fast").context_tokens == 400_000


def test_what_may_be_said_can_be_taken_back():
    models = BUILT_IN.models("openai", [ModelRow(name="o3", refuses=frozenset())])
    assert models.profile("o3").refuses == frozenset()


def test_models_that_can_be_listed_are_the_configurations_and_no_globs_of_ours():
    names = [row.name for row in BUILT_IN.models("openai", [ModelRow(name="x-*")]).rows]
    assert names[0] == "x-*"
    assert "gpt-5.4" in names
    assert not any("*" in name for name in names[1:])


def test_a_row_that_says_nothing_changes_nothing():
    assert ProfileRow().over(UNKNOWN) is UNKNOWN


def test_the_catalogue_is_read_only_when_it_is_asked_for():
    program = (
        "import pathlib; pathlib.Path.read_text = lambda *a, **k: 1 / 0\n"
        "import modelmux.provider.catalog"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
