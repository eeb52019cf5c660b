import os
import signal
import subprocess
import sys
import threading

import pytest

from modelmux.telemetry import writer
from modelmux.telemetry.writer import CHUNK_BYTES, pump, write_all


def drain(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as stream:
        return stream.read()


def pumped(sent: bytes, sink: int) -> bytes:
    """What is told of writing `sent`."""
    source, inlet = os.pipe()
    told, report = os.pipe()
    feeding = threading.Thread(target=lambda: (write_all(inlet, sent), os.close(inlet)))
    feeding.start()
    pump(source, sink, report)
    feeding.join()
    os.close(report)
    os.close(source)
    return drain(told)


def test_what_comes_is_written():
    sent = b"line\n" * CHUNK_BYTES
    outlet, sink = os.pipe()
    got: list[bytes] = []
    reading = threading.Thread(target=lambda: got.append(drain(outlet)))
    reading.start()
    assert pumped(sent, sink) == b""
    os.close(sink)
    reading.join()
    assert got == [sent]


def test_what_cannot_be_written_is_told():
    outlet, sink = os.pipe()
    os.close(outlet)
    told = pumped(b"line\n" * CHUNK_BYTES, sink)
    os.close(sink)
    assert sum(map(int, told.split())) == CHUNK_BYTES


def test_a_descriptor_that_does_not_block_loses_nothing():
    outlet, sink = os.pipe()
    os.set_blocking(sink, False)
    sent = b"y" * 1_000_000
    got: list[bytes] = []
    reading = threading.Thread(target=lambda: got.append(drain(outlet)))
    reading.start()
    assert write_all(sink, sent) == len(sent)
    os.close(sink)
    reading.join()
    assert got == [sent]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_process_ends_with_its_input_and_not_by_a_signal(number: signal.Signals):
    command = [sys.executable, "-I", "-S", writer.__file__]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(b"one\n")
    process.stdin.flush()
    assert process.stderr.readline() == b"one\n"  # so it has got so far
    process.send_signal(number)
    told, written = process.communicate(b"two\n")
    assert (written, told, process.returncode) == (b"two\n", b"", 0)
