"""What is known of a call once it is over.

Written by the record layer; read by the log, the metrics, and whoever keeps a history.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from modelmux.errors import ErrorKind
from modelmux.ir.response import NO_USAGE, FinishReason, Usage
from modelmux.target.call import UNKNOWN_PEER, Peer
from modelmux.target.freshness import CacheWord

Outcome = Literal["ok", "error", "cancelled"]
"""`cancelled`: the caller left before the answer was complete."""

CALLER_LEFT = 499
"""Status of a call whose caller left, as nginx has it: nobody was there to get another."""


class CallRecord(Struct, frozen=True, gc=False):
    """One call, complete. Holds none of its content."""

    id: str
    parent_id: str = ""
    """The call that this one served, if a composition made it; empty for a caller's own."""
    composite: bool = False
    """Answered by calls that have records of their own: their tokens, cost and attempts are in
    this one again, and must not be added to them."""
    started_at_s: float = 0.0
    """Unix time at which it had come in."""
    caller: str = ""
    """Name of the caller's key."""
    wire: str = ""
    operation: str = "chat"
    model: str = ""
    """What the caller asked for."""
    target: str = ""
    """Who answered, or failed last; `provider/model`, or the name asked if it came to nobody."""
    attempts: int = 1
    status: int = 200
    """HTTP status of what it came to, even where the caller had been told 200 before."""
    outcome: Outcome = "ok"
    error_kind: ErrorKind | None = None
    error_code: str = ""
    error: str = ""
    """The message. Not masked: whoever shows it does that."""
    reason: FinishReason | None = None
    usage: Usage = NO_USAGE
    cost_usd: Decimal | None = None
    """`None` where the price is not known."""
    stream: bool = False
    """The caller asked for the answer piece by piece."""
    first_s: float | None = None
    """From the start to the first event of a streamed answer."""
    duration_s: float = 0.0
    overhead_s: float | None = None
    """The gateway's own part of the time until the answer began; `None` if it never did."""
    losses: int = 0
    """How many things the caller said that the target did not hear."""
    upstream_id: str = ""
    """The target's own id for the exchange."""
    tags: Mapping[str, str] = {}
    body_bytes: int = 0
    """Size of the request body."""
    peer: Peer = UNKNOWN_PEER
    """Where it came in, and from whom."""
    cache: CacheWord = ""
    """What the cache had to do with it; empty: nothing."""
    saved: Usage = NO_USAGE
    """What its answer had taken when it was made for another call: nothing was used for this one,
    and it costs nothing."""
    saved_usd: Decimal | None = None
    """What that had cost."""

    @property
    def provider(self) -> str:
        """Who hosts the target; empty if it came to nobody."""
        provider, slash, _ = self.target.partition("/")
        return provider if slash else ""

    @property
    def target_model(self) -> str:
        """The target's model without its provider."""
        return self.target.partition("/")[2] or self.target
