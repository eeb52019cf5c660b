import pytest

from modelmux.config.changes import MAX_NAMES, differences
from modelmux.config.schema import Config, Key, Model, Provider, Server, Streaming

A, B, C = (Provider(name=name, type="openai", api_key=f"sk-{name}") for name in "abc")


def said(before: Config, after: Config) -> list[str]:
    return [each.text() for each in differences(before, after)]


@pytest.mark.parametrize("config", [Config(), Config(providers=(A, B))])
def test_the_same_configuration_differs_in_nothing(config: Config):
    assert said(config, config) == []


def test_entries_are_told_by_their_names_and_secrets_never():
    changed = Provider(name="b", type="openai", api_key="sk-other")
    told = said(Config(providers=(A, B)), Config(providers=(changed, C)))
    assert told == ["providers: added c, removed a, changed b"]


def test_tables_are_told_by_the_keys_that_changed():
    before = Config(server=Server(port=1))
    after = Config(server=Server(port=2, workers=3), streaming=Streaming(mode="never"))
    assert said(before, after) == ["server: changed port, workers", "streaming: changed mode"]


def test_another_order_is_a_difference():
    assert said(Config(providers=(A, B)), Config(providers=(B, A))) == [
        "providers: in another order"
    ]


def test_of_many_names_some_are_told_and_the_others_counted():
    models = tuple(Model(name=f"m{n}", targets=("x",)) for n in range(MAX_NAMES + 2))
    keys = (Key(name="k", secret="s"),)
    assert said(Config(), Config(models=models, keys=keys)) == [
        "keys: added k",
        "models: added m0, m1, m2, m3, m4 and 2 more",
    ]
