"""The built-in model: it answers with the caller's last words, at once and without a provider."""

import re
from collections.abc import AsyncIterator, Callable

from modelmux.errors import Unrepresentable
from modelmux.ir import events as ev
from modelmux.ir.parts import Text
from modelmux.ir.request import Request
from modelmux.ir.response import Response, Usage
from modelmux.provider.estimate import counted
from modelmux.target import estimate
from modelmux.target.call import Call
from modelmux.target.reply import Events, Reply

NAME = "modelmux/echo"

NOTHING_SAID = "modelmux is here; say something and it comes back."
"""The answer where the last message of the caller's has no text."""

_WORDS = re.compile(r"\s*\S+|\s+$")


class Echo:
    """A target that needs nothing and never fails."""

    name = NAME

    def __init__(self, unix_time: Callable[[], float]) -> None:
        """Make the model; `unix_time` dates its answers."""
        self._unix_time = unix_time

    async def send(self, call: Call) -> Reply:
        """Answer with the last text of the caller's.

        Raises:
            InvalidRequest: The body is not a request of the caller's wire.
            Unrepresentable: Something else is asked than a chat.
        """
        if not call.is_chat:
            raise Unrepresentable(f"{NAME} only repeats what is said: it has no {call.operation}")
        request = call.request
        if call.operation == "count_tokens":
            return counted(request, call.wire, NAME)
        text = _last_words(request)
        usage = Usage(estimate.input_tokens(request), estimate.text_tokens(text), estimated=True)
        response = Response(
            f"echo-{call.id}",
            call.envelope.model,
            (Text(text),),
            "stop",
            usage,
            created_at_s=int(self._unix_time()),
        )
        if call.envelope.stream:
            return Reply(Events(_stream(response, text)), target=NAME)
        return Reply(response, target=NAME)


def _last_words(request: Request) -> str:
    for message in reversed(request.messages):
        if message.role == "user":
            texts = [part.text for part in message.parts if isinstance(part, Text)]
            if texts:
                return "\n".join(texts)
    return NOTHING_SAID


async def _stream(response: Response, text: str) -> AsyncIterator[ev.Event]:
    """`response` word by word, as a model would send it."""
    yield ev.Start(response.id, response.model, response.created_at_s)
    yield ev.PartStart(0, Text())
    for words in _WORDS.finditer(text):
        yield ev.PartDelta(0, words.group())
    yield ev.PartEnd(0)
    yield ev.Finish(response.reason, response.usage)
