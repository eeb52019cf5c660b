import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

import msgspec
import pytest

from modelmux.config.crew_doors import CrewControl, CrewHealth
from modelmux.errors import InvalidRequest
from modelmux.ingress.control import Actions, Reloaded, Status, Upgraded
from modelmux.ingress.health import Health, Readiness
from modelmux.ingress.http import Answer, HttpRequest

STATUS = Status(1, "1", "", "", "", [], [], 2, 3, 0, draining=False, providers=[])


class Crew:
    """Workers that say what they are told to."""

    def __init__(self) -> None:
        self.has_ended_following = False

    async def status(self) -> Status:
        return STATUS

    async def health(self) -> Mapping[str, float]:
        return {"total_requests": 7}

    async def metrics(self) -> bytes:
        return b"up 2\n"

    async def recent(self, count: int) -> Sequence[str]:
        return [f"line {number}" for number in range(count)]

    async def follow(self) -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"more\n"
        finally:
            self.has_ended_following = True


async def reload(_cause: str) -> Reloaded:
    return Reloaded(reloaded=True)


async def upgrade() -> Upgraded:
    return Upgraded(upgraded=True)


def request(query: bytes = b"") -> HttpRequest:
    return HttpRequest("GET", "/x", query, [], b"", 0.0)


def whole(answer: Answer) -> bytes:
    assert isinstance(answer.body, bytes)
    return answer.body


def test_the_state_is_that_of_all():
    control = CrewControl(Crew(), Actions(lambda _now: None, reload, upgrade))  # type: ignore[arg-type]
    told = whole(asyncio.run(control.status(request())))
    assert msgspec.json.decode(told)["in_flight"] == 2
    assert asyncio.run(control.reload(request())).status == 200


def test_the_log_is_that_of_all_and_can_be_followed():
    crew = Crew()
    control = CrewControl(crew, Actions(lambda _now: None, reload, upgrade))  # type: ignore[arg-type]

    async def run() -> None:
        assert whole(await control.logs(request(b"lines=2"))) == b"line 0\nline 1\n"
        with pytest.raises(InvalidRequest):
            await control.logs(request(b"lines=x"))
        answer = await control.logs(request(b"lines=1&follow=1"))
        assert not isinstance(answer.body, bytes)
        assert [await anext(answer.body) for _ in range(2)] == [b"line 0\n", b"more\n"]
        await answer.body.aclose()
        assert crew.has_ended_following

    asyncio.run(run())


def test_figures_are_those_of_all_and_readiness_is_the_supervisors():
    own = Health(dict, lambda: Readiness(ready=True), lambda: b"")
    health = CrewHealth(own, Crew())  # type: ignore[arg-type]

    async def run() -> None:
        assert whole(await health.metrics(request())) == b"up 2\n"
        told = msgspec.json.decode(whole(await health.health(request())))
        assert told["metrics"] == {"total_requests": 7}
        assert (await health.live(request())).status == 200
        assert (await health.ready(request())).status == 200

    asyncio.run(run())
