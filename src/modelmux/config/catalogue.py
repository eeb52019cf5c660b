"""The provider catalogue of a configuration: the built-in rows, and those it lays over them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from modelmux.config import rows as said_rows
from modelmux.config.discover import ProviderType, ProviderTypes
from modelmux.config.rows import ProviderModel
from modelmux.config.schema import Config
from modelmux.errors import ConfigError
from modelmux.provider import catalog
from modelmux.provider.catalog import Catalogue, ModelRow, ProfileRow, ProviderRow
from modelmux.provider.price import Price

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Largest file of rows that is read: the built-in one is a hundredth of it."""


def catalogue(config: Config) -> Catalogue:
    """The rows that count for `config`. Reads its files.

    Raises:
        ConfigError: A file cannot be read, or a row is wrong.
    """
    found = catalog.load()
    for file in config.catalog.files:
        try:
            found = found.with_rows(_read(Path(file)))
        except ConfigError as exc:
            raise ConfigError(f"{file}: {exc.message}", hint=exc.hint) from exc
    rows = [_row(each) for each in config.provider_types]
    return found.with_rows(rows) if rows else found


def own_types(config: Config) -> ProviderTypes:
    """The provider types that `config` makes itself, as far as loading needs to know.

    Raises:
        ConfigError: As `catalogue` does.
    """
    if not (config.provider_types or config.catalog.files):
        return {}
    return provider_types(catalogue(config))


def provider_types(rows: Catalogue) -> Mapping[str, ProviderType]:
    """Every provider type that a configuration can name, as far as loading needs to know.

    What speaks no wire is the gateway's own, such as its built-in model.
    """
    return {
        type_: ProviderType(
            env=row.env, base_url=row.base_url, needs_key=row.needs_key, discover=row.discover
        )
        for type_, row in _named(rows)
        if row.wires and not row.part_of
    }


def _named(rows: Catalogue) -> Iterator[tuple[str, ProviderRow]]:
    for type_ in rows.types:
        yield type_, rows.provider(type_)


def _read(path: Path) -> tuple[ProviderRow, ...]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"it is larger than {MAX_FILE_BYTES} bytes")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise ConfigError(f"the file cannot be read: {reason}") from exc
    return catalog.parse_rows(text)


def _row(said: said_rows.ProviderType) -> ProviderRow:
    profile = ProfileRow()
    if said.max_tokens_field is not None:
        profile = replace(profile, max_tokens_field=said.max_tokens_field)
    if said.stream_usage is not None:
        profile = replace(profile, stream_usage=said.stream_usage)
    return ProviderRow(
        type=said.name,
        like=said.like,
        base_url=said.base_url,
        version=said.version,
        auth=said.auth,
        needs_key=said.needs_key,
        headers=said.headers,
        rename=said.rename,
        unsupported=said.unsupported,
        quirks=said.quirks,
        profile=profile,
        models=tuple(model_row(model) for model in said.models),
    )


def model_row(model: str | ProviderModel) -> ModelRow:
    """A model of the configuration as a row of the catalogue's kind. Raises `ConfigError`."""
    if isinstance(model, str):
        return ModelRow(name=model)
    row = ModelRow(name=model.name, upstream=model.upstream, on_loss=model.on_loss)
    if model.price is not None:
        row = replace(row, price=_price(model.name, model.price))
    if model.context:
        row = replace(row, context_tokens=model.context)
    if model.max_output:
        row = replace(row, max_output_tokens=model.max_output)
    if model.max_inputs:
        row = replace(row, max_inputs=model.max_inputs)
    return row


def _price(model: str, said: said_rows.Price) -> Price:
    try:
        return Price(
            input=said.input,
            output=said.output,
            cache_read=said.cache_read,
            cache_write=said.cache_write,
            cache_write_1h=said.cache_write_1h,
        )
    except ValueError as exc:
        raise ConfigError(f"models: the price of {model!r}: {exc}") from None
