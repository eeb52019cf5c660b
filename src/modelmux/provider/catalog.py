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
from modelmux.ir.request import OnLoss
from modelmux.provider.price import Price

_FILE: Final = Path(__file__).with_name("catalog.toml")
_DATED: Final = re.compile(r"[-@](?:\d{8}|\d{4}-\d\d-\d\d)$")
"""How a snapshot is told from its model: `-20251001`, `@20251001`, `-2026-03-17`."""

AuthStyle = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key", "google", "aws", "none"]
"""How a provider wants to be shown a credential. `aws`: a signature, or a bearer's key."""

Framing = Literal["", "aws"]
"""How a stream's events are wrapped where that is not as its wire has it. `aws`: in frames of
Amazon's event stream, `{"bytes": …}` each."""

Quirk = Literal[
    "mistral_tool_ids",
    "assistant_after_tools",
    "tool_results_in_order",
    "no_empty_tool_calls",
    "no_nulls",
    "no_forced_tools_while_thinking",
    "one_choice",
]
"""Edits of bodies that a field's name does not say: `provider/quirks.py` has them."""

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
    beside_tool_results: Literal["anything", "text_and_images", "nothing"] | UnsetType = UNSET
    stream_usage: bool | UnsetType = UNSET
    custom_tools: bool | UnsetType = UNSET
    tools_wire: str | UnsetType = UNSET
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
    on_loss: OnLoss | None = None
    """What is done where content would be lost on the way to it; `None`: refused."""

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


class Family(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Models of a provider that it offers by another API. What it leaves out is the row's."""

    models: tuple[str, ...]
    """Globs of what the provider calls them."""
    wires: tuple[WireRow, ...] | None = None
    auth: AuthStyle | None = None
    forward: tuple[str, ...] | None = None
    betas: Betas | None = None
    body: Mapping[str, str] | None = None
    omit: tuple[str, ...] | None = None
    unsupported: tuple[str, ...] | None = None
    framing: Framing | None = None


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
    rename: Mapping[str, str] = {}
    """Top-level fields that it calls something else; where both are there, the first wins."""
    omit: tuple[str, ...] = ()
    """Top-level fields taken out of every body, because they are said in another way."""
    unsupported: tuple[str, ...] = ()
    """Top-level fields taken out of every body and declared lost. `cache_control.scope` means
    that field of each cache marker."""
    quirks: tuple[Quirk, ...] = ()
    """What else is done to every body, in this order."""
    retried_codes: tuple[str, ...] = ()
    """Codes of a 400 that another try may not meet: the model's mistake and not the caller's."""
    framing: Framing = ""
    dated: str = ""
    """The type whose row counts instead where a provider says an `api_version`."""
    families: tuple[Family, ...] = ()
    """Models that it offers in another way; the first that a name matches counts."""
    env: Mapping[str, tuple[str, ...]] = {}
    """Settings by name, each with the variables that give it, the first that is set winning.
    Where all are given, the provider is on without a configuration."""
    discover: bool = False
    """On without a configuration where something answers at `base_url`."""
    part_of: str = ""
    """The type that a configuration names, where that one is made of several rows."""
    models_from: str = ""
    """The type whose models it hosts too, at prices of its own."""
    model_prefix: str = ""
    """What stands before the names of those here."""
    profile: ProfileRow = ProfileRow()
    """What holds for all of its models."""
    models: tuple[ModelRow, ...] = ()

    def family(self, model: str) -> int:
        """Which of `families` a model is of, as the provider calls it; -1: none."""
        for index, family in enumerate(self.families):
            if any(fnmatchcase(model, glob) for glob in family.models):
                return index
        return -1

    def of_family(self, index: int) -> "ProviderRow":
        """The row as it is for one of `families`; -1: for all other models."""
        if index < 0:
            return self
        family = self.families[index]
        said = {
            name: value
            for name in Family.__struct_fields__
            if name != "models" and (value := getattr(family, name)) is not None
        }
        return replace(self, **said)

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
        self._found_known = _Found(self._known)
        self._found_said = _Found(self._said)

    @property
    def rows(self) -> tuple[ModelRow, ...]:
        """Rows of single models, the configuration's first; of globs, only what it says."""
        known = {row.name: row for row in self._known if not row.is_glob}
        return (*self._said, *known.values())

    def upstream(self, model: str) -> str:
        """What the provider calls the model that callers ask for as `model`."""
        names = [row.upstream for row in self._found_said.matching(model) if row.upstream]
        return names[-1] if names else model

    def profile(self, model: str) -> Profile:
        """What the model can do and needs, as far as rows say."""
        profile = self._base
        for row in self._matching(model):
            profile = row.over(profile)
        return profile

    def on_loss(self, model: str) -> OnLoss | None:
        """What is done where content would be lost on the way to it; `None`: nobody says."""
        found: OnLoss | None = None
        for row in self._matching(model):
            found = row.on_loss or found
        return found

    def price(self, model: str) -> Price | None:
        """What the model costs; `None`: not known."""
        prices = [row.price for row in self._matching(model) if row.price is not None]
        return prices[-1] if prices else None

    def _matching(self, model: str) -> Iterator[ModelRow]:
        """Rows that speak of `model`, the most special last."""
        yield from self._found_known.matching(self.upstream(model))
        yield from self._found_said.matching(model)


class _Found:
    """Rows, found by the models that they speak of: there may be thousands."""

    def __init__(self, rows: tuple[ModelRow, ...]) -> None:
        """Sort `rows`."""
        self._globs = [row for row in rows if row.is_glob]
        self._by_name: dict[str, list[ModelRow]] = {}
        for row in rows:
            self._by_name.setdefault(row.name, []).append(row)

    def matching(self, model: str) -> Iterator[ModelRow]:
        """Those that speak of `model`, the most special last."""
        undated = _DATED.sub("", model)
        yield from (row for row in self._globs if fnmatchcase(model, row.name))
        if undated != model:
            yield from self._by_name.get(undated, ())
        yield from self._by_name.get(model, ())


class Catalogue:
    """Every provider type, with its models."""

    def __init__(self, rows: Iterable[ProviderRow]) -> None:
        """Take `rows`; the types that rows refer to must be among them."""
        given = {row.type: row for row in rows}
        for row in given.values():
            for other in (row.like, row.models_from):
                if other and other not in given:
                    raise KeyError(other)
        self._given = given
        self._rows = {type_: _inherited(row, given) for type_, row in given.items()}
        self._bases: dict[str, Profile] = {}
        for type_, row in given.items():
            base = given[row.like].profile.over(UNKNOWN) if row.like else UNKNOWN
            self._bases[type_] = row.profile.over(base)

    def with_rows(self, rows: Iterable[ProviderRow]) -> "Catalogue":
        """This catalogue with more types, and more models of the types there are.

        What a row says of a model that is known comes in the place of what was known.

        Raises:
            ConfigError: A row says of a known type what only its own row can, or refers to none.
        """
        given = dict(self._given)
        for row in rows:
            known = given.get(row.type)
            if known is None:
                given[row.type] = row
                continue
            if replace(row, models=()) not in (ProviderRow(type=row.type), _bare(known)):
                raise ConfigError(
                    f"the type {row.type!r} is known: of it, only models can be told anew",
                    hint="give another name to a type of your own",
                )
            given[row.type] = replace(known, models=(*known.models, *row.models))
        try:
            return Catalogue(given.values())
        except KeyError as error:
            raise ConfigError(f"there is no provider type {error}") from error

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
        hosted = (
            replace(model, price=None, name=row.model_prefix + model.name)
            for model in given[row.models_from].models
        )
        row = replace(row, models=(*hosted, *row.models))
    return row


def _bare(row: ProviderRow) -> ProviderRow:
    return replace(row, models=())


class _File(Struct, forbid_unknown_fields=True):
    providers: tuple[ProviderRow, ...]


def parse_rows(text: str) -> tuple[ProviderRow, ...]:
    """Rows of a catalogue from TOML.

    Raises:
        ConfigError: It is not TOML, or says what no row can say.
    """
    try:
        # As decimals: a price of 0.1 is not the nearest binary fraction.
        table = tomllib.loads(text, parse_float=Decimal)
        return msgspec.convert(table, _File).providers
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"the provider catalogue cannot be read: {error}") from error


def parse(text: str) -> Catalogue:
    """A catalogue from TOML.

    Raises:
        ConfigError: It is not TOML, or says what no row can say.
    """
    try:
        return Catalogue(parse_rows(text))
    except KeyError as error:
        message = f"the provider catalogue refers to a type it does not have: {error}"
        raise ConfigError(message) from error


@cache
def load() -> Catalogue:
    """The catalogue that comes with the program, read when it is first asked for."""
    return parse(_FILE.read_text("utf-8"))
