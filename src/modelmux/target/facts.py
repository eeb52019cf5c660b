"""The facts of a call: what rules speak of, found out when a rule names it.

A rule over `model` never decodes a body. What has to be read of the prompt is read once for all
rules. A body that cannot be read is no mistake here: whoever has to read it says so.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from modelmux.errors import InvalidRequest
from modelmux.ir.request import Request
from modelmux.target import estimate, prompt
from modelmux.target.call import Call

CREDENTIALS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Header fields that no rule sees, beside all whose name ends in `api-key`."""


class CandidateFacts(Protocol):
    """What rules may know of one target that could answer."""

    @property
    def latency_ms(self) -> float:
        """Until its answers begin, as of late; 0: not known."""
        ...

    @property
    def error_rate(self) -> float:
        """Share of its calls that failed of late, from 0 to 1."""
        ...

    @property
    def in_flight(self) -> int:
        """Calls it is answering."""
        ...

    @property
    def price(self) -> float:
        """US dollars for a million tokens of a prompt; 0: not known."""
        ...


def _no_cost(_call: Call, _tokens: int) -> float:
    return 0.0


def _region(call: Call) -> str:
    return call.peer.region


class World(Struct, frozen=True):
    """What is not in the call itself. May be shared."""

    hour: Callable[[], int]
    """Of the day where the gateway runs, from 0 to 23."""
    region: Callable[[Call], str] = _region
    """Where the caller is: by default where its listener is said to be."""
    cost_usd: Callable[[Call, int], float] = _no_cost
    """What a call with a prompt of so many tokens may cost at whom it would go to first."""


class Facts:
    """The facts of one call, each found out once."""

    __slots__ = ("_call", "_candidate", "_more", "_values", "_world")

    def __init__(
        self,
        call: Call,
        world: World,
        *,
        more: Mapping[str, Callable[[Call], object]] | None = None,
    ) -> None:
        """Speak of `call`; `more` are facts beside those that are always there."""
        self._call = call
        self._world = world
        self._more = more
        self._candidate: CandidateFacts | None = None
        self._values: dict[str, object] = {}

    def about(self, candidate: CandidateFacts) -> "Facts":
        """The same facts, with those of one candidate."""
        facts = Facts(self._call, self._world, more=self._more)
        facts._values = self._values
        facts._candidate = candidate
        return facts

    def named(self, names: Sequence[str]) -> dict[str, object]:
        """The facts of these names."""
        values = self._values
        found: dict[str, object] = {}
        for name in names:
            if name in _OF_CANDIDATE:
                found[name] = self._of_candidate(name)
                continue
            if name not in values:
                values[name] = self._find(name)
            found[name] = values[name]
        return found

    def _find(self, name: str) -> object:
        if self._more is not None and name in self._more:
            return self._more[name](self._call)
        return _OF_CALL[name](self._call, self._world)

    def _of_candidate(self, name: str) -> object:
        candidate = self._candidate
        if candidate is None:
            return _OF_CANDIDATE[name]
        return getattr(candidate, name)


def request_of(call: Call) -> Request | None:
    """The call's request, decoded; `None` where it cannot be."""
    try:
        return call.request
    except InvalidRequest:
        return None


def tokens_of(call: Call) -> int:
    """About how many tokens the call's prompt has."""
    request = request_of(call)
    if request is None:
        return call.body_bytes // estimate.BYTES_PER_TOKEN
    return estimate.input_tokens(request)


def headers_of(call: Call) -> dict[str, str]:
    """Header fields as they came, by lower-case name; without those that hold secrets."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in call.fields:
        name = raw_name.decode("latin-1")
        if name in CREDENTIALS or name.endswith("api-key"):
            continue
        value = raw_value.decode("latin-1")
        # Several fields of a name are one list. RFC 9110, 5.3.
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _number(value: int | None) -> int:
    return -1 if value is None else value


def _has_images(call: Call, _world: World) -> bool:
    request = request_of(call)
    return request is not None and prompt.has_images(request)


def _has_tools(call: Call, _world: World) -> bool:
    request = request_of(call)
    return request is not None and bool(request.tools)


def _has_code(call: Call, _world: World) -> bool:
    request = request_of(call)
    return request is not None and prompt.has_code(prompt.question(request))


def _language(call: Call, _world: World) -> str:
    request = request_of(call)
    return "" if request is None else prompt.language(prompt.question(request))


def _user(call: Call, _world: World) -> str:
    request = request_of(call)
    return "" if request is None else request.user or ""


def _deterministic(call: Call, _world: World) -> bool:
    request = request_of(call)
    return request is not None and request.sampling.temperature == 0


_OF_CALL: Final[Mapping[str, Callable[[Call, World], object]]] = {
    "model": lambda call, _: call.envelope.model,
    "wire": lambda call, _: call.wire.name,
    "operation": lambda call, _: call.operation,
    "stream": lambda call, _: call.envelope.stream,
    "tokens": lambda call, _: tokens_of(call),
    "has_images": _has_images,
    "has_tools": _has_tools,
    "has_code": _has_code,
    "language": _language,
    "deterministic": _deterministic,
    "key": lambda call, _: call.caller.name,
    "tags": lambda call, _: dict(call.tags),
    "headers": lambda call, _: headers_of(call),
    "user": _user,
    "region": lambda call, world: world.region(call),
    "listener": lambda call, _: call.peer.listener,
    "peer_host": lambda call, _: call.peer.host,
    "peer_uid": lambda call, _: _number(call.peer.uid),
    "peer_gid": lambda call, _: _number(call.peer.gid),
    "peer_pid": lambda call, _: _number(call.peer.pid),
    "peer_cid": lambda call, _: _number(call.peer.cid),
    "hour": lambda _, world: world.hour(),
    "cost_estimate": lambda call, world: world.cost_usd(call, tokens_of(call)),
}

_OF_CANDIDATE: Final[Mapping[str, object]] = {
    "latency_ms": 0.0,
    "error_rate": 0.0,
    "in_flight": 0,
    "price": 0.0,
}
"""Each with what it is where there is no candidate."""

SAMPLES: Final[Mapping[str, Sequence[object]]] = {
    "model": ("",),
    "wire": ("",),
    "operation": ("",),
    "stream": (False,),
    "tokens": (0,),
    "has_images": (False,),
    "has_tools": (False,),
    "has_code": (False,),
    "language": ("",),
    "deterministic": (False,),
    "key": ("",),
    "tags": ({},),
    "headers": ({},),
    "user": ("",),
    "region": ("",),
    "listener": ("",),
    "peer_host": ("",),
    "peer_uid": (0,),
    "peer_gid": (0,),
    "peer_pid": (0,),
    "peer_cid": (0,),
    "hour": (0,),
    "cost_estimate": (0.0,),
    **{name: (value,) for name, value in _OF_CANDIDATE.items()},
}
"""Every fact, with values of its type."""

OF_CANDIDATE: Final = frozenset(_OF_CANDIDATE)
"""The facts that are one candidate's."""
