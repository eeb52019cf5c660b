"""Tool calls and their results: what every API with strict turns asks of a conversation.

Such an API answers 400 to a call without a result, a result without a call, and arguments that are
no object; the caller is told before, and by the place in what they sent.
"""

from collections.abc import Mapping
from typing import Protocol, TypeVar

from modelmux.errors import InvalidRequest

V_co = TypeVar("V_co", covariant=True)


class Asking(Protocol[V_co]):
    """A turn in which tools are called."""

    @property
    def first(self) -> int:
        """Index of its first message."""
        ...

    @property
    def calls(self) -> Mapping[str, V_co]:
        """What is kept of each call, by its id."""
        ...

    @property
    def answered(self) -> set[str]:
        """Ids of the calls that have a result; grows."""
        ...


def check_new(calls: Mapping[str, object], id_: str, index: int) -> None:
    """Raise `InvalidRequest` if a call of the turn has that id already."""
    if id_ in calls:
        where = f"messages[{index}]"
        raise InvalidRequest(f"{where}: two tool calls have the id {id_!r}", param=where)


def answer(asking: Asking[V_co] | None, id_: str, index: int) -> V_co:
    """What is kept of the call that a result is for, which from now on has one.

    Raises:
        InvalidRequest: There is no such call in the turn before, or it has a result.
    """
    where = f"messages[{index}]"
    if asking is None or id_ not in asking.calls:
        raise InvalidRequest(
            f"{where}: no tool call with the id {id_!r} in the turn before it", param=where
        )
    if id_ in asking.answered:
        raise InvalidRequest(f"{where}: a second result for {id_!r}", param=where)
    asking.answered.add(id_)
    return asking.calls[id_]


def check_answered(asking: Asking[object] | None) -> None:
    """Raise `InvalidRequest` if a tool was called in that turn and no result came."""
    if asking is None:
        return
    for id_ in asking.calls:
        if id_ not in asking.answered:
            where = f"messages[{asking.first}]"
            raise InvalidRequest(
                f"{where}: the tool call {id_!r} has no result in the turn after it", param=where
            )


def no_object(name: str, index: int) -> InvalidRequest:
    """The error for a call whose arguments are not the JSON object that the API wants."""
    where = f"messages[{index}]"
    return InvalidRequest(
        f"{where}: the arguments of the call of {name!r} are not a JSON object; "
        "send them as the model wrote them",
        param=where,
    )


def no_prefill(index: int) -> InvalidRequest:
    """The error for a conversation that ends with the beginning of an answer."""
    where = f"messages[{index}]"
    return InvalidRequest(
        f"{where}: the model does not go on with an answer that is begun for it; "
        "end the conversation with the user",
        param=where,
    )
