import pytest

from modelmux.ingress.activation import descriptors

PID = 4711


def environ(fds: str, names: str | None = None, pid: int = PID) -> dict[str, str]:
    said = {"LISTEN_PID": str(pid), "LISTEN_FDS": fds}
    return said if names is None else {**said, "LISTEN_FDNAMES": names}


def test_descriptors_come_in_order_with_their_names():
    assert descriptors(environ("2", "web:agents"), PID) == [("web", 3), ("agents", 4)]


def test_without_names_there_are_numbers_only():
    assert descriptors(environ("2"), PID) == [("", 3), ("", 4)]
    assert descriptors(environ("2", "one"), PID) == [("one", 3), ("", 4)]


def test_what_was_passed_to_another_process_is_not_ours():
    assert descriptors(environ("1", pid=PID + 1), PID) == []
    assert descriptors({}, PID) == []


@pytest.mark.parametrize("count", ["", "-1", "x", "1025", "9" * 30, "²"])
def test_a_count_that_nobody_passes_is_no_count(count: str):
    assert descriptors(environ(count), PID) == []
