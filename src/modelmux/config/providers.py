"""Providers of the configuration as offers to the registry: schema to objects."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from modelmux.config import schema
from modelmux.config import vertex as vertex_names
from modelmux.config.marks import names_credential
from modelmux.config.schema import Config, Provider, ProviderModel, Vertex, VertexModel
from modelmux.errors import ConfigError
from modelmux.ir.profile import Profile
from modelmux.layer.record import Recorder
from modelmux.provider import headers, quota, vertex
from modelmux.provider.admission import Admission, Later, Rules
from modelmux.provider.auth.base import Credential
from modelmux.provider.auth.gcp import ApplicationDefault, GoogleCredential, KeyFile, KeyJson
from modelmux.provider.auth.static import NoCredential, StaticCredential
from modelmux.provider.body import BodyEdits
from modelmux.provider.catalog import Catalogue, ModelRow, Models, ProviderRow
from modelmux.provider.endpoint import Endpoint
from modelmux.provider.forward import Forward
from modelmux.provider.keys import KeyRing
from modelmux.provider.model import Credentials, Host, ModelTarget
from modelmux.provider.offer import Offering, is_glob
from modelmux.provider.price import Price, Tariff
from modelmux.target.base import Target
from modelmux.target.mirror import Background
from modelmux.target.regions import Regions
from modelmux.transport.base import HttpClient, Timeouts
from modelmux.transport.http import Counters, OriginClient
from modelmux.transport.origin import Origin
from modelmux.transport.tls import Tls
from modelmux.wire.registry import BY_NAME

MAX_TARIFFS = 1024
"""Tariffs kept by target: finding one in the catalogue takes 20 µs, and each call asks."""

VERTEX_ROWS = ("vertex", "vertex_gemini")
"""Rows of the catalogue that a provider of type `vertex` is made of."""

Wrap = Callable[[Target, Provider], Target]
"""Puts the layers of a single target round it."""


@dataclass(frozen=True)
class Clocks:
    """What time it is, and how to wait; parameters, so that tests need not."""

    now: Callable[[], float]
    """Monotonic, the event loop's."""
    unix_time: Callable[[], float]
    later: Later
    """Calls a function after so many seconds."""


@dataclass
class Built:
    """Everything that the providers of a configuration are made of."""

    offers: list[Offering] = field(default_factory=list[Offering])
    hosts: list[Host] = field(default_factory=list[Host])
    rings: list[KeyRing] = field(default_factory=list[KeyRing])
    admissions: list[Admission] = field(default_factory=list[Admission])
    """The gate of each provider."""
    clients: dict[tuple[Origin, Tls], OriginClient] = field(
        default_factory=dict[tuple[Origin, Tls], OriginClient]
    )
    prices: dict[str, Callable[[str], Price | None]] = field(
        default_factory=dict[str, Callable[[str], Price | None]]
    )
    """Prices of a provider's models, by its name."""
    profiles: dict[str, Callable[[str], Profile]] = field(
        default_factory=dict[str, Callable[[str], Profile]]
    )
    recorder: Recorder | None = None
    """Makes the records of calls, and knows how many are under way."""
    regions: Regions = field(default_factory=Regions)
    """Where callers and providers are."""
    background: Background | None = None
    """Copies of calls that are under way."""
    _tariffs: dict[str, Tariff | None] = field(default_factory=dict[str, "Tariff | None"])

    def price(self, target: str) -> Price | None:
        """What a target costs, by its full name; `None`: not known."""
        provider, _, model = target.partition("/")
        prices = self.prices.get(provider)
        return prices(model) if prices is not None else None

    def tariff(self, target: str) -> Tariff | None:
        """The same, ready for use."""
        try:
            return self._tariffs[target]
        except KeyError:
            price = self.price(target)
            tariff = Tariff(price) if price is not None else None
            if len(self._tariffs) >= MAX_TARIFFS:
                self._tariffs.clear()
            self._tariffs[target] = tariff
            return tariff

    def profile(self, target: str) -> Profile | None:
        """What a target can do, by its full name."""
        provider, _, model = target.partition("/")
        profiles = self.profiles.get(provider)
        return profiles(model) if profiles is not None else None

    def connections(self) -> list[tuple[str, Counters]]:
        """How the connections of each place stand, by its provider's name."""
        by_client = {
            id(client): (host.name, client.counters)
            for host in self.hosts
            for client in self.clients.values()
            if client is host.client
        }
        return list(by_client.values())

    def take_over(self, earlier: "Built") -> None:
        """Go on where `earlier` stands, with the keys and limits of providers of the same name."""
        admissions = {admission.name: admission for admission in earlier.admissions}
        for admission in self.admissions:
            if admission.name in admissions:
                admission.inherit(admissions[admission.name])

    async def aclose(self, kept: Collection[OriginClient] = ()) -> None:
        """Close every connection, but those of `kept`, and every credential."""
        if self.background is not None:
            await self.background.aclose()
        for ring in self.rings:
            await ring.aclose()
        for client in self.clients.values():
            if client not in kept:
                await client.aclose()


class Builder:
    """Makes the offers of one configuration."""

    def __init__(
        self, catalogue: Catalogue, clocks: Clocks, wrap: Wrap, earlier: Built | None = None
    ) -> None:
        """Make a builder.

        Args:
            catalogue: What is known of providers and models.
            clocks: What time it is.
            wrap: Layers of a single target.
            earlier: What is in force, whose connections are shared where they lead to the same.
                It is not changed.
        """
        self._catalogue = catalogue
        self._earlier = earlier or Built()
        self._clocks = clocks
        self._wrap = wrap
        self.built = Built()

    def add_all(self, config: Config) -> Built:
        """Offer what the configuration names. Raises `ConfigError`."""
        for provider in config.providers:
            try:
                self._add(provider)
            except ConfigError as exc:
                raise ConfigError(
                    f"providers.{provider.name}: {exc.message}", hint=exc.hint
                ) from exc
        if vertex_names.is_used(config.vertex):
            self._add_vertex(config)
        return self.built

    def _add(self, provider: Provider) -> None:
        row = self._catalogue.provider(provider.type)
        if not row.wires:
            raise ConfigError(f"the type {row.type!r} is built in", hint="leave the provider out")
        if row.type == vertex_names.NAME:
            self._add_google(provider)
            return
        said = [_row(model) for model in provider.models]
        models = self._catalogue.models(provider.type, said)
        endpoint = Endpoint(row, base_url=provider.base_url, extra_headers=provider.headers)
        admission = self._admission(provider, [*_credentials(provider, row)])
        host = self._host(provider, row, endpoint, admission)

        def make(model: str) -> Target:
            target = ModelTarget(host, model, models.upstream(model), models.profile(model))
            return self._wrap(target, provider)

        self._offer(provider, models, make, [row.name for row in said])

    def _offer(
        self,
        provider: Provider,
        models: Models,
        make: Callable[[str], Target],
        said: Sequence[str],
    ) -> None:
        listed = said or [row.name for row in models.rows if not is_glob(row.name)]
        offer = Offering(
            provider.name,
            provider.priority,
            # A server of unknown models takes whatever it is asked for.
            listed or ["*"],
            make,
            takes_any=not said,
        )
        offer.weight = provider.weight
        self.built.offers.append(offer)
        self.built.prices[provider.name] = models.price
        self.built.profiles[provider.name] = models.profile

    def _add_vertex(self, config: Config) -> None:
        """The shorthand: one provider, whose models may each be somewhere else."""
        auth = config.auth
        provider = Provider(
            name=vertex_names.NAME,
            type=vertex_names.NAME,
            service_account_file=auth.service_account_file,
            service_account_json=auth.service_account_json,
        )
        parent = _settings(config.vertex)
        places: dict[str, vertex.Place] = {}
        for (_, *path), name in vertex_names.names(config.vertex):
            entry = config.vertex.models[path[1]] if path and isinstance(path[1], int) else None
            own = _settings(entry) if entry is not None else parent
            places[name] = vertex.place(own, parent if entry is not None else vertex.NOTHING)
        said = [ModelRow(name=name, upstream=place.model) for name, place in places.items()]
        self._add_places(provider, places, said, [*places])

    def _add_google(self, provider: Provider) -> None:
        """A provider of type `vertex`: every model is in the same location."""
        parent = vertex.Settings(
            project=provider.project,
            region=provider.region,
            location=provider.location,
            publisher=provider.publisher,
        )

        def place(model: str) -> vertex.Place:
            found = vertex.place(replace(parent, model=model))
            return replace(found, base_url=provider.base_url) if provider.base_url else found

        said = [_row(model) for model in provider.models]
        rows = said or [row for type_ in VERTEX_ROWS for row in self._catalogue.models(type_).rows]
        if provider.publisher and not said:
            rows = list(self._catalogue.models(place("any").row).rows)
        upstreams = {row.name: row.upstream or row.name for row in rows}
        places = {name: place(up) for name, up in upstreams.items() if not is_glob(name)}
        self._add_places(provider, places, said, [*upstreams], elsewhere=place, takes_any=not said)

    def _add_places(
        self,
        provider: Provider,
        places: Mapping[str, vertex.Place],
        said: Sequence[ModelRow],
        names: Sequence[str],
        *,
        elsewhere: Callable[[str], vertex.Place] | None = None,
        takes_any: bool = False,
    ) -> None:
        """Offer models by name, each at its place, and those without a name of their own.

        Args:
            provider: What the configuration says.
            places: Where models are, by the name that callers use.
            said: The configuration's rows of models.
            names: What is offered: names and globs.
            elsewhere: Where a model is that only a glob takes.
            takes_any: Any model may be asked for as `provider/model`.
        """
        google = GoogleCredential(provider.name, _source(provider))
        admission = self._admission(provider, [google])
        hosts: dict[str, Host] = {}
        models = {type_: self._catalogue.models(type_, said) for type_ in VERTEX_ROWS}

        def find(model: str) -> vertex.Place:
            place = places.get(model)
            if place is None:
                if elsewhere is None:
                    raise LookupError(model)  # the offer takes no other names
                place = elsewhere(model)
            return place

        def host(place: vertex.Place) -> Host:
            key = f"{place.row} {place.base_url} {sorted(place.parts.items())}"
            if key not in hosts:
                row = self._catalogue.provider(place.row)
                endpoint = vertex.endpoint(row, place, extra_headers=provider.headers)
                hosts[key] = self._host(provider, row, endpoint, admission)
            return hosts[key]

        def make(model: str) -> Target:
            place = find(model)
            profile = models[place.row].profile(model)
            return self._wrap(ModelTarget(host(place), model, place.model, profile), provider)

        def of(model: str) -> Models:
            place = places.get(model) or vertex.Place("", model, {}, is_whole=False)
            return models[place.row]

        offer = Offering(
            provider.name,
            provider.priority,
            names,
            make,
            takes_any=takes_any,
            ignores_case=True,
        )
        offer.weight = provider.weight
        self.built.offers.append(offer)
        self.built.prices[provider.name] = lambda model: of(model).price(model)
        self.built.profiles[provider.name] = lambda model: of(model).profile(model)

    def _host(
        self, provider: Provider, row: ProviderRow, endpoint: Endpoint, admission: Admission
    ) -> Host:
        host = Host(
            name=provider.name,
            wires=tuple(BY_NAME[wire.wire] for wire in row.wires),
            endpoint=endpoint,
            client=self._client(provider, endpoint.origin),
            admission=admission,
            forward=Forward(row),
            edits=BodyEdits(row),
            timeouts=Timeouts(
                provider.connect_timeout_s,
                provider.first_byte_timeout_s,
                provider.idle_timeout_s,
            ),
            now=self._clocks.now,
            unix_time=self._clocks.unix_time,
            passthrough=_passthrough(row) if provider.auth == "passthrough" else None,
        )
        self.built.hosts.append(host)
        return host

    def _client(self, provider: Provider, origin: Origin) -> HttpClient:
        """One pool of connections for each origin and way of trusting it."""
        origin = replace(origin, path="")
        trust = Tls(provider.ca_file, provider.verify)
        client = self.built.clients.get((origin, trust))
        if client is None:
            # Not where a file says whom to trust: it may say something else by now.
            known = None if trust.ca_file else self._earlier.clients.get((origin, trust))
            client = known or OriginClient(origin, trust=trust)
            self.built.clients[origin, trust] = client
        return client

    def _admission(self, provider: Provider, credentials: Sequence[Credential]) -> Admission:
        ring = KeyRing(provider.name, credentials)
        clocks = self._clocks
        admission = Admission(
            ring, _rules(provider), now=clocks.now, unix_time=clocks.unix_time, later=clocks.later
        )
        self.built.rings.append(ring)
        self.built.admissions.append(admission)
        return admission


def _rules(provider: Provider) -> Rules:
    limits = provider.limits
    return Rules(
        _limits(limits),
        _limits(provider.key_limits),
        limits.max_waiting,
        limits.max_wait_s,
        limits.learn,
    )


def _limits(said: schema.Limits | schema.KeyLimits) -> quota.Limits:
    return quota.Limits(said.requests_per_minute, said.tokens_per_minute, said.concurrency)


def _row(model: str | ProviderModel) -> ModelRow:
    """A model of the configuration as a row of the catalogue's kind."""
    if isinstance(model, str):
        return ModelRow(name=model)
    row = ModelRow(name=model.name, upstream=model.upstream)
    if model.price is not None:
        row = replace(row, price=_price(model.name, model.price))
    if model.context:
        row = replace(row, context_tokens=model.context)
    if model.max_output:
        row = replace(row, max_output_tokens=model.max_output)
    if model.max_inputs:
        row = replace(row, max_inputs=model.max_inputs)
    return row


def _price(model: str, said: schema.Price) -> Price:
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


def _credentials(provider: Provider, row: ProviderRow) -> Iterable[Credential]:
    if provider.keys:
        return [StaticCredential(row.auth, key) for key in provider.keys]
    in_headers = any(names_credential(name) for name in provider.headers)
    if row.needs_key and provider.auth == "api_key" and not in_headers:
        raise ConfigError("expected an api_key, got none", hint="set api_key, or api_keys")
    return [NoCredential()]


def _passthrough(row: ProviderRow) -> Credentials:
    """Takes the caller's key from where its SDK puts it to where the provider looks for it."""

    def taken(caller: Mapping[str, str]) -> bytes:
        authorization, key = caller.get("authorization", ""), caller.get("x-api-key", "")
        if row.auth == "x-api-key":
            # What comes as a bearer's stays one: Anthropic's OAuth tokens are no API keys.
            fields = {"x-api-key": key, "authorization": authorization}
        elif row.auth == "x-goog-api-key":
            google = caller.get("x-goog-api-key", "")
            fields = {"x-goog-api-key": google, "authorization": authorization}
        else:
            fields = {"authorization": authorization or (f"Bearer {key}" if key else "")}
        for name, value in fields.items():
            if value and headers.is_value(value):
                return headers.field(name, value)
        return b""

    return taken


def _settings(said: Vertex | VertexModel) -> vertex.Settings:
    return vertex.Settings(
        project=said.project,
        region=said.region,
        location=said.location,
        publisher=said.publisher,
        model=said.model,
        url=said.url,
    )


def _source(provider: Provider) -> KeyFile | KeyJson | ApplicationDefault:
    if provider.service_account_json:
        return KeyJson(provider.service_account_json)
    if provider.service_account_file:
        return KeyFile(provider.service_account_file)
    return ApplicationDefault()
