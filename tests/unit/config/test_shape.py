from decimal import Decimal

import pytest

from modelmux.config.schema import Config
from modelmux.config.shape import (
    EitherShape,
    ListShape,
    MapShape,
    ScalarShape,
    TableShape,
    config_shape,
    scalars,
    typed,
    typed_text,
)


def scalar(*path: str) -> ScalarShape:
    """The shape of a value; steps through arrays and unions by themselves."""
    shape: object = config_shape()
    for step in path:
        if isinstance(shape, ListShape):
            shape = shape.item
        if isinstance(shape, EitherShape):
            shape = shape.table
        assert isinstance(shape, TableShape)
        shape = shape.fields[step].shape
    if isinstance(shape, MapShape | ListShape):
        shape = shape.item
    assert isinstance(shape, ScalarShape)
    return shape


def test_the_schema_is_understood_as_a_whole():
    shape = config_shape()
    assert shape.struct is Config
    assert shape.fields["providers"].shape == ListShape(shape.fields["providers"].shape.item, True)
    assert scalar("providers", "api_keys").secret
    assert scalar("providers", "ca_file").path
    assert isinstance(scalar("providers", "headers"), ScalarShape)


def test_a_field_without_default_is_required():
    providers = config_shape().fields["providers"].shape
    assert isinstance(providers, ListShape)
    assert isinstance(providers.item, TableShape)
    required = {name for name, field in providers.item.fields.items() if field.required}
    assert required == {"name", "type"}


def test_scalars_are_the_keys_with_a_fixed_name():
    paths = {path for path, _ in scalars(config_shape())}
    assert {("server", "port"), ("server", "listen"), ("routing", "fallback", "enabled")} <= paths
    assert not any(path[0] in {"providers", "keys", "models"} for path in paths)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("server", "port"), 80, 80),
        (("server", "log_level"), "warning", "warn"),
        (("server", "log_level"), " INFO ", "info"),
        (("streaming", "mode"), "non-streaming", "never"),
        (("streaming", "mode"), False, "never"),
        (("streaming", "mode"), True, "always"),
        (("streaming", "mode"), "normal", "standard"),
        (("streaming", "mode"), "buffer", "buffered"),
        (("streaming", "mode"), "no", "never"),
        (("streaming", "mode"), "yes", "always"),
        (("server", "drain_timeout_s"), 5, 5.0),
        (("providers", "models", "price", "input"), "1.25", Decimal("1.25")),
        (("providers", "models", "price", "input"), 10, Decimal(10)),
        (("providers", "models", "price", "input"), 0.1, Decimal("0.1")),
    ],
)
def test_a_value_is_typed(path: tuple[str, ...], value: object, expected: object):
    assert typed(value, scalar(*path)) == expected


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("server", "port"), 0, "expected an integer from 1 to 65535"),
        (("server", "port"), True, "expected an integer from 1 to 65535"),
        (("server", "port"), "80", "expected an integer from 1 to 65535"),
        (("server", "enable_retries"), 1, "expected true or false"),
        (("server", "log_level"), "loud", "expected one of trace, debug, info, warn, error"),
        (
            ("models", "affinity"),
            "best",
            "expected one of none, session, prompt",
        ),
        (("providers", "name"), "", "expected a string that is not empty"),
        (("server", "drain_timeout_s"), float("nan"), "expected a number from 0 to 604800"),
        (("providers", "models", "price", "input"), "NaN", "expected a number of at least 0"),
        (("providers", "models", "price", "input"), -1, "expected a number of at least 0"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(path: tuple[str, ...], value: object, message: str):
    with pytest.raises(ValueError, match=r"^expected") as caught:
        typed(value, scalar(*path))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (("server", "port"), " 80 ", 80),
        (("server", "enable_retries"), "Yes", True),
        (("server", "enable_retries"), "1", True),
        (("server", "enable_retries"), "on", True),
        (("server", "enable_retries"), "enabled", True),
        (("server", "enable_retries"), "disabled", False),
        (("server", "enable_retries"), "0", False),
        (("server", "enable_retries"), "OFF", False),
        (("server", "enable_retries"), "no", False),
        (("server", "drain_timeout_s"), "0.5", 0.5),
        (("streaming", "mode"), "true", "always"),
        (("routing", "default"), " kept as it is ", " kept as it is "),
        (("providers", "models", "price", "input"), "0.3", Decimal("0.3")),
    ],
)
def test_text_is_typed_by_the_schema(path: tuple[str, ...], text: str, expected: object):
    assert typed_text(text, scalar(*path)) == expected


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("server", "port"), "eighty"),
        (("server", "enable_retries"), "maybe"),
        (("server", "drain_timeout_s"), "soon"),
        (("providers", "models", "price", "input"), "much"),
    ],
)
def test_text_that_does_not_fit_is_refused(path: tuple[str, ...], text: str):
    with pytest.raises(ValueError, match=r"^expected"):
        typed_text(text, scalar(*path))
