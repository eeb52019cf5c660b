import asyncio
import os
import signal
import sys

import pytest

from modelmux.transport import process
from modelmux.transport.process import Child, how_it_ended
from tests.unit.transport.loopback import LOOPS, play


def child(code: str, *fds: int, **more: int) -> Child:
    return Child([sys.executable, "-c", code], environ={"WORD": "hello"}, fds=fds, **more)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_process_has_descriptors_and_environment_and_nothing_else(loop):
    async def scene() -> None:
        reading, writing = os.pipe()
        kept, _ = os.pipe()
        code = f"""
import os
os.write({writing}, os.environ["WORD"].encode())
try:
    os.fstat({kept})
except OSError:
    os.write({writing}, b" alone")
"""
        started = child(code, writing)
        os.close(writing)
        assert await started.wait() == 0
        assert started.has_ended
        assert os.read(reading, 100) == b"hello alone"
        for fd in (reading, kept, _):
            os.close(fd)

    play(scene, loop)


def test_what_it_says_on_stderr_goes_where_it_is_told(capfd: pytest.CaptureFixture[str]):
    async def scene() -> None:
        reading, writing = os.pipe()
        started = child("import sys; sys.exit('no')", stderr=writing)
        os.close(writing)
        assert await started.wait() == 1
        assert os.read(reading, 100) == b"no\n"
        os.close(reading)

    asyncio.run(scene())
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("end", "code"), [(Child.kill, -signal.SIGKILL), (Child.terminate, -signal.SIGTERM)]
)
def test_one_that_is_ended_says_by_what(end, code: int):
    async def scene() -> int:
        started = child("import signal; signal.pause()")
        waiting = asyncio.ensure_future(started.wait())
        await asyncio.sleep(0)
        end(started)
        ended = await waiting
        end(started)  # nothing is left to end
        return ended

    assert asyncio.run(scene()) == code


def test_where_nobody_tells_it_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(process, "_LOOK_S", 0.001)

    async def scene() -> int:
        return await child("raise SystemExit(3)").wait()

    assert asyncio.run(scene()) == 3


def test_an_end_is_told_in_words():
    assert how_it_ended(3) == "ended with exit code 3"
    assert how_it_ended(-9) == "was ended by SIGKILL"
    assert how_it_ended(-250) == "was ended by signal 250"
