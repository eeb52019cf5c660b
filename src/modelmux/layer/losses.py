"""What is done about content that a target cannot be told, as one name of the models has it."""

from modelmux.ir.request import OnLoss
from modelmux.target.base import Target
from modelmux.target.call import Call
from modelmux.target.reply import Reply


class LossPolicy:
    """A target whose calls are refused, or go on, where content would be lost.

    What the caller's key says counts first; what a provider says of a model counts after this.
    """

    def __init__(self, inner: Target, *, on_loss: OnLoss) -> None:
        """Wrap `inner`."""
        self._inner = inner
        self._on_loss: OnLoss = on_loss
        self.name = inner.name

    async def send(self, call: Call) -> Reply:
        """Ask the target. Raises as it does."""
        return await self._inner.send(call.with_loss_policy(self._on_loss))
