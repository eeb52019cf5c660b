from modelmux.cli import parts
from modelmux.config.shape import ListShape, TableShape, config_shape


def test_the_catalogue_says_what_loading_has_to_know():
    types = parts.provider_types()
    assert types["openai"].env == {"api_key": ("OPENAI_API_KEY",)}
    assert types["openai"].base_url.startswith("https://")
    assert types["openai"].needs_key
    assert not types["openai_compatible"].needs_key
    assert types["ollama"].discover


def test_every_setting_that_a_variable_gives_is_a_key_of_providers():
    providers = config_shape().fields["providers"].shape
    assert isinstance(providers, ListShape)
    assert isinstance(providers.item, TableShape)
    named = {key for row in parts.provider_types().values() for key in row.env}
    assert named <= set(providers.item.fields)
