"""uvicorn's HTTP protocol, which also says at once when a client leaves."""

from typing import cast

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from modelmux.ingress.asgi import GONE, LEFT, Scope


class Protocol(HttpToolsProtocol):
    """Calls what a request has left under `GONE` in its scope when the connection is lost.

    Without it an application learns of a lost client only from a task that waits for nothing
    else, which would cost each request as much as all of its other work.
    """

    _earlier: tuple[RequestResponseCycle, ...] = ()
    """Requests that were not answered when the next one came: HTTP allows to send ahead."""

    @override
    def on_message_begin(self) -> None:
        """A request begins."""
        cycle = self.cycle
        # uvicorn's annotation leaves out that there may have been no request yet.
        if cast("object", cycle) is not None and not cycle.response_complete:
            waiting = [each for each in self._earlier if not each.response_complete]
            self._earlier = (*waiting, cycle)
        super().on_message_begin()
        cast("Scope", self.scope)[GONE] = self.loop

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, perhaps before its answer was complete."""
        super().connection_lost(exc)
        for cycle in (*self._earlier, self.cycle):
            if cast("object", cycle) is not None and not cycle.response_complete:
                cycle.disconnected = True  # uvicorn does so for the last one only
                scope = cast("Scope", cycle.scope)
                cancel = scope[GONE]
                scope[GONE] = LEFT
                if callable(cancel):
                    cancel()
