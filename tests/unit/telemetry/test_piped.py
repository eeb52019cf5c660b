import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path

import pytest

from modelmux.telemetry import piped
from modelmux.telemetry.piped import COMMAND, MAX_RESTARTS, PIPE_BYTES, PipedOutput
from tests.unit.transport.loopback import LOOPS, play, until

Scene = Callable[[], Awaitable[None]]
Loop = Callable[[], asyncio.AbstractEventLoop]

LINE = b"x" * 99 + b"\n"


@pytest.fixture(params=LOOPS.values(), ids=LOOPS)
def loop(request: pytest.FixtureRequest) -> Loop:
    made: Loop = request.param
    return made


class Log:
    """A file to write to, and what is told of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.told: list[str] = []

    def output(self, **options: object) -> PipedOutput:
        return PipedOutput(self.fd, self.told.append, **options)  # type: ignore[arg-type]

    @property
    def text(self) -> bytes:
        return self.path.read_bytes()


@pytest.fixture
def log(tmp_path: Path) -> Generator[Log]:
    made = Log(tmp_path / "log")
    yield made
    os.close(made.fd)


def child() -> int:
    """The writer; other tests may have left processes of their own to end by themselves."""
    folder = Path(f"/proc/{os.getpid()}/task")
    found = [each for task in folder.iterdir() for each in (task / "children").read_text().split()]
    (writer,) = [each for each in found if _is_writer(Path("/proc") / each)]
    return int(writer)


def _is_writer(process: Path) -> bool:
    try:
        is_dead = (process / "stat").read_text().rpartition(") ")[2].startswith("Z")
        return not is_dead and COMMAND[-1].encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False


async def halted() -> int:
    """The writer, which has stopped and takes nothing any more."""
    pid = child()
    os.kill(pid, signal.SIGSTOP)
    state = Path(f"/proc/{pid}/stat")
    await until(lambda: state.read_text().rpartition(") ")[2].startswith("T"))
    return pid


def test_batches_are_written_in_order(loop, log):
    numbered = [b"line %d\n" % number for number in range(1000)]

    async def scene() -> None:
        output = log.output()
        for line in numbered:
            output.put(line)
            await asyncio.sleep(0)
        assert output.close(10.0)
        assert output.lost_lines == 0

    play(scene, loop)
    assert log.text == b"".join(numbered)
    assert log.told == []


def test_a_line_is_written_without_being_asked_for(loop, log):
    async def scene() -> None:
        output = log.output()
        output.put(LINE)
        await until(lambda: log.text == LINE)
        assert output.close(10.0)

    play(scene, loop)


def test_without_an_event_loop_a_line_is_written_at_once(log):
    output = log.output()
    output.put(b"one\n")
    assert log.text == b"one\n"
    assert output.close(10.0)
    output.put(b"two\n")
    assert log.text == b"one\ntwo\n"


def test_once_it_is_closed_a_line_is_written_at_once(loop, log):
    async def scene() -> None:
        output = log.output()
        output.put(b"one\n")
        assert output.close(10.0)
        output.put(b"two\n")
        assert log.text == b"one\ntwo\n"
        assert output.close(10.0)

    play(scene, loop)


def test_a_reader_that_stands_still_blocks_nobody_and_what_finds_no_room_is_counted(loop):
    outlet, sink = os.pipe()
    held_bytes = 1_000_000

    async def scene() -> None:
        output = PipedOutput(sink, lambda _: None, held_bytes)
        batch = LINE * 1000
        batches = 5_000_000 // len(batch)
        for _ in range(batches):
            output.put(batch)
            await asyncio.sleep(0)
        lost = output.lost_lines
        # What the two pipes, the writer and the memory hold is not lost.
        assert 5_000_000 - held_bytes - 2 * PIPE_BYTES < lost * 100 < 5_000_000 - held_bytes
        received = bytearray()

        def read() -> None:
            received.extend(os.read(outlet, 1_000_000))

        asyncio.get_running_loop().add_reader(outlet, read)
        await until(lambda: len(received) == 5_000_000 - lost * 100)
        asyncio.get_running_loop().remove_reader(outlet)
        assert bytes(received) == LINE * (len(received) // 100)
        output.put(LINE)
        assert output.close(10.0)
        assert os.read(outlet, 1000) == LINE
        assert output.lost_lines == lost

    play(scene, loop)
    os.close(outlet)
    os.close(sink)


def test_a_reader_that_stands_still_does_not_keep_it_open(loop):
    outlet, sink = os.pipe()

    async def scene() -> None:
        output = PipedOutput(sink, lambda _: None)
        for _ in range(100):
            output.put(LINE * 1000)
        assert not output.close(0.5)
        assert output.lost_lines * 100 > 10_000_000 - 1_000_000

    play(scene, loop)
    os.close(outlet)
    os.close(sink)


def test_a_reader_that_has_gone_costs_lines_that_are_counted(loop):
    outlet, sink = os.pipe()
    os.close(outlet)

    async def scene() -> None:
        output = PipedOutput(sink, lambda _: None)
        output.put(LINE * 3)
        await until(lambda: output.lost_lines == 3)
        output.put(LINE * 2)
        assert output.close(10.0)
        assert output.lost_lines == 5

    play(scene, loop)
    os.close(sink)


def test_a_writer_that_is_killed_is_replaced(loop, log):
    async def scene() -> None:
        output = log.output()
        output.put(b"one\n")
        await until(lambda: log.text == b"one\n")
        pid = await halted()
        output.put(b"two\n")
        os.kill(pid, signal.SIGKILL)
        await until(lambda: log.told)
        output.put(b"three\n")
        assert output.close(10.0)

    play(scene, loop)
    assert log.text == b"one\ntwo\nthree\n"
    (told,) = log.told
    assert "signal 9" in told
    assert "64 KiB" in told


def test_a_writer_that_dies_as_it_is_closed_leaves_nothing_behind(loop, log):
    async def scene() -> None:
        output = log.output()
        output.put(b"one\n")
        await until(lambda: log.text == b"one\n")
        pid = await halted()
        output.put(b"two\n")
        os.kill(pid, signal.SIGKILL)
        assert output.close(10.0)

    play(scene, loop)
    assert log.text == b"one\ntwo\n"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((sys.executable, "-c", "raise SystemExit(3)"), f"exit code 3) {MAX_RESTARTS} times"),
        (("/nowhere/writer",), "could not be started"),
    ],
)
def test_where_no_writer_lives_a_thread_writes(loop, log, command: tuple[str, ...], words: str):
    async def scene() -> None:
        output = log.output(command=command)
        output.put(b"one\n")
        await until(lambda: words in "".join(log.told))
        output.put(b"two\n")
        assert output.close(10.0)
        assert output.lost_lines == 0

    play(scene, loop)
    assert log.text == b"one\ntwo\n"
    assert "a thread writes it from now on" in log.told[-1]


def test_a_writer_may_be_replaced_as_often_as_it_lasts(loop, log):
    clock = iter(range(0, 100_000, 1000))

    async def scene() -> None:
        output = log.output(now=lambda: float(next(clock)))
        for count in range(MAX_RESTARTS + 1):
            output.put(b"line\n")
            await until(lambda count=count: log.text == b"line\n" * (count + 1))
            os.kill(child(), signal.SIGKILL)
            await until(lambda count=count: len(log.told) == count + 1)
        assert output.close(1e9)

    play(scene, loop)
    assert all("another one goes on" in told for told in log.told)


def test_a_pipe_as_large_as_is_wanted_is_not_insisted_on(loop, log, monkeypatch):
    monkeypatch.setattr(piped, "PIPE_BYTES", 1 << 31)

    async def scene() -> None:
        output = log.output()
        output.put(LINE)
        assert output.close(10.0)

    play(scene, loop)
    assert log.text == LINE
