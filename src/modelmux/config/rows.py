"""What a configuration can say of models and of provider types: rows of the catalogue."""

from decimal import Decimal
from typing import Literal

from msgspec import field

from modelmux.config.table import File, Limit, Name, Table, Texts

OnLoss = Literal["refuse", "warn"]
Quirk = Literal[
    "mistral_tool_ids",
    "assistant_after_tools",
    "tool_results_in_order",
    "no_empty_tool_calls",
    "no_nulls",
    "no_forced_tools_while_thinking",
    "one_choice",
]


class Price(Table, frozen=True):
    """US dollars per million tokens. A part that is not said is not known."""

    input: Decimal | None = None
    """Prompt tokens."""
    output: Decimal | None = None
    """Tokens of the answer, reasoning included."""
    cache_read: Decimal | None = None
    """Prompt tokens read from the provider's cache."""
    cache_write: Decimal | None = None
    """Prompt tokens written to the provider's cache."""
    cache_write_1h: Decimal | None = None
    """Prompt tokens written to a cache that lives for an hour."""


class ProviderModel(Table, frozen=True):
    """A model that a provider offers, with what is to be known about it."""

    name: Name
    """What callers ask for; a glob (`gpt-5.4-*`) speaks for every model it matches."""
    upstream: str = ""
    """What the provider calls it; empty: the same."""
    price: Price | None = None
    """What it costs; without it, what the catalogue says."""
    context: Limit = 0
    """Longest prompt and answer together, in tokens; 0: what the catalogue says."""
    max_output: Limit = 0
    """Longest answer, in tokens; 0: what the catalogue says."""
    max_inputs: Limit = 0
    """Most texts of one request for embeddings, more being split; 0: what the catalogue says."""
    on_loss: OnLoss | None = None
    """What is done where part of a call's content cannot be said to it: refuse answers with 422,
    warn goes on and names it in `x-modelmux-losses`. Without it: refuse."""


class ProviderType(Table, frozen=True):
    """A provider type of one's own, or models of one there is: a row of the catalogue."""

    name: Name
    """What `type` of a provider calls it."""
    like: str = "openai_compatible"
    """The type whose API it has."""
    base_url: str = ""
    """Where its API is; empty: each provider says."""
    version: str = "v1"
    """Path segment put behind a base URL that has none; empty: nothing is."""
    auth: Literal["bearer", "x-api-key", "api-key", "none"] = "bearer"
    """The header for its key."""
    needs_key: bool = True
    """Without a key nothing works."""
    headers: Texts = field(default_factory=dict[str, str])
    """Sent with every request."""
    rename: Texts = field(default_factory=dict[str, str])
    """Top-level fields of bodies that it calls something else."""
    unsupported: tuple[str, ...] = ()
    """Top-level fields of bodies that it refuses: left out, and named as lost."""
    quirks: tuple[Quirk, ...] = ()
    """What else bodies need: see the page about providers."""
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] | None = None
    """What it calls the limit of tokens; without it, what `like` says."""
    stream_usage: bool | None = None
    """Whether it takes `stream_options.include_usage`; without it, what `like` says."""
    models: tuple[str | ProviderModel, ...] = ()
    """What it offers."""


class Catalog(Table, frozen=True):
    """Rows of the provider catalogue that are laid over the built-in ones."""

    files: tuple[File, ...] = ()
    """Files of rows in TOML: models, prices and provider types. Read when the configuration is
    loaded, and refused as a whole if one row is wrong; a later file wins."""
