from typing import get_args

from modelmux.config import rows
from modelmux.ir.request import OnLoss
from modelmux.provider import catalog


def test_a_configuration_has_the_words_that_the_catalogue_has():
    assert set(get_args(rows.Quirk)) == set(get_args(catalog.Quirk))
    assert set(get_args(rows.OnLoss)) == set(get_args(OnLoss))


def test_a_type_of_ones_own_says_what_rows_of_the_catalogue_say():
    said = set(rows.ProviderType.__struct_fields__)
    of_rows = set(catalog.ProviderRow.__struct_fields__) | {"max_tokens_field", "stream_usage"}
    assert said - {"name"} <= of_rows
