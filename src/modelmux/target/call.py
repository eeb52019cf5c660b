"""A call: one request on its way to a target, with its context.

Bodies are copy-on-write. A call is decoded only if something reads it, and encoded again only if
something changed it; so a call and a target on the same wire exchange their own bytes, with no
second code path for it.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from modelmux.ir import custom, signed_ids
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Encoded, Envelope, Request
from modelmux.ir.restore import Restore
from modelmux.wire.base import Operation, Wire

Priority = Literal["high", "normal", "low"]
"""Who goes first where calls wait."""

PRIORITIES: Final[tuple[Priority, ...]] = ("high", "normal", "low")
"""Every class, the first one served first."""

_RANKS: Final[Mapping[str, int]] = {name: rank for rank, name in enumerate(PRIORITIES)}

PRIORITY_TAG: Final = "priority"
"""The tag of a call that puts it in a lower class than its caller's; never in a higher one."""


class Caller(Struct, frozen=True):
    """Who calls: a key of the configuration, or whoever reached a listener that needs none."""

    name: str = ""
    models: tuple[str, ...] = ()
    """Names and globs it may ask for; empty: all."""
    tags: Mapping[str, str] = {}
    within: tuple[str, ...] = ()
    """More names and globs, of which one must fit too: what the listener allows. Empty: all."""
    priority: Priority = "normal"
    """The highest class of its calls."""
    region: str = ""
    """Where it is, if the configuration says so."""


ANONYMOUS = Caller()

_CHATS: frozenset[Operation] = frozenset({"chat", "count_tokens"})


class Peer(Struct, frozen=True):
    """Whom a call is from, as the system tells it: nothing that the caller could make up.

    Read once for each connection. What is not known, or does not exist there, is `None`.
    """

    listener: str = ""
    """Where the call came in: the listener's address, or a sandbox's name."""
    region: str = ""
    """Where the listener's callers are, as the configuration has it."""
    host: str = ""
    """IP address of a caller on TCP."""
    uid: int | None = None
    """User who connected to a unix socket, at that moment; so with the next two."""
    gid: int | None = None
    pid: int | None = None
    cid: int | None = None
    """Virtual machine that connected over vsock."""


UNKNOWN_PEER = Peer()


class Meter:
    """Where one caller's time went. Shared by every call made on its behalf.

    Attributes:
        started: Monotonic time at which the request had come in.
        waited_s: Time spent waiting for targets and between tries, which is not the gateway's.
        steps: How many calls were made of the caller's own by compositions.
    """

    __slots__ = ("started", "steps", "waited_s")

    def __init__(self) -> None:
        self.started = 0.0
        self.waited_s = 0.0
        self.steps = 0


class Call:
    """One request on its way to a target. Immutable: a change is a changed copy.

    Attributes:
        wire: The wire the caller speaks.
        envelope: What was read of the body when it came.
        model: The name to send; first what the caller asked for, at a leaf what the target knows.
        operation: What is asked of the model.
        caller: Who asks.
        id: Request id, for logs and headers.
        parent_id: Id of the call that this one serves, where a composition makes several of one.
        meter: Where the caller's time goes.
        deadline: Monotonic time after which nobody wants the answer, or `None`.
        headers: Fields of the caller's that may travel on, by lower-case name.
        tags: The caller's own labels for this call.
        fields: Every header field that came with it, names in lower case; only rules read them.
        peer: Where the call came in, and whom the system says it is from.
        may_wait: Whether a target without room for it may keep it waiting. If not, it is to say
            so at once, because somebody else may have room.
    """

    __slots__ = (
        "_raw",
        "_request",
        "caller",
        "deadline",
        "envelope",
        "fields",
        "headers",
        "id",
        "may_wait",
        "meter",
        "model",
        "operation",
        "parent_id",
        "peer",
        "tags",
        "wire",
    )

    def __init__(
        self,
        wire: Wire,
        raw: bytes,
        envelope: Envelope,
        *,
        operation: Operation = "chat",
        caller: Caller = ANONYMOUS,
        id: str = "",
    ) -> None:
        self.wire = wire
        self.envelope = envelope
        self.model = envelope.model
        self.operation: Operation = operation
        self.caller = caller
        self.id = id
        self.parent_id = ""
        self.meter = Meter()
        self.deadline: float | None = None
        self.headers: Mapping[str, str] = {}
        self.tags: Mapping[str, str] = {}
        self.fields: Sequence[tuple[bytes, bytes]] = ()
        self.peer = UNKNOWN_PEER
        self.may_wait = True
        self._raw: bytes | None = raw
        self._request: Request | None = None

    @property
    def request(self) -> Request:
        """The neutral request of a call that `is_chat`, decoded when first read.

        Raises:
            InvalidRequest: The body is not a request of the caller's wire.
        """
        if self._request is None:
            assert self._raw is not None, "a call has bytes or a request"  # noqa: S101
            request = self.wire.decode_request(self._raw, self.operation)
            if self.wire.in_path:
                asked = self.envelope
                request = replace(request, model=asked.model, stream=asked.stream)
            self._request = request
        return self._request

    @property
    def body(self) -> bytes:
        """The caller's body as it came, for operations whose request is not a chat's."""
        assert self._raw is not None, "only a chat's content is ever changed"  # noqa: S101
        return self._raw

    @property
    def is_chat(self) -> bool:
        """There is a `request` in the body, a prompt for a model to answer or to count."""
        return self.operation in _CHATS

    @property
    def body_bytes(self) -> int:
        """Size of the caller's body; 0 once its content has been changed."""
        return len(self._raw) if self._raw is not None else 0

    @property
    def priority(self) -> Priority:
        """Its class where calls wait: the caller's, or a lower one that it asks for."""
        own = PRIORITIES.index(self.caller.priority)
        return PRIORITIES[max(own, _RANKS.get(self.tags.get(PRIORITY_TAG, ""), own))]

    def with_request(self, request: Request) -> "Call":
        """A content edit: the caller's bytes are stale from here on."""
        changed = self._copy()
        changed._raw = None
        changed._request = request
        changed.model = request.model
        return changed

    def with_model(self, model: str) -> "Call":
        """An envelope edit: the rest of the body stays the caller's bytes."""
        changed = self._copy()
        changed.model = model
        return changed

    def with_deadline(self, deadline: float) -> "Call":
        """The same call, to be answered by `deadline` if its own is not sooner."""
        if self.deadline is not None and self.deadline <= deadline:
            return self
        changed = self._copy()
        changed.deadline = deadline
        return changed

    def step(self, *, may_wait: bool = True) -> "Call":
        """The same call as one step of a composition, with an id of its own.

        Args:
            may_wait: False where somebody else may have room at once.
        """
        changed = self._copy()
        changed.may_wait = may_wait and self.may_wait
        self.meter.steps += 1
        changed.parent_id = self.id
        changed.id = f"{self.id}.{self.meter.steps}"
        return changed

    def _copy(self) -> "Call":
        # By hand: `copy.copy` of an object with slots costs 2.8 µs, this 0.2, and a call is copied
        # twice or more on its way.
        made = Call.__new__(Call)
        made.wire = self.wire
        made.envelope = self.envelope
        made.model = self.model
        made.operation = self.operation
        made.caller = self.caller
        made.id = self.id
        made.parent_id = self.parent_id
        made.meter = self.meter
        made.deadline = self.deadline
        made.headers = self.headers
        made.tags = self.tags
        made.fields = self.fields
        made.peer = self.peer
        made.may_wait = self.may_wait
        made._raw = self._raw
        made._request = self._request
        return made

    def encode(self, wire: Wire, profile: Profile = UNKNOWN) -> Encoded:
        """The body for a target that speaks `wire` and knows the model as `self.model`.

        Raises:
            InvalidRequest: The body is not a request of the caller's wire, or contradicts itself.
        """
        if wire is self.wire and self._raw is not None and not _holds_foreign(self._raw):
            return Encoded(
                wire.readdress(self._raw, self.envelope, self.model, profile.stream_usage)
            )
        request = self.request
        if self._raw is not None and not wire.signs_ids and signed_ids.BEGINNING in self._raw:
            request = signed_ids.without_signatures(request)
        if request.model != self.model or request.stream != self.envelope.stream:
            request = replace(request, model=self.model, stream=self.envelope.stream)
        if request.tools and not profile.custom_tools and (names := custom.names(request)):
            encoded = wire.encode_request(custom.as_functions(request), profile)
            restore = replace(encoded.restore or Restore(), custom_tools=names)
            return replace(encoded, restore=restore)
        return wire.encode_request(request, profile)


def _holds_foreign(body: bytes) -> bool:
    """Whether something in a body was given by a target of another wire, and is for it alone.

    Reasoning is sealed (`wire.sealed`), also in Base64; signatures of calls stand in their ids.
    """
    return b'"modelmux' in body or b'"bW9kZWxtdXgv' in body or signed_ids.BEGINNING in body
