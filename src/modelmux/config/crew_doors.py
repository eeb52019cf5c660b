"""What the control socket of several workers answers: for all of them together."""

from collections.abc import AsyncGenerator

import msgspec
from typing_extensions import override

from modelmux import __version__
from modelmux.config.crew import Crew
from modelmux.ingress.control import PLAIN, Actions, Control, lines_asked, wants_to_follow
from modelmux.ingress.health import METRICS_TYPE, Health
from modelmux.ingress.http import JSON, Answer, HttpRequest, text


class CrewControl(Control):
    """Controls all workers at once."""

    def __init__(self, crew: Crew, actions: Actions) -> None:
        """Control `crew` by `actions`."""
        self._crew = crew
        self._actions = actions

    @override
    async def status(self, _request: HttpRequest) -> Answer:
        status = await self._crew.status()
        return Answer(200, [(b"content-type", JSON)], msgspec.json.encode(status))

    @override
    async def logs(self, request: HttpRequest) -> Answer:
        lines = await self._crew.recent(lines_asked(request))
        recent = "".join(f"{line}\n" for line in lines)
        if not wants_to_follow(request):
            return text(recent)
        return Answer(200, [(b"content-type", PLAIN)], _followed(recent, self._crew.follow()))


class CrewHealth(Health):
    """Tells how all workers fare."""

    def __init__(self, own: Health, crew: Crew) -> None:
        """Ask `crew`, and `own` for what is the supervisor's."""
        self._own = own
        self._crew = crew

    @override
    async def health(self, _request: HttpRequest) -> Answer:
        body = {"status": "ok", "version": __version__, "metrics": await self._crew.health()}
        return Answer(200, [(b"content-type", JSON)], msgspec.json.encode(body))

    @override
    async def live(self, request: HttpRequest) -> Answer:
        return await self._own.live(request)

    @override
    async def ready(self, request: HttpRequest) -> Answer:
        return await self._own.ready(request)

    @override
    async def metrics(self, _request: HttpRequest) -> Answer:
        return Answer(200, [(b"content-type", METRICS_TYPE)], await self._crew.metrics())


async def _followed(recent: str, pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    if recent:
        yield recent.encode()
    try:
        async for piece in pieces:
            yield piece
    finally:
        await pieces.aclose()
