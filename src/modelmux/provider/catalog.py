"""The provider catalogue: who there is, which wires they speak, what their models can and cost.

All of it is data, in `catalog.toml` beside this module: a provider whose API is known is one row
there. A configuration speaks of models in rows of the same kind, and wins.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import replace

from modelmux.errors import ConfigError
from modelmux.ir.parts import Modality
from modelmux.ir.profile import UNKNOWN, Profile, ReasoningStyle
from modelmux.provider.price import Price

_FILE: Final = Path(__file__).with_name("catalog.toml")
_DATED: Final = re.compile(r"[-@](?:\d{8}|\d{4}-\d\d-\d\d)$")
"""How a snapshot is told from its model: `-20251001`, `@20251001`, `-2026-03-17`."""

AuthStyle = Literal["bearer", "x-api-key", "x-goog-api-key", "google", "none"]
"""How a provider wants to be shown a credential."""

Tokens = Annotated[int, Meta(ge=0)]


class ProfileRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a row says of models; the fields are those of `Profile`, said or not."""

    context_tokens: Tokens | UnsetType = field(default=UNSET, name="context")
    max_output_tokens: Tokens | UnsetType = field(default=UNSET, name="max_output")
    input_modalities: frozenset[Modality] | UnsetType = UNSET
    tools: bool | UnsetType = UNSET
    reasoning: ReasoningStyle | UnsetType = UNSET
    structured_output: Literal["native", "tool"] | UnsetType = UNSET
    refuses: frozenset[str] | UnsetType = UNSET
    temperature_or_top_p: bool | UnsetType = UNSET
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] | UnsetType = UNSET
    developer_role: bool | UnsetType = UNSET
    prefill: bool | UnsetType = UNSET
    reasoning_replay: bool | UnsetType = UNSET
    forced_tools: bool | UnsetType = UNSET
    thinks_always: bool | UnsetType = UNSET
    json_schema: bool | UnsetType = UNSET
    format_with_tools: bool | UnsetType = UNSET
    signed_calls: bool | UnsetType = UNSET
    tool_ids: bool | UnsetType = UNSET
    stream_usage: bool | UnsetType = UNSET
    custom_tools: bool | UnsetType = UNSET
    wire: str | UnsetType = UNSET
    tools_wire: str | UnsetType = UNSET
    default_effort: str | UnsetType = UNSET
    embeddings: Literal["", "predict"] | UnsetType = UNSET
    max_inputs: Tokens | UnsetType = UNSET

    def over(self, profile: Profile) -> Profile:
        """`profile` with what this row says put in its place."""
        said = {
            name: value
            for name in Profile.__struct_fields__
            if (value := getattr(self, name)) is not UNSET
        }
        return replace(profile, **said) if said else profile


class ModelRow(ProfileRow, frozen=True):
    """A model of a provider, or with a glob for a name a family of them."""

    name: Annotated[str, Meta(min_length=1)]
    upstream: str = ""
    """What the provider calls it; empty: the same."""
    price: Price | None = None

    @property
    def is_glob(self) -> bool:
        """It speaks for every model that its name matches."""
        return any(c in self.name for c in "*?[")


class WireRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One API format that a provider speaks."""

    wire: str
    paths: Mapping[str, str]
    """Path behind the base URL, by operation. `{model}` and settings of the provider are filled
    in. `OPERATION.stream` is for a streamed answer, where that has a path of its own."""


class Betas(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of a caller's `anthropic-beta` values travel on, and how. Names or globs."""

    allow: tuple[str, ...] = ()
    """In the header, as they came."""
    refuse: tuple[str, ...] = ()
    """Not those, even if `allow` has them."""
    body: tuple[str, ...] = ()
    """In the body's `anthropic_beta`, because the header would be refused with 400."""
    rename: Mapping[str, str] = {}
    """Under another name, before anything else is decided."""


class ProviderRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider type. The defaults are those of a server that copies OpenAI's chat API."""

    type: str
    like: str = "openai_compatible"
    """The type whose wires, forwarded headers and profile it shares where it says none."""
    base_url: str = ""
    """Where its API is; empty: the configuration, or other settings, say."""
    version: str = "v1"
    """Path segment put behind a base URL that has none; empty: nothing is."""
    wires: tuple[WireRow, ...] = ()
    """In the order of preference."""
    auth: AuthStyle = "bearer"
    needs_key: bool = True
    """Without a credential nothing works."""
    headers: Mapping[str, str] = {}
    """Sent with every request."""
    forward: tuple[str, ...] = ()
    """Header fields of the caller's that may travel on, in lower case."""
    betas: Betas | None = None
    """For those who take `anthropic-beta`."""
    body: Mapping[str, str] = {}
    """Top-level fields set in every body."""
    unsupported: tuple[str, ...] = ()
    """Top-level fields taken out of every body and declared lost. `cache_control.scope` means
    that field of each cache marker."""
    env: Mapping[str, tuple[str, ...]] = {}
    """Settings by name, each with the variables that give it, the first that is set winning.
    Where all are given, the provider is on without a configuration."""
    discover: bool = False
    """On without a configuration where something answers at `base_url`."""
    part_of: str = ""
    """The type that a configuration names, where that one is made of several rows."""
    models_from: str = ""
    """The type whose models it hosts too, at prices of its own."""
    profile: ProfileRow = ProfileRow()
    """What holds for all of its models."""
    models: tuple[ModelRow, ...] = ()

    def settings(self, environ: Mapping[str, str]) -> dict[str, str] | None:
        """What the environment says of this provider; `None` if that does not switch it on."""
        found: dict[str, str] = {}
        for setting, variables in self.env.items():
            value = next((environ[name] for name in variables if environ.get(name)), None)
            if value is None:
                return None
            found[setting] = value
        return found or None


class Models:
    """The models of one provider: the catalogue's rows, and before them the configuration's."""

    def __init__(self, base: Profile, known: Iterable[ModelRow], said: Iterable[ModelRow]) -> None:
        self._base = base
        self._known = tuple(known)
        self._said = tuple(said)

    @property
    def rows(self) -> tuple[ModelRow, ...]:
        """Rows of single models, the configuration's first; of globs, only what it says."""
        return (*self._said, *(row for row in self._known if not row.is_glob))

    def upstream(self, model: str) -> str:
        """What the provider calls the model that callers ask for as `model`."""
        names = [row.upstream for row in _matching(self._said, model) if row.upstream]
        return names[-1] if names else model

    def profile(self, model: str) -> Profile:
        """What the model can do and needs, as far as rows say."""
        profile = self._base
        for row in self._matching(model):
            profile = row.over(profile)
        return profile

    def price(self, model: str) -> Price | None:
        """What the model costs; `None`: not known."""
        prices = [row.price for row in self._matching(model) if row.price is not None]
        return prices[-1] if prices else None

    def _matching(self, model: str) -> Iterator[ModelRow]:
        """Rows that speak of `model`, the most special last."""
        yield from _matching(self._known, self.upstream(model))
        yield from _matching(self._said, model)


def _matching(rows: tuple[ModelRow, ...], model: str) -> Iterator[ModelRow]:
    undated = _DATED.sub("", model)
    yield from (row for row in rows if row.is_glob and fnmatchcase(model, row.name))
    if undated != model:
        yield from (row for row in rows if row.name == undated)
    yield from (row for row in rows if row.name == model)


class Catalogue:
    """Every provider type, with its models."""

    def __init__(self, rows: Iterable[ProviderRow]) -> None:
        """Take `rows`; the types that rows refer to must be among them."""
        given = {row.type: row for row in rows}
        self._rows = {type_: _inherited(row, given) for type_, row in given.items()}
        self._bases: dict[str, Profile] = {}
        for type_, row in given.items():
            base = given[row.like].profile.over(UNKNOWN) if row.like else UNKNOWN
            self._bases[type_] = row.profile.over(base)

    @property
    def types(self) -> tuple[str, ...]:
        """In the order of the file."""
        return tuple(self._rows)

    @property
    def forwarded(self) -> frozenset[str]:
        """Header fields of callers that some provider takes, in lower case."""
        return frozenset(name for row in self._rows.values() for name in row.forward)

    def provider(self, type_: str) -> ProviderRow:
        """The row of a type.

        Raises:
            ConfigError: There is no such type.
        """
        row = self._rows.get(type_)
        if row is None:
            near = get_close_matches(type_, self._rows, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(self._rows)}"
            raise ConfigError(
                f"there is no provider type {type_!r}",
                hint=f"{hint} For any other server with OpenAI's API: openai_compatible",
            )
        return row

    def models(self, type_: str, said: Iterable[ModelRow] = ()) -> Models:
        """The models of a provider of that type, `said` being the configuration's rows."""
        return Models(self._bases[self.provider(type_).type], self.provider(type_).models, said)

    def profile(self, type_: str, model: str) -> Profile:
        """What a model can do and needs, as the catalogue knows it."""
        return self.models(type_).profile(model)

    def price(self, type_: str, model: str) -> Price | None:
        """What a model costs as the catalogue knows it; `None`: not known."""
        return self.models(type_).price(model)


def _inherited(row: ProviderRow, given: Mapping[str, ProviderRow]) -> ProviderRow:
    """`row` with what it shares with others filled in."""
    if row.like:
        base = given[row.like]
        row = replace(row, wires=row.wires or base.wires, forward=row.forward or base.forward)
    if row.models_from:
        hosted = (replace(model, price=None) for model in given[row.models_from].models)
        row = replace(row, models=(*hosted, *row.models))
    return row


class _File(Struct, forbid_unknown_fields=True):
    providers: tuple[ProviderRow, ...]


def parse(text: str) -> Catalogue:
    """A catalogue from TOML.

    Raises:
        ConfigError: It is not TOML, or says what no row can say.
    """
    try:
        # As decimals: a price of 0.1 is not the nearest binary fraction.
        table = tomllib.loads(text, parse_float=Decimal)
        return Catalogue(msgspec.convert(table, _File).providers)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"the provider catalogue cannot be read: {error}") from error
    except KeyError as error:
        message = f"the provider catalogue refers to a type it does not have: {error}"
        raise ConfigError(message) from error


@cache
def load() -> Catalogue:
    """The catalogue that comes with the program, read when it is first asked for."""
    return parse(_FILE.read_text("utf-8"))
