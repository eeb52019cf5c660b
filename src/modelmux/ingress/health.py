"""Whether the gateway is alive, ready, and how it has fared."""

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

from modelmux import __version__
from modelmux.ingress.http import JSON, Answer, HttpRequest, text

METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Readiness(Struct, frozen=True):
    ready: bool
    reasons: tuple[str, ...] = ()
    """Why not, or what to know although it is."""


class Health:
    """The endpoints that watch the gateway. They need no key and tell no secret."""

    def __init__(
        self,
        counters: Callable[[], Mapping[str, float]],
        readiness: Callable[[], Readiness],
        metrics: Callable[[], bytes],
    ) -> None:
        """Open them.

        Args:
            counters: The counters of `/health` by name.
            readiness: Whether calls can be answered now.
            metrics: The text of `/metrics`.
        """
        self._counters = counters
        self._readiness = readiness
        self._metrics = metrics

    async def health(self, _request: HttpRequest) -> Answer:
        """`GET /health`."""
        body = {"status": "ok", "version": __version__, "metrics": self._counters()}
        return Answer(200, [(b"content-type", JSON)], msgspec.json.encode(body))

    async def live(self, _request: HttpRequest) -> Answer:
        """`GET /healthz`: the process answers."""
        return text("ok\n")

    async def ready(self, _request: HttpRequest) -> Answer:
        """`GET /readyz`: 503 while draining, or while no target can answer."""
        state = self._readiness()
        status = "ready" if state.ready else "not ready"
        body = msgspec.json.encode({"status": status, "reasons": state.reasons})
        return Answer(200 if state.ready else 503, [(b"content-type", JSON)], body)

    async def metrics(self, _request: HttpRequest) -> Answer:
        """`GET /metrics`."""
        return Answer(200, [(b"content-type", METRICS_TYPE)], self._metrics())
