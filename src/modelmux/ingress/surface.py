"""What the doors stand in front of: everything of one configuration that answering needs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from modelmux.errors import GatewayError
from modelmux.ingress.auth import Keyring
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.load import Load
from modelmux.ingress.streaming import Streaming
from modelmux.store.turn import TurnStore
from modelmux.target.base import Target
from modelmux.target.call import UNKNOWN_PEER, Call, Caller, Peer
from modelmux.target.registry import Registry
from modelmux.wire.base import Operation, Wire


class Refusal(Struct, frozen=True):
    """A request that no target has seen."""

    id: str
    caller: Caller
    wire: Wire
    model: str
    error: GatewayError
    started: float
    body_bytes: int
    peer: Peer = UNKNOWN_PEER


class Journal(Protocol):
    """Where what happens at the doors is written down."""

    def refused(self, refusal: Refusal) -> None:
        """A call was refused at the door: it is a call all the same, and is recorded."""
        ...

    def asked(self, call: Call, request: HttpRequest) -> None:
        """A call came in, in debug mode."""
        ...

    def answered(self, call: Call, answer: Answer) -> Answer:
        """Its answer goes out, in debug mode; returns what to send, which is the same."""
        ...

    def failed(self, request: HttpRequest, request_id: str, error: Exception) -> None:
        """A defect of the gateway's own, with its traceback."""
        ...


class ModelRow(Struct, frozen=True):
    """A model callers may ask for, as the lists of models show it."""

    id: str
    targets: tuple[str, ...]
    created_at_s: int = 0
    context_tokens: int = 0
    max_output_tokens: int = 0


Accounts = Mapping[tuple[str, Operation], Mapping[str, Target]]
"""By wire and operation, who keeps what belongs to no model: by provider, the preferred first."""


class Surface:
    """One configuration's answer to every door. Immutable; a reload makes a new one."""

    def __init__(  # noqa: PLR0913 - a surface has that many parts, and no two belong together
        self,
        registry: Registry,
        keyring: Keyring,
        streaming: Streaming,
        journal: Journal,
        rows: Callable[[Caller], Sequence[ModelRow]],
        *,
        load: Load | None = None,
        turns: TurnStore | None = None,
        debug: bool = False,
    ) -> None:
        """Put the parts together.

        Args:
            registry: Who answers.
            keyring: Who may call.
            streaming: In what form streams are given.
            journal: Where what happens is written down.
            rows: Lists the models that a caller may ask for.
            load: Sends calls away that would be too many; without it, none are.
            turns: Keeps answers for callers who go on with them; without it, none are kept.
            debug: Everything that is said is written down.
        """
        self.load = load
        self.turns = turns
        self.registry = registry
        self.keyring = keyring
        self.streaming = streaming
        self.journal = journal
        self.rows = rows
        self.debug = debug
        self.accounts: Accounts = {}
        """Set by whoever builds it."""
