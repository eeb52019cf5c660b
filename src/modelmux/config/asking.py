"""A call that somebody describes, to be looked at and not sent."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from modelmux.config.build import caller
from modelmux.config.gateway import Gateway
from modelmux.config.load import Loaded
from modelmux.config.schema import Config
from modelmux.errors import ConfigError
from modelmux.target.call import ANONYMOUS, Call, Caller
from modelmux.target.explain import Explanation
from modelmux.wire.registry import BY_NAME


class Asked(Struct, frozen=True):
    """A call in the words of a command line."""

    wire: str
    model: str = ""
    """Empty: as the body says."""
    body: bytes | None = None
    """`None`: one that says hello."""
    headers: tuple[tuple[str, str], ...] = ()
    tags: Mapping[str, str] = {}
    key: str = ""
    """Name of the key that asks; empty: nobody."""


def call_of(asked: Asked, config: Config) -> Call:
    """The call that is described.

    Raises:
        ConfigError: There is no such wire or key.
        InvalidRequest: The body is not of the wire.
    """
    wire = BY_NAME.get(asked.wire)
    if wire is None:
        known = ", ".join(BY_NAME)
        raise ConfigError(f"there is no wire {asked.wire!r}", hint=f"there are: {known}")
    body = asked.body if asked.body is not None else _hello(asked.model)
    envelope = wire.envelope(body)
    if asked.model:
        envelope = replace(envelope, model=asked.model)
    who = _known(asked.key, config) if asked.key else ANONYMOUS
    call = Call(wire, body, envelope, caller=who, id="explained")
    call.tags = {**who.tags, **asked.tags}
    pairs = asked.headers
    call.fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    return call


def explained(asked: Asked, loaded: Loaded) -> Explanation:
    """Whom the call that is described would go to, and why. Raises as `call_of` does."""
    return Gateway(loaded, output=_Nowhere()).explain(call_of(asked, loaded.config))


class _Nowhere:
    """An output that nobody reads: nothing happens that would be told."""

    batch_lines = 1
    lost_lines = 0

    def put(self, batch: bytes) -> None:
        """Drop it."""

    def close(self, timeout_s: float) -> bool:
        """There is nothing left."""
        return True


def _known(name: str, config: Config) -> Caller:
    for key in config.keys:
        if key.name == name:
            return caller(key)
    known = ", ".join(key.name for key in config.keys) or "none"
    raise ConfigError(f"there is no key {name!r}", hint=f"keys are: {known}")


def _hello(model: str) -> bytes:
    """A request that each of the chat APIs can read, as far as an envelope goes."""
    messages = [{"role": "user", "content": "Hello!"}]
    return msgspec.json.encode({"model": model, "max_tokens": 100, "messages": messages})
