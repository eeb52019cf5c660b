import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from modelmux.target.record import CallRecord
from modelmux.telemetry import log as log_module
from modelmux.telemetry.lines import Field, JsonLines, Level, TextLines
from modelmux.telemetry.log import (
    FLUSH_INTERVAL_S,
    KEPT_LINES,
    MAX_BODY_CHARS,
    MAX_PENDING,
    LogWriter,
)
from modelmux.telemetry.redact import Redactor
from tests.support.targets import FakeClock


class Bytes:
    """An output that keeps what it is given, or loses it."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []
        self.lost_lines = 0
        self.batch_lines = 100_000
        self.is_lossy = False
        self.is_closed = False

    def put(self, batch: bytes) -> None:
        if self.is_lossy:
            self.lost_lines += batch.count(b"\n")
        else:
            self.batches.append(batch)

    def close(self, timeout_s: float) -> bool:
        self.is_closed = True
        return True

    @property
    def lines(self) -> list[str]:
        return b"".join(self.batches).decode().splitlines()


class Plain:
    """Lines that are short."""

    def call(self, record: CallRecord) -> str:
        return f"call {record.id}{' ' + record.error if record.error else ''}"

    def event(self, level: Level, at_s: float, message: str, fields: Mapping[str, Field]) -> str:
        told = "".join(f" {name}={value}" for name, value in fields.items())
        return f"{level} {message}{told}"


class Logs:
    """A log with fake surroundings."""

    def __init__(self, level: Level = "info", *, start: bool = True) -> None:
        self.output = Bytes()
        self.clock = FakeClock()
        self.redactor = Redactor()
        self.log = LogWriter(Plain(), self.redactor, self.output, unix_time=self.clock, level=level)
        if start:
            self.log.start(self.clock.later)


def call(id: str = "c", **fields: str) -> CallRecord:
    outcome = "error" if fields else "ok"
    return CallRecord(id, outcome=outcome, **fields)  # type: ignore[arg-type]


def test_lines_gather_and_are_written_together():
    logs = Logs()
    logs.log.write(call("1"))
    logs.log.event("info", "between")
    logs.log.write(call("2"))
    assert logs.output.batches == []
    logs.clock.advance(FLUSH_INTERVAL_S)
    assert logs.output.batches == [b"call 1\ninfo between\ncall 2\n"]


def test_no_timer_runs_while_there_is_nothing_to_write():
    logs = Logs()
    assert logs.clock.pending == 0
    logs.log.write(call())
    logs.log.write(call())
    assert logs.clock.pending == 1
    logs.clock.advance(FLUSH_INTERVAL_S)
    assert logs.clock.pending == 0


def test_before_the_loop_runs_lines_are_written_at_once():
    logs = Logs(start=False)
    logs.log.event("info", "starting")
    assert logs.output.lines == ["info starting"]


def test_an_error_is_not_kept_waiting_nor_what_came_before_it():
    logs = Logs()
    logs.log.write(call("1"))
    logs.log.event("error", "dying")
    assert logs.output.lines == ["call 1", "error dying"]


def test_lines_that_gather_are_written_as_one_batch():
    logs = Logs()
    for number in range(300):
        logs.log.write(call(str(number)))
    assert logs.output.batches == []
    logs.clock.advance(FLUSH_INTERVAL_S)
    assert len(logs.output.batches) == 1
    assert logs.output.lines == [f"call {number}" for number in range(300)]


@given(st.lists(st.sampled_from(["call", "event", "error", "wait"]), max_size=60))
def test_a_clean_close_loses_nothing_and_keeps_the_order(script: list[str]):
    logs = Logs()
    expected: list[str] = []
    for number, step in enumerate(script):
        match step:
            case "call":
                logs.log.write(call(str(number)))
                expected.append(f"call {number}")
            case "event":
                logs.log.event("info", str(number))
                expected.append(f"info {number}")
            case "error":
                logs.log.event("error", str(number))
                expected.append(f"error {number}")
            case _:
                logs.clock.advance(FLUSH_INTERVAL_S)
    assert logs.log.close()
    assert logs.output.lines == expected
    assert logs.output.is_closed
    assert logs.clock.pending == 0
    assert logs.log.dropped == 0


def test_after_closing_lines_are_written_at_once():
    logs = Logs()
    logs.log.close()
    logs.log.event("info", "goodbye")
    assert logs.output.lines == ["info goodbye"]


def test_more_lines_than_may_wait_are_dropped_counted_and_told_of():
    logs = Logs()
    for _ in range(MAX_PENDING + 5):
        logs.log.write(call())
    assert logs.log.dropped == 5
    logs.log.close()
    assert len(logs.output.lines) == MAX_PENDING + 1
    told = [line for line in logs.output.lines if "dropped" in line]
    assert told == [
        "warn log lines were dropped: they came faster than they could be written lines=5"
    ]


def test_lines_that_the_output_lost_are_told_of_once():
    logs = Logs()
    logs.output.is_lossy = True
    logs.log.write(call())
    logs.clock.advance(FLUSH_INTERVAL_S)
    assert logs.log.dropped == 1
    logs.output.is_lossy = False
    logs.log.write(call("2"))
    logs.clock.advance(FLUSH_INTERVAL_S)
    logs.log.write(call("3"))
    logs.log.close()
    assert [line.endswith("lines=1") for line in logs.output.lines] == [False, True, False]


def test_a_loss_is_told_of_at_the_end_even_if_nothing_else_is():
    logs = Logs()
    logs.output.is_lossy = True
    logs.log.write(call())
    logs.log.flush()
    logs.output.is_lossy = False
    logs.log.close()
    assert logs.output.lines[-1].endswith("lines=1")


LEVELS: list[Level] = ["trace", "debug", "info", "warn", "error"]


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_below_the_level_is_not_told(level: Level):
    logs = Logs(level, start=False)
    for each in LEVELS:
        logs.log.event(each, "x")
    told = LEVELS[LEVELS.index(level) :]
    assert logs.output.lines == [f"{each} x" for each in told]
    assert [each for each in LEVELS if logs.log.is_enabled(each)] == told


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("debug", ["call a", "call b oops"]),
        ("info", ["call a", "call b oops"]),
        ("warn", ["call b oops"]),
        ("error", []),
    ],
)
def test_calls_are_told_at_info_and_failed_ones_at_warn(level: Level, told: list[str]):
    logs = Logs(level, start=False)
    logs.log.write(call("a"))
    logs.log.write(call("b", error="oops"))
    assert logs.output.lines == told


def test_a_defect_is_told_with_its_traceback():
    logs = Logs(start=False)
    try:
        raise LookupError("no such thing")
    except LookupError as exc:
        logs.log.defect("a defect", exc, id="c1")
    text = "\n".join(logs.output.lines)
    assert text.startswith("error a defect id=c1 exception.type=LookupError")
    assert "test_a_defect_is_told_with_its_traceback" in text


@pytest.mark.parametrize(
    "record",
    [
        call("hunter2!"),
        CallRecord("c", upstream_id="hunter2!"),
        call("c", error="it said hunter2!"),
        call("c", error="it said sk-abcdefghijklmnopqrst"),
    ],
    ids=["id", "upstream id", "error", "unregistered"],
)
def test_secrets_in_what_others_say_are_masked(record: CallRecord):
    class Telling(Plain):
        def call(self, record: CallRecord) -> str:
            return f"{super().call(record)} {record.upstream_id}"

    output = Bytes()
    log = LogWriter(Telling(), Redactor(["hunter2!"]), output, unix_time=FakeClock())
    log.write(record)
    (line,) = output.lines
    assert "***" in line
    assert "hunter2!" not in line
    assert "sk-abc" not in line


@pytest.mark.parametrize("lines", [TextLines, JsonLines])
@given(
    secret=st.text(min_size=8, max_size=16).filter(lambda s: not set(s) <= set("0123456789.-:")),
    place=st.integers(0, 7),
)
def test_a_registered_secret_never_comes_out_of_the_log(
    lines: type[TextLines | JsonLines], secret: str, place: int
):
    redactor = Redactor([secret])
    output = Bytes()
    log = LogWriter(lines(redactor), redactor, output, unix_time=FakeClock(), level="debug")
    say = [f"<{secret}>" if index == place else "x" for index in range(8)]
    log.write(
        CallRecord(
            say[0],
            caller=say[1],
            model=say[2],
            target=say[3],
            outcome="error",
            error=say[4],
            upstream_id=say[5],
            tags={say[6]: say[7]},
        )
    )
    log.event("info", say[0], field=say[1])
    log.wire(say[0], say[1], [(say[2] or "h", say[3])], say[4].encode(errors="replace"))
    text = b"".join(output.batches).decode()
    before = Redactor()
    unmasked = LogWriter(lines(before), before, unread := Bytes(), unix_time=FakeClock())
    unmasked.write(CallRecord("", outcome="error", tags={"x": "x"}))
    # A secret that is part of the form itself (`outcome`) is no secret.
    if secret not in b"".join(unread.batches).decode():
        assert secret not in text


def test_in_debug_mode_what_is_said_is_told_without_its_secrets():
    logs = Logs("debug", start=False)
    logs.redactor.register(["hunter2!"])
    logs.log.wire(
        "c1",
        "caller to gateway",
        [("authorization", "Bearer abc"), ("x-a", "b")],
        b'{"p":"hunter2!"}',
    )
    assert logs.output.lines == [
        'debug caller to gateway id=c1 headers=authorization: Bearer ***; x-a: b body={"p":"***"}'
    ]


def test_bodies_are_told_in_debug_mode_only():
    logs = Logs("info", start=False)
    logs.log.wire("c1", "caller to gateway", [], b"private")
    assert logs.output.lines == []


@pytest.mark.parametrize("size", [MAX_BODY_CHARS + 1, 10_000_000])
def test_a_long_body_is_cut(size: int):
    logs = Logs("debug", start=False)
    logs.log.wire("c1", "x", [], b"a" * size)
    (line,) = logs.output.lines
    assert line.endswith(f"a… ({size} bytes in all)")
    assert len(line) < MAX_BODY_CHARS + 100


def test_a_body_that_just_fits_is_shown_whole():
    logs = Logs("debug", start=False)
    logs.log.wire("c1", "x", [], "ä".encode() * MAX_BODY_CHARS)
    assert logs.output.lines[0].endswith("ää")


@given(st.integers(-30, 30))
def test_a_secret_at_the_cut_is_masked_and_not_halved(offset: int):
    logs = Logs("debug", start=False)
    logs.redactor.register(["hunter2-hunter2"])
    body = b"a" * (MAX_BODY_CHARS + offset) + b"hunter2-hunter2" + b"b" * 20_000
    logs.log.wire("c1", "x", [], body)
    assert "hunter" not in logs.output.lines[0]


def test_the_last_lines_are_kept():
    logs = Logs(start=False)
    for number in range(KEPT_LINES + 10):
        logs.log.event("info", str(number))
    assert len(logs.log.recent()) == KEPT_LINES
    assert logs.log.recent(2) == [f"info {KEPT_LINES + 8}", f"info {KEPT_LINES + 9}"]
    assert logs.log.recent(0) == []


def test_a_follower_gets_what_is_written_from_then_on_until_the_end():
    async def run() -> list[str]:
        logs = Logs(start=False)
        logs.log.event("info", "before")
        follower = logs.log.follow()
        got: list[str] = []

        async def read() -> None:
            async for line in follower:
                got.append(line)  # noqa: PERF401 - one by one, to see each come

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read())
            await asyncio.sleep(0)
            logs.log.event("info", "1")
            logs.log.event("info", "2")
            await asyncio.sleep(0)
            assert got == ["info 1", "info 2"]
            logs.log.event("info", "3")
            logs.log.close()
        return got

    assert asyncio.run(run()) == ["info 1", "info 2", "info 3"]


def test_a_slow_follower_misses_lines_and_is_told_how_many():
    async def run() -> None:
        logs = Logs(start=False)
        follower = logs.log.follow()
        for number in range(KEPT_LINES + 10):
            logs.log.event("info", str(number))
        got = [await anext(follower) for _ in range(KEPT_LINES + 1)]
        assert got[-2:] == [
            f"info {KEPT_LINES - 1}",
            "(10 lines left out: they came too fast)",
        ]
        logs.log.event("info", "later")
        assert await anext(follower) == "info later"

    asyncio.run(run())


def test_a_follower_that_gives_up_is_forgotten():
    async def run() -> None:
        logs = Logs(start=False)
        follower = logs.log.follow()
        waiting = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait((waiting,))
        del follower, waiting
        logs.log.event("info", "nobody listens")
        assert len(logs.log._followers) == 0

    asyncio.run(run())


def test_a_follower_that_gave_up_waiting_can_go_on():
    async def run() -> None:
        logs = Logs(start=False)
        follower = logs.log.follow()
        waiting = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0)
        waiting.cancel()
        logs.log.event("info", "1")  # before the cancelled task has run
        await asyncio.wait((waiting,))
        assert await anext(follower) == "info 1"

    asyncio.run(run())


def test_text_that_no_encoding_has_is_written_all_the_same():
    logs = Logs(start=False)
    logs.log.event("info", "half \ud800")
    assert logs.output.lines == ["info half \\ud800"]


def test_the_limits_are_the_documented_ones():
    assert (log_module.KEPT_LINES, log_module.FLUSH_INTERVAL_S) == (1000, 0.25)


def test_form_and_level_can_be_changed():
    logs = Logs("error")

    class Louder(Plain):
        @override
        def event(
            self, level: Level, at_s: float, message: str, fields: Mapping[str, Field]
        ) -> str:
            return super().event(level, at_s, message.upper(), fields)

    logs.log.event("info", "quiet")
    logs.log.reconfigure(Louder(), "info")
    logs.log.event("info", "hello")
    logs.log.write(call())
    logs.log.flush()
    assert logs.output.lines == ["info HELLO", "call c"]
