"""What a configuration can say: one struct for each table, and nothing else.

Who answers is in `schema_routing`, what tables are made of in `table`.

A field's annotation carries what the loader needs to know beside its type, in `Meta.extra`:

- `secret`: never shown, and `file:PATH` reads it from a file;
- `path`: a file name: `~` is the home folder, and it is relative to the file that says it;
- `by_name`: an array of tables whose entries are merged across layers by their `name`;
- `alias`: another name of the key;
- `aliases`: other words for a value.

The literal under a field describes it to users too: `modelmux config schema` carries it. All
structs are frozen and may be shared.
"""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, field

from modelmux.config.schema_routing import Model, Region, Routing
from modelmux.config.table import File, Limit, Name, Seconds, Secret, Table, Texts
from modelmux.ingress.address import Address, TcpAddress, parse_address

LogLevel = Annotated[
    Literal["trace", "debug", "info", "warn", "error"],
    Meta(extra={"aliases": {"warning": "warn"}}),
]
_STREAMING_WORDS = {
    "false": "never",
    "no": "never",
    "non-streaming": "never",
    "normal": "standard",
    "buffer": "buffered",
    "true": "always",
    "yes": "always",
}
StreamingMode = Annotated[
    Literal["auto", "never", "standard", "buffered", "always"],
    Meta(extra={"aliases": _STREAMING_WORDS}),
]

DEFAULT_PORT = 3000


class Server(Table, frozen=True):
    """The process: where it listens, how it logs, what it allows."""

    EXCLUSIVE = (("listen", "port"),)

    listen: tuple[str, ...] = ()
    """Where to listen: HOST:PORT, :PORT (all interfaces), unix:PATH, unix:@NAME (abstract),
    vsock:CID:PORT, fd:N or fd:NAME. Empty: `port`; or where the system's socket activation or
    `[[listeners]]` say; or 127.0.0.1:3000."""
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    """Shorthand for a listener on 127.0.0.1."""
    log_level: LogLevel = "info"
    """Least severe records that are logged."""
    log_format: Literal["text", "json"] = "text"
    """Log lines for people, or one JSON object a line."""
    enable_retries: bool = True
    """Whether a call that failed before its answer began is tried again."""
    max_retry_attempts: Annotated[int, Meta(ge=1)] = 3
    """Attempts in all, the first one included."""
    max_body_bytes: Annotated[int, Meta(ge=1)] = 33_554_432
    """Largest request body; a larger one is answered with 413."""
    read_timeout_s: Seconds = 60.0
    """How long a caller may take to send a request's head, and how long it may pause in its body,
    in seconds; then it is answered with 408. 0: for ever."""
    fast_path: bool = True
    """Answer the model APIs past ASGI, as fast as it goes. Off, they take the way of everything
    else: slower, for finding out whether a fault lies in the fast path."""
    workers: Annotated[int, Meta(ge=1)] = 1
    """Processes that serve, each on a core of its own; limits count in each of them."""
    allow_anonymous: bool = False
    """Open listeners that others can reach to everybody, without any key."""
    max_in_flight: Limit = 10_000
    """Calls under way at once; a further one is answered with 503 at once. 0: no limit."""
    max_lag_ms: Limit = 1_000
    """How far the process may be behind its time before calls are answered with 503. 0: any."""
    watch_config: bool = False
    """Reload when a configuration file changes."""
    drain_timeout_s: Seconds = 30.0
    """When stopping: how long calls under way may go on, in seconds."""
    debug: bool = False
    """Log at the level debug: what callers send and get, with secrets masked."""


class Listener(Table, frozen=True):
    """A listener with an identity: whoever comes through it is known by that."""

    address: Name
    """As in `server.listen`."""
    mode: Annotated[str, Meta(pattern="^(0?[0-7]{3})?$")] = ""
    """Permissions of a unix socket's file, in octal; empty: 0600. Who may write to it may call."""
    owner: str = ""
    """Who owns the file: USER, USER:GROUP or :GROUP, by name or number; empty: who runs this."""
    surface: Literal["guest", "admin"] = "guest"
    """guest: the doors of models, and 404 for everything else. admin: also what watches and
    controls the gateway; on unix sockets only, whose mode says who may."""
    key: str = ""
    """Name of the key that calls count as: no credentials are needed, and none are looked at.
    Empty: callers need a key where there are any."""
    models: tuple[Name, ...] = ()
    """Names or globs of what may be asked for here, beside what the key allows; empty: all that."""
    tags: Texts = field(default_factory=dict[str, str])
    """Labels of every call; they win over callers' own."""
    region: str = ""
    """Where its callers are, for routing that asks."""


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


class KeyLimits(Table, frozen=True):
    """What we allow ourselves with each key; 0 is no limit."""

    requests_per_minute: Limit = 0
    """Requests sent, tries included. What a minute does not use is kept for the next one only."""
    tokens_per_minute: Limit = 0
    """Tokens of prompts and answers: an estimate beforehand, corrected by what was used."""
    concurrency: Limit = 0
    """Calls under way at once."""


class Limits(Table, frozen=True):
    """What we allow ourselves at a provider; 0 is no limit."""

    requests_per_minute: Limit = 0
    """Requests sent, tries included. What a minute does not use is kept for the next one only."""
    tokens_per_minute: Limit = 0
    """Tokens of prompts and answers: an estimate beforehand, corrected by what was used."""
    concurrency: Limit = 0
    """Calls under way at once."""
    max_wait_s: Seconds = 30.0
    """Longest wait of a call for which there is no room; then it is answered with 429. 0: none."""
    max_waiting: Limit = 1024
    """Calls that may wait; the next one is answered with 429."""
    learn: bool = True
    """Whether what the provider says of its own limits, in header fields, is kept to."""


class Provider(Table, frozen=True):
    """Somebody who hosts models."""

    EXCLUSIVE = (("api_key", "api_keys"), ("service_account_file", "service_account_json"))
    LATER = frozenset(
        {"access_key_id", "secret_access_key", "session_token", "role_arn", "api_version"}
    )

    name: Name
    """First half of `provider/model`."""
    type: Name
    """A row of the provider catalogue, or `openai_compatible`."""
    base_url: str = ""
    """Where its API is, with or without the version segment; also unix:PATH. Empty: the
    catalogue's."""
    api_key: Secret = ""
    """The key it gave us: `${VAR}` or `file:PATH` keep it out of this file."""
    api_keys: tuple[Secret, ...] = ()
    """Several keys: the first that works is used; one that is refused or over its limit rests."""
    auth: Literal["api_key", "passthrough"] = "api_key"
    """Whose credentials go upstream: ours, or (`passthrough`) those the caller sent."""
    models: tuple[str | ProviderModel, ...] = ()
    """What it offers: names, globs, or tables. Empty: what the catalogue knows, and any model
    asked for as `provider/model`; where the catalogue knows none, whatever nobody else lists."""
    priority: int = 1
    """When several providers offer a model: the lowest comes first."""
    weight: Annotated[float, Meta(gt=0)] = 1.0
    """Share of the calls among equals, for strategies that balance."""
    region: str = ""
    """Where it is; for types that have regions, where it is to run the model."""
    headers: Texts = field(default_factory=dict[str, str])
    """Extra request headers."""
    timeout_s: Seconds = 600.0
    """Longest time for one attempt in all, in seconds; 0: no limit. So with those below."""
    connect_timeout_s: Seconds = 5.0
    """For a connection, TLS included."""
    first_byte_timeout_s: Seconds = 120.0
    """From the request's last byte to the first byte of the answer."""
    idle_timeout_s: Seconds = 120.0
    """Longest silence inside an answer."""
    limits: Limits = Limits()
    """How much we send it, with all keys together."""
    key_limits: KeyLimits = KeyLimits()
    """How much we send it with each key."""
    http2: bool = False
    """Not available in this version."""
    proxy: str = ""
    """Not available in this version."""
    ca_file: File = ""
    """Certificates to trust, in PEM, instead of the system's."""
    verify: bool = True
    """Whether its certificate is checked. Without, anyone on the way can read the key."""
    project: str = ""
    """Google Cloud project; `vertex` only. So with those below."""
    location: str = ""
    """Location in the resource's path; empty: `region`."""
    publisher: str = ""
    """Who made the models; empty: anthropic."""
    service_account_file: File = ""
    """Google credentials: a service account's JSON file."""
    service_account_json: Secret = ""
    """Google credentials: the JSON itself."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key there is, in the order written; empty strings left out."""
        return tuple(key for key in (self.api_key, *self.api_keys) if key)


class Key(Table, frozen=True):
    """Somebody who may call."""

    EXCLUSIVE = (("secret", "sha256"),)

    name: Name
    """How it is called in logs and reports."""
    secret: Secret = ""
    """What the caller sends; `${VAR}` or `file:PATH` keep it out of this file."""
    sha256: Secret = ""
    """SHA-256 of the secret in hexadecimal, instead of `secret`."""
    models: tuple[Name, ...] = ()
    """Names or globs of what it may ask for; empty: everything."""
    priority: Literal["high", "normal", "low"] = "normal"
    """Whose calls go first where calls wait. A call is put in a lower class by its tag
    `priority`."""
    tags: Texts = field(default_factory=dict[str, str])
    """Labels of its calls, for rules and reports."""
    region: str = ""
    """Where it is, for routing that asks."""


class VertexModel(Table, frozen=True):
    """A model on Vertex AI under a name of its own; what it does not say, `[vertex]` says."""

    name: Name
    """What callers ask for."""
    model: Annotated[str, Meta(extra={"alias": "model_id"})] = ""
    """Vertex's id of the model, such as `claude-sonnet-4-5@20250929`."""
    project: Annotated[str, Meta(extra={"alias": "project_id"})] = ""
    """Google Cloud project."""
    region: str = ""
    """Region that serves it (host of the URL); empty: `location`."""
    location: str = ""
    """Location in the resource's path; empty: `region`."""
    publisher: str = ""
    """Who made the model."""
    url: str = ""
    """The whole resource URL, instead of the fields above."""


class Vertex(Table, frozen=True):
    """Shorthand for a provider of type `vertex` named `vertex`."""

    project: Annotated[str, Meta(extra={"alias": "project_id"})] = ""
    """Google Cloud project."""
    region: str = ""
    """Region that serves the model (host of the URL), or `global`; empty: `location`."""
    location: str = ""
    """Location in the resource's path; empty: `region`."""
    publisher: str = "anthropic"
    """Who made the model."""
    model: Annotated[str, Meta(extra={"alias": "model_id"})] = ""
    """Vertex's id of the model, such as `claude-sonnet-4-5@20250929`."""
    url: str = ""
    """The whole resource URL, instead of the fields above."""
    models: Annotated[tuple[VertexModel, ...], Meta(extra={"by_name": True})] = ()
    """More models, each under a name of its own."""


class Auth(Table, frozen=True):
    """Google credentials for `[vertex]`; without them, application default credentials."""

    EXCLUSIVE = (("service_account_file", "service_account_json"),)

    service_account_file: File = ""
    """A service account's JSON file."""
    service_account_json: Secret = ""
    """The JSON itself."""


class Streaming(Table, frozen=True):
    """How streamed answers reach the caller."""

    mode: StreamingMode = "auto"
    """What becomes of a stream that the caller asked for. auto: what suits the client. never: the
    answer comes whole. standard, always: chunk by chunk. buffered: in sentences."""
    buffer_size: Annotated[int, Meta(ge=1)] = 65_536
    """`buffered`: most bytes held before they are sent; more than 50 never are."""
    chunk_timeout_ms: Annotated[int, Meta(ge=1)] = 5_000
    """`buffered`: longest wait before what is held is sent, in milliseconds."""


class Config(Table, frozen=True):
    """Everything a configuration can say."""

    LATER = frozenset({"cache", "mcp", "database"})

    server: Server = Server()
    """The process: where it listens, how it logs, what it allows."""
    listeners: tuple[Listener, ...] = ()
    """Listeners with an identity and a surface of their own."""
    providers: Annotated[tuple[Provider, ...], Meta(extra={"by_name": True})] = ()
    """Who hosts models."""
    keys: Annotated[tuple[Key, ...], Meta(extra={"by_name": True})] = ()
    """Who may call; without any, loopback and unix sockets are open to whoever reaches them."""
    vertex: Vertex = Vertex()
    """Shorthand for a provider of type `vertex`."""
    auth: Auth = Auth()
    """Google credentials for `[vertex]`."""
    streaming: Streaming = Streaming()
    """How streamed answers reach the caller."""
    models: Annotated[tuple[Model, ...], Meta(extra={"by_name": True})] = ()
    """Names callers may ask for."""
    routing: Routing = Routing()
    """Who answers, and what happens when they fail."""
    regions: Annotated[tuple[Region, ...], Meta(extra={"by_name": True})] = ()
    """Where providers and callers are."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where to listen as `server` has it, parsed, each address once.

        Raises:
            ConfigError: A `listen` entry is no address.
        """
        said = self.server
        found: list[Address] = []
        if said.port is not None or not (said.listen or self.listeners):
            found.append(TcpAddress("127.0.0.1", said.port or DEFAULT_PORT))
        found.extend(parse_address(text) for text in said.listen)
        return tuple(dict.fromkeys(found))
