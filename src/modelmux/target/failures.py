"""Exceptions to failures and back: the one travels inside the gateway, the other on a wire."""

from modelmux import errors
from modelmux.errors import ErrorKind, GatewayError, TargetError
from modelmux.ir.response import Failure

_BY_KIND: dict[ErrorKind, type[TargetError]] = {
    "authentication": errors.CredentialRefused,
    "billing": errors.CredentialRefused,
    "permission": errors.CredentialRefused,
    "rate_limit": errors.RateLimited,
    "overloaded": errors.Overloaded,
    "timeout": errors.TargetTimeout,
    "unavailable": TargetError,
    "internal": TargetError,
    "invalid_request": errors.Rejected,
    "not_found": errors.Rejected,
    "too_large": errors.Rejected,
    "content_filter": errors.Rejected,
}


def failure_of(exc: GatewayError) -> Failure:
    """What a caller is told of `exc`, before its wire words it."""
    if not isinstance(exc, TargetError):
        limits = (errors.LimitExceeded, errors.Saturated)
        retry_after_s = exc.retry_after_s if isinstance(exc, limits) else None
        return Failure(
            exc.kind, exc.message, exc.code, exc.param, exc.status, retry_after_s=retry_after_s
        )
    message = f"{exc.target}: {exc.message}" if exc.target else exc.message
    # A refusal is the provider's word to the caller; all else is told in the gateway's own codes.
    code = exc.upstream_code if isinstance(exc, errors.Rejected) and exc.upstream_code else exc.code
    return Failure(
        exc.kind, message, code, exc.param, exc.status, exc.retry_after_s, target=exc.target
    )


def error_of(failure: Failure, *, status: int | None = None) -> TargetError:
    """The exception for a target that answered with `failure`.

    Args:
        failure: What the target said.
        status: HTTP status it was sent with; `None` for an error inside a 200.
    """
    error = _BY_KIND[failure.kind](
        failure.message,
        status=status,
        retry_after_s=failure.retry_after_s,
        upstream_code=failure.code,
        param=failure.param,
    )
    if isinstance(error, errors.Rejected):
        error.kind = failure.kind
        error.status = status if status is not None and 400 <= status < 500 else failure.status
    return error
