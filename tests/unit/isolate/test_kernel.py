"""What these calls do is seen in `tests/e2e/test_isolate.py`; here is what they say of refusals."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modelmux.isolate import kernel


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: kernel.clone_tree("/no/such"), "open_tree /no/such"),
        (lambda: kernel.attach_tree(-1, "/"), "move_mount /"),
        (lambda: kernel.restrict_mounts("/no/such", kernel.MOUNT_ATTR_RDONLY), "mount_setattr"),
        (lambda: kernel.mount("none", "/no/such", "tmpfs", 0), "mount /no/such"),
        (lambda: kernel.unmount("/no/such"), "umount /no/such"),
        (lambda: kernel.unshare(1), "unshare"),
        (lambda: kernel.restrict_calls(b""), "prctl"),
    ],
)
def test_what_the_kernel_refuses_is_told_with_its_name(call: Callable[[], object], words: str):
    with pytest.raises(OSError, match=words) as caught:
        call()
    assert caught.value.errno in errno.errorcode


def test_the_machine_is_what_the_kernel_calls_it():
    assert kernel.machine() == os.uname().machine


def in_child(action: Callable[[], None]) -> int:
    """The exit code of a process of its own: what an action does to it stays there."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_privileges_are_gone_for_good():
    def forgo() -> None:
        kernel.forgo_privileges()
        told = Path("/proc/self/status").read_text()
        fields = dict(line.split(":\t", 1) for line in told.splitlines() if ":\t" in line)
        gone = all(int(fields[name], 16) == 0 for name in ("CapPrm", "CapEff", "CapInh"))
        os._exit(0 if gone and fields["NoNewPrivs"] == "1" else 2)

    assert in_child(forgo) == 0


def test_memory_can_be_hidden_and_a_parent_be_followed():
    def hide() -> None:
        kernel.hide_memory()
        kernel.die_with_parent(9)
        os._exit(0)

    assert in_child(hide) == 0
