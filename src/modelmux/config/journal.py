"""What happens at the doors, written down: the record, and in debug mode what was said."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.surface import Refusal
from modelmux.layer.record import Recorder
from modelmux.target.call import Call
from modelmux.telemetry.log import MAX_SHOWN_BYTES, LogWriter


class Journal:
    """The journal of one surface."""

    def __init__(self, recorder: Recorder, log: LogWriter) -> None:
        self._recorder = recorder
        self._log = log

    def refused(self, refusal: Refusal) -> None:
        """A call was refused at the door."""
        self._recorder.refused(refusal)

    def asked(self, call: Call, request: HttpRequest) -> None:
        """A call came in, in debug mode."""
        self._log.wire(call.id, "caller asks", request.headers.items(), request.body)

    def answered(self, call: Call, answer: Answer) -> Answer:
        """Its answer goes out, in debug mode; of a stream it is told when it has ended."""
        if isinstance(answer.body, bytes):
            self._tell(call, answer, answer.body)
            return answer
        watched = self._watched(call, answer, answer.body)
        return Answer(answer.status, answer.headers, watched, answer.aclose)

    def failed(self, request: HttpRequest, request_id: str, error: Exception) -> None:
        """A defect of the gateway's own."""
        self._log.defect("the gateway failed on a request", error, id=request_id, path=request.path)

    async def _watched(
        self, call: Call, answer: Answer, body: AsyncGenerator[bytes]
    ) -> AsyncGenerator[bytes]:
        shown = bytearray()
        size = 0
        ended = False
        try:
            async with aclosing(body):
                async for piece in body:
                    size += len(piece)
                    shown += piece[: max(0, MAX_SHOWN_BYTES - len(shown))]
                    yield piece
            ended = True
        finally:
            self._tell(call, answer, bytes(shown), size, how="" if ended else ", and left")

    def _tell(
        self, call: Call, answer: Answer, body: bytes, size: int | None = None, how: str = ""
    ) -> None:
        fields = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers
        ]
        self._log.wire(call.id, f"caller is answered {answer.status}{how}", fields, body, size)
