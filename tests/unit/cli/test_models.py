from decimal import Decimal

import pytest

from tests.unit.cli.conftest import Cli, FakeBuilt, FakeModel, FakePrice

MODELS = [
    FakeModel(
        "fast",
        ("openai/gpt", "anthropic/claude"),
        200_000,
        FakePrice(Decimal("0.10"), Decimal("1E+1"), Decimal("0.01")),
    ),
    FakeModel("modelmux/echo", ("modelmux/echo",)),
]


def test_models_are_a_table(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    FakeBuilt(MODELS).built_by(monkeypatch)
    lines = [line.split() for line in cli("models").out.splitlines()]
    assert lines == [
        ["MODEL", "TARGETS", "CONTEXT", "IN", "OUT"],
        ["fast", "openai/gpt,", "anthropic/claude", "200,000", "0.10", "10"],
        ["modelmux/echo", "modelmux/echo", "-", "-", "-"],
    ]


def test_prices_of_cached_tokens_are_shown_on_demand(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    FakeBuilt(MODELS).built_by(monkeypatch)
    lines = cli("models", "--prices").out.splitlines()
    assert "CACHE READ" in lines[0]
    assert lines[1].split()[-2:] == ["0.01", "-"]


def test_json_has_exact_prices(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    FakeBuilt(MODELS).built_by(monkeypatch)
    assert cli("models", "--json").json() == [
        {
            "id": "fast",
            "targets": ["openai/gpt", "anthropic/claude"],
            "context_tokens": 200_000,
            "price_usd_per_million": {
                "input": "0.10",
                "output": "10",
                "cache_read": "0.01",
                "cache_write": None,
            },
        },
        {
            "id": "modelmux/echo",
            "targets": ["modelmux/echo"],
            "context_tokens": 0,
            "price_usd_per_million": None,
        },
    ]


def test_a_configuration_that_cannot_be_used_is_told(cli: Cli):
    cli.project("x = 1")
    assert cli("models").code == 1
