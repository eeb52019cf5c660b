"""Every error the gateway raises on purpose.

```
GatewayError
├── ConfigError               the operator's mistake; raised at load time, never per request
├── Saturated                 503  the gateway has too much to do
├── NoRoom                    507  a body with files could not be kept on disk
├── CallerError               the caller's mistake; 4xx
│   ├── InvalidRequest            400  the body is not valid on its wire
│   ├── UnknownPrevious           400  what the call goes on with is not to be had
│   ├── Unrepresentable           422  the body cannot be said on the target's wire
│   ├── Unauthenticated           401  no key, or one we do not know
│   ├── PermissionDenied          403  the key does not allow this
│   ├── UnknownModel              404  nobody offers the model
│   ├── NotFound                  404  nothing is at the path
│   ├── MethodNotAllowed          405
│   ├── BodyTooLarge              413
│   ├── UpgradeRequired           426  only a WebSocket is there, and none is offered
│   └── LimitExceeded             429  the caller's own limit, or ours
└── TargetError               502  the target's failure; the caller did nothing wrong
    ├── Unreachable               502  no connection, or it broke before the first byte
    ├── TargetTimeout             504  no answer in time
    ├── Overloaded                503  the target asks to come back later (503, 529)
    │   └── RateLimited               429  our limit there is used up
    │       └── Limited                   429  it was not asked, because a limit leaves no room
    ├── CredentialRefused         502  the target refused *our* key: 401, 402, 403
    ├── Rejected                  as sent  the target's own 4xx, its body kept
    ├── ProtocolViolation         502  the target broke its wire
    └── Interrupted               502  the answer ended before it was finished
```
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

ErrorKind = Literal[
    "invalid_request",
    "authentication",
    "billing",
    "permission",
    "not_found",
    "too_large",
    "rate_limit",
    "overloaded",
    "timeout",
    "content_filter",
    "unavailable",
    "internal",
]
"""What went wrong, in words that every wire can translate to its own `type`."""


class GatewayError(Exception):
    """Base of the tree above. Class attributes say how an ingress reports it.

    Attributes:
        message: What was expected, what came, what to do. Never holds a secret.
        status: HTTP status of the answer.
        code: Stable machine-readable code.
        kind: What the wires translate to their own error `type`.
        param: Path of the offending field in the caller's body, where one is at fault.
        retryable: Whether the same call may succeed on another try or target.
    """

    status: int = 500
    code: str = "internal_error"
    kind: ErrorKind = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class ConfigError(GatewayError):
    """The configuration cannot be used; `hint` says what to do about it.

    Attributes:
        problems: One error for each mistake, where several were found; else this one alone.
    """

    code = "config"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        param: str | None = None,
        problems: "Sequence[ConfigError]" = (),
    ) -> None:
        super().__init__(message, param=param)
        self.hint = hint
        self.problems: Sequence[ConfigError] = problems or (self,)


class CallerError(GatewayError):
    """The caller's mistake."""

    status = 400
    code = "invalid_request"
    kind: ErrorKind = "invalid_request"


class InvalidRequest(CallerError):
    """The body is not a request of its wire; `param` names the field."""


class UnknownPrevious(CallerError):
    """The call goes on with an answer that is not to be had."""

    code = "previous_response_not_found"


class Unrepresentable(CallerError):
    """What the caller said cannot be said to the target.

    Attributes:
        losses: One line for each thing that would be lost.
    """

    status = 422
    code = "unrepresentable"

    def __init__(
        self, message: str, *, losses: Sequence[str] = (), param: str | None = None
    ) -> None:
        super().__init__(message, param=param)
        self.losses = losses


class Unauthenticated(CallerError):
    """No key came, or one that nobody here knows."""

    status = 401
    code = "invalid_api_key"
    kind: ErrorKind = "authentication"


class PermissionDenied(CallerError):
    """The key is known and does not allow this."""

    status = 403
    code = "permission_denied"
    kind: ErrorKind = "permission"


class UnknownModel(CallerError):
    """Nobody offers the model asked for."""

    status = 404
    code = "model_not_found"
    kind: ErrorKind = "not_found"


class NotFound(CallerError):
    """Nothing is at this path."""

    status = 404
    code = "not_found"
    kind: ErrorKind = "not_found"


class MethodNotAllowed(CallerError):
    """The path exists and takes another method."""

    status = 405
    code = "method_not_allowed"


class BodyTooLarge(CallerError):
    """The body is larger than `server.max_body_bytes`, or `server.max_upload_bytes`."""

    status = 413
    code = "request_too_large"
    kind: ErrorKind = "too_large"


class NoRoom(GatewayError):
    """The gateway could not keep a body on disk: there is no room, or no right to write."""

    status = 507
    code = "insufficient_storage"


class UpgradeRequired(CallerError):
    """The path is for WebSockets, which are not offered: the caller is to use plain HTTP."""

    status = 426
    code = "upgrade_required"


class LimitExceeded(CallerError):
    """A limit of the caller, or the gateway's own, is used up.

    Attributes:
        retry_after_s: When to come back, where that is known.
    """

    status = 429
    code = "limit_exceeded"
    kind: ErrorKind = "rate_limit"

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, param: str | None = None
    ) -> None:
        super().__init__(message, param=param)
        self.retry_after_s = retry_after_s


class Saturated(GatewayError):
    """The gateway has more to do than it can; nobody was asked.

    Attributes:
        retry_after_s: When to come back.
    """

    status = 503
    code = "gateway_saturated"
    kind: ErrorKind = "overloaded"

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, param: str | None = None
    ) -> None:
        super().__init__(message, param=param)
        self.retry_after_s = retry_after_s


class TargetError(GatewayError):
    """The target's failure.

    Attributes:
        target: Name of the target that failed, where known.
        attempts: How many times it was tried in all.
        retry_after_s: The target's own word on when to come back.
        upstream_status: HTTP status the target sent, if it sent one.
        upstream_code: The target's own error code or type, if it sent one.
    """

    status = 502
    code = "target_error"
    kind: ErrorKind = "unavailable"
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        upstream_code: str = "",
        param: str | None = None,
    ) -> None:
        super().__init__(message, param=param)
        self.upstream_status = status
        self.retry_after_s = retry_after_s
        self.upstream_code = upstream_code
        self.target = ""
        self.attempts = 1


class Unreachable(TargetError):
    """No connection, or it broke before the first byte of an answer."""

    code = "unreachable"


class TargetTimeout(TargetError):
    """No answer within the time that was allowed."""

    status = 504
    code = "timeout"
    kind: ErrorKind = "timeout"


class Overloaded(TargetError):
    """The target asks to come back later (429, 503, 529)."""

    status = 503
    code = "overloaded"
    kind: ErrorKind = "overloaded"


class RateLimited(Overloaded):
    """The target's limit for our key is used up (429)."""

    status = 429
    code = "rate_limit_exceeded"
    kind: ErrorKind = "rate_limit"


class Limited(RateLimited):
    """The target was not asked: by its limits or ours there is no room, and none in time."""


class CredentialRefused(TargetError):
    """The target refused the gateway's own key; the caller's is fine.

    Retryable: another key, or another target, may do.
    """

    code = "upstream_authentication"


class Rejected(TargetError):
    """The target refused the call with a 4xx of its own, which goes to the caller.

    Attributes:
        body: The target's own error body, on the wire named `wire`.
    """

    code = "rejected"
    kind: ErrorKind = "invalid_request"
    retryable = False
    body: bytes = b""
    wire: str = ""


class ProtocolViolation(TargetError):
    """The target broke its wire."""

    code = "protocol_violation"


class Interrupted(TargetError):
    """The answer ended, or failed, before it was finished."""

    code = "interrupted"
