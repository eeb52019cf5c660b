"""What answers calls, and what may be wrapped round it."""

from collections.abc import Callable
from functools import reduce
from typing import Protocol

from modelmux.target.call import Call
from modelmux.target.reply import Reply


class Target(Protocol):
    """Something that answers calls.

    `send` returns once the target has accepted the call, and raises `TargetError` before that.
    After it, a failure is the stream's `Fail` event: no layer may retry what the caller has
    begun to read.
    """

    @property
    def name(self) -> str: ...

    async def send(self, call: Call) -> Reply:
        """Answer `call`. Whoever gets the reply must exhaust one view of it, or `aclose` it.

        Raises:
            CallerError: The call cannot be made of this target as the caller said it.
            TargetError: The target failed before it accepted the call.
        """
        ...


Layer = Callable[[Target], Target]


def compose(target: Target, *layers: Layer) -> Target:
    """Wrap `target`: the first layer named is the outermost."""
    return reduce(lambda inner, layer: layer(inner), reversed(layers), target)
