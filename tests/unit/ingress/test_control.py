import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from modelmux.errors import InvalidRequest
from modelmux.ingress.control import (
    DEFAULT_LINES,
    MAX_LINES,
    Actions,
    Control,
    Log,
    Problem,
    ProviderStatus,
    Reloaded,
    Status,
    TargetStatus,
    Upgraded,
)
from modelmux.ingress.http import Answer, HttpRequest

STATUS = Status(
    pid=7,
    version="1",
    started_at="2026-11-20T00:00:00+00:00",
    loaded_at="2026-11-20T01:00:00+00:00",
    reload_failure="",
    listen=["127.0.0.1:3000"],
    config_sources=["/etc/modelmux/config.toml"],
    in_flight=1,
    requests_total=2,
    failures_total=0,
    draining=False,
    providers=[ProviderStatus("openai", 1, 2)],
    workers=[],
    targets=[TargetStatus("openai/m", "open", 2.5, 0.5, 1, 20.0)],
)


class Gateway:
    """What is controlled."""

    def __init__(self, lines: int = 3) -> None:
        self.stops: list[bool] = []
        self.lines = [f"line {number}" for number in range(lines)]
        self.to_come: asyncio.Queue[str | None] = asyncio.Queue()
        self.asked_for: list[int] = []
        self.outcome = Reloaded(
            reloaded=True, changes=["providers: added a"], notes=[], problems=[]
        )
        self.asked_by: list[str] = []
        log = Log(self._recent, self._follow)
        self.upgraded = Upgraded(upgraded=True, pid=8, problems=[])
        actions = Actions(self.stops.append, self._reload, self._upgrade)
        self.control = Control(lambda: STATUS, log, actions)

    async def _upgrade(self) -> Upgraded:
        return self.upgraded

    async def _reload(self, cause: str) -> Reloaded:
        self.asked_by.append(cause)
        return self.outcome

    def _recent(self, count: int) -> Sequence[str]:
        self.asked_for.append(count)
        return self.lines[-count:] if count else []

    async def _follow(self) -> AsyncIterator[str]:
        while (line := await self.to_come.get()) is not None:
            yield line


def request(query: bytes = b"") -> HttpRequest:
    return HttpRequest("GET", "/control/x", query, [], b"", 0.0)


def whole(answer: Answer) -> bytes:
    assert isinstance(answer.body, bytes)
    return answer.body


def test_the_status_is_told_as_json():
    answer = asyncio.run(Gateway().control.status(request()))
    assert answer.headers == [(b"content-type", b"application/json")]
    assert msgspec.json.decode(whole(answer), type=Status) == STATUS


@pytest.mark.parametrize(
    ("query", "now"), [(b"", False), (b"now=1", True), (b"now=0", False), (b"now", False)]
)
def test_the_gateway_is_told_to_stop(query: bytes, now: bool):
    gateway = Gateway()
    assert asyncio.run(gateway.control.stop(request(query))).status == 202
    assert gateway.stops == [now]


def test_a_reload_that_changed_nothing_has_another_status_and_says_why():
    gateway = Gateway()
    answer = asyncio.run(gateway.control.reload(request()))
    assert (answer.status, msgspec.json.decode(whole(answer), type=Reloaded)) == (
        200,
        gateway.outcome,
    )
    gateway.outcome = Reloaded(
        reloaded=False, changes=[], notes=[], problems=[Problem("a mistake", "mend it")]
    )
    answer = asyncio.run(gateway.control.reload(request()))
    assert answer.status == 422
    assert msgspec.json.decode(whole(answer), type=Reloaded) == gateway.outcome
    assert gateway.asked_by == ["modelmux reload"] * 2


def test_an_upgrade_that_failed_has_another_status_and_says_why():
    gateway = Gateway()
    answer = asyncio.run(gateway.control.upgrade(request()))
    assert (answer.status, msgspec.json.decode(whole(answer))["pid"]) == (200, 8)
    gateway.upgraded = Upgraded(upgraded=False, problems=[Problem("it ended", "")])
    answer = asyncio.run(gateway.control.upgrade(request()))
    assert answer.status == 422
    assert b"it ended" in whole(answer)


def test_the_end_of_the_log_is_told_a_line_at_a_time():
    answer = asyncio.run(Gateway().control.logs(request()))
    assert whole(answer) == b"line 0\nline 1\nline 2\n"


@pytest.mark.parametrize(
    ("query", "lines"),
    [(b"", DEFAULT_LINES), (b"lines=2", 2), (b"lines=0", 0), (b"lines=1000", MAX_LINES)],
)
def test_so_many_lines_are_told(query: bytes, lines: int):
    gateway = Gateway(0)
    asyncio.run(gateway.control.logs(request(query)))
    assert gateway.asked_for == [lines]


@pytest.mark.parametrize(
    "value", ["1001", "-1", "x", "1.5", "%C2%B2", "%D9%A3", "9" * 5000, "+1", "1_0", "%FF"]
)
def test_what_is_no_number_of_lines_is_refused(value: str):
    with pytest.raises(InvalidRequest, match="at most 1000") as caught:
        asyncio.run(Gateway().control.logs(request(f"lines={value}".encode())))
    assert caught.value.param == "lines"


def test_following_tells_what_is_there_and_what_comes():
    async def run() -> list[bytes]:
        gateway = Gateway()
        answer = await gateway.control.logs(request(b"lines=1&follow=1"))
        for line in ("four", "five", None):
            gateway.to_come.put_nowait(line)
        assert not isinstance(answer.body, bytes)
        return [piece async for piece in answer.body]

    assert asyncio.run(run()) == [b"line 2\n", b"four\n", b"five\n"]


def test_following_an_empty_log_sends_no_empty_piece():
    async def run() -> list[bytes]:
        gateway = Gateway(0)
        answer = await gateway.control.logs(request(b"follow=1"))
        gateway.to_come.put_nowait("first")
        gateway.to_come.put_nowait(None)
        assert not isinstance(answer.body, bytes)
        return [piece async for piece in answer.body]

    assert asyncio.run(run()) == [b"first\n"]


def test_who_stops_following_is_let_go():
    async def run() -> None:
        answer = await Gateway().control.logs(request(b"follow=1"))
        assert not isinstance(answer.body, bytes)
        await anext(answer.body)
        await answer.aclose()

    asyncio.run(run())
