import inspect
import re

import pytest

from modelmux import errors
from modelmux.errors import (
    CallerError,
    ConfigError,
    GatewayError,
    Interrupted,
    LimitExceeded,
    Rejected,
    TargetError,
    Unrepresentable,
)

CLASSES = [
    member
    for _, member in inspect.getmembers(errors, inspect.isclass)
    if issubclass(member, GatewayError)
]
each = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = set(re.findall(r"(?:^|── )([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE))
    assert {cls.__name__ for cls in CLASSES} == drawn - {"Every"}


@each
def test_every_error_says_how_it_is_reported(cls: type[GatewayError]) -> None:
    assert 400 <= cls.status <= 599
    assert re.fullmatch(r"[a-z_]+", cls.code)
    exc = cls("what was expected, what came", param="a.b")
    assert (exc.message, exc.param, str(exc)) == (
        "what was expected, what came",
        "a.b",
        "what was expected, what came",
    )


@each
def test_only_a_targets_failure_may_be_tried_again(cls: type[GatewayError]) -> None:
    if cls.retryable:
        assert issubclass(cls, TargetError)


def test_what_a_target_refused_is_not_tried_again() -> None:
    assert not Rejected.retryable
    assert Interrupted.retryable


def test_callers_are_blamed_for_nothing_but_their_own() -> None:
    for cls in CLASSES:
        if issubclass(cls, CallerError):
            assert 400 <= cls.status < 500


def test_a_target_error_remembers_what_the_target_said() -> None:
    exc = TargetError("busy", status=503, retry_after_s=2.5, upstream_code="overloaded_error")
    assert (exc.upstream_status, exc.retry_after_s, exc.upstream_code) == (
        503,
        2.5,
        "overloaded_error",
    )
    assert (exc.target, exc.attempts) == ("", 1)


def test_the_others_carry_what_helps() -> None:
    assert ConfigError("wrong", hint="do this").hint == "do this"
    assert LimitExceeded("too many", retry_after_s=1.0).retry_after_s == 1.0
    assert Unrepresentable("no", losses=["a", "b"]).losses == ["a", "b"]
