import os
import threading

from modelmux.telemetry.output import FdOutput


def drain(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as stream:
        return stream.read()


def test_batches_are_written_in_order():
    read_fd, write_fd = os.pipe()
    output = FdOutput(write_fd)
    for number in range(100):
        output.put(b"line %d\n" % number)
    assert output.close(10.0)
    os.close(write_fd)
    assert drain(read_fd) == b"".join(b"line %d\n" % number for number in range(100))
    assert output.lost_lines == 0


def test_a_pipe_that_nobody_reads_blocks_nobody_and_lines_are_counted_as_lost():
    read_fd, write_fd = os.pipe()
    output = FdOutput(write_fd, max_held_bytes=300_000)
    batch = b"x" * 99_999 + b"\n"
    for _ in range(10):
        output.put(batch)
    assert not output.close(0.0)  # it is still stuck in the first
    # Three are held: those after them found no room.
    assert output.lost_lines == 7
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(drain(read_fd)))
    reader.start()
    assert output.close(10.0)
    os.close(write_fd)
    reader.join(10.0)
    assert received == [batch * 3]


def test_a_reader_that_has_gone_costs_lines_and_nothing_else():
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    output = FdOutput(write_fd)
    output.put(b"one\ntwo\n")
    assert output.close(10.0)
    os.close(write_fd)
    assert output.lost_lines == 2


def test_a_non_blocking_descriptor_loses_nothing():
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    output = FdOutput(write_fd)
    batch = b"y" * 999_999 + b"\n"
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(drain(read_fd)))
    reader.start()
    output.put(batch)
    assert output.close(10.0)
    os.close(write_fd)
    reader.join(10.0)
    assert received == [batch]


def test_closing_what_was_never_used_starts_nothing():
    threads = threading.active_count()
    output = FdOutput(2)
    assert output.close(0.0)
    assert threading.active_count() == threads


def test_after_closing_it_can_be_used_again():
    read_fd, write_fd = os.pipe()
    output = FdOutput(write_fd)
    output.put(b"a\n")
    assert output.close(10.0)
    output.put(b"b\n")
    assert output.close(10.0)
    os.close(write_fd)
    assert drain(read_fd) == b"a\nb\n"
