from decimal import Decimal
from pathlib import Path

import pytest

from modelmux.config import catalogue
from modelmux.config.catalogue import MAX_FILE_BYTES, model_row
from modelmux.config.rows import Catalog, Price, ProviderModel, ProviderType
from modelmux.config.schema import Config
from modelmux.errors import ConfigError
from modelmux.provider import catalog


def with_file(folder: Path, text: str) -> Config:
    path = folder / "rows.toml"
    path.write_text(text)
    return Config(catalog=Catalog(files=(str(path),)))


def test_without_rows_of_its_own_it_is_the_built_in_one():
    assert catalogue.catalogue(Config()) is catalog.load()
    assert catalogue.own_types(Config()) == {}


def test_a_price_of_a_file_counts_before_the_built_in_one(tmp_path: Path):
    rows = catalogue.catalogue(
        with_file(
            tmp_path,
            '[[providers]]\ntype = "openai"\n[[providers.models]]\nname = "gpt-5"\n'
            "price = { input = 0.1, output = 99 }\n",
        )
    )
    price = rows.price("openai", "gpt-5")
    assert price is not None
    assert (price.input, price.output) == (Decimal("0.1"), 99)
    assert rows.profile("openai", "gpt-5") == catalog.load().profile("openai", "gpt-5")
    names = [row.name for row in rows.models("openai").rows]
    assert names.count("gpt-5") == 1


def test_a_newer_built_in_catalogue_can_be_laid_over_this_one(tmp_path: Path):
    text = (Path(catalog.__file__).with_name("catalog.toml")).read_text()
    rows = catalogue.catalogue(with_file(tmp_path, text))
    assert rows.types == catalog.load().types


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[providers]", "cannot be read"),
        ('[[providers]]\ntype = "x"\nprice = 1\n', "unknown field"),
        ('[[providers]]\ntype = "openai"\nbase_url = "http://x"\n', "only models can be told anew"),
        ('[[providers]]\ntype = "x"\nlike = "nobody"\n', "no provider type 'nobody'"),
        (
            '[[providers]]\ntype = "openai"\n[[providers.models]]\nname = "m"\n'
            "price = { input = -1 }\n",
            "0 or more",
        ),
    ],
)
def test_a_file_with_one_wrong_row_is_refused_as_a_whole(tmp_path: Path, text: str, words: str):
    with pytest.raises(ConfigError, match=words) as caught:
        catalogue.catalogue(with_file(tmp_path, text))
    assert "rows.toml" in caught.value.message


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    config = Config(catalog=Catalog(files=(str(tmp_path / "gone.toml"),)))
    with pytest.raises(ConfigError, match="No such file"):
        catalogue.catalogue(config)


def test_a_file_that_is_no_catalogue_by_its_size_is_not_read(tmp_path: Path):
    path = tmp_path / "big.toml"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ConfigError, match="larger than"):
        catalogue.catalogue(Config(catalog=Catalog(files=(str(path),))))


def test_a_type_of_ones_own_has_the_api_of_another():
    own = ProviderType(
        name="acme",
        like="anthropic",
        base_url="https://acme.example",
        max_tokens_field="max_tokens",
        stream_usage=False,
        models=("a", ProviderModel(name="b", context=5)),
    )
    config = Config(provider_types=(own,))
    row = catalogue.catalogue(config).provider("acme")
    assert [wire.wire for wire in row.wires] == ["anthropic.messages"]
    profile = catalogue.catalogue(config).profile("acme", "b")
    assert (profile.context_tokens, profile.max_tokens_field) == (5, "max_tokens")
    assert not profile.stream_usage
    assert catalogue.own_types(config)["acme"].base_url == "https://acme.example"


def test_a_type_that_is_like_none_is_refused():
    config = Config(provider_types=(ProviderType(name="acme", like="nobody"),))
    with pytest.raises(ConfigError, match="nobody"):
        catalogue.catalogue(config)


def test_a_model_of_the_configuration_is_a_row():
    said = ProviderModel(name="m", upstream="u", context=3, max_output=2, on_loss="warn")
    row = model_row(said)
    assert (row.name, row.upstream, row.context_tokens, row.on_loss) == ("m", "u", 3, "warn")
    assert model_row("m").name == "m"
    with pytest.raises(ConfigError, match="the price of 'm'"):
        model_row(ProviderModel(name="m", price=Price(input=Decimal(-1))))
