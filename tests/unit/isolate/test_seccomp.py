"""The filter, run by a machine of our own as the kernel's would."""

import struct

import pytest

from modelmux.isolate.seccomp import ALLOW, FAMILIES, KILL, MACHINES, program

ERROR = 0x0005_0000


def verdict(code: bytes, arch: int, number: int, *arguments: int) -> int:
    """What the kernel would do with a system call."""
    given = struct.pack(
        "<iIQ6Q", number & 0x7FFF_FFFF, arch, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6]
    )
    steps = list(struct.iter_unpack("<HBBI", code))
    at = value = 0
    while True:
        operation, yes, no, operand = steps[at]
        at += 1
        if operation == 0x20:
            (value,) = struct.unpack_from("<I", given, operand)
        elif operation == 0x06:
            return int(operand)
        else:
            holds = value == operand if operation == 0x15 else value >= operand
            at += yes if holds else no


@pytest.fixture(params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("family", [0, *FAMILIES, 17, 29, 31, 38, 40, 44, 45, 0xFFFF_FFFF])
def test_only_families_that_are_a_namespaces_have_sockets(machine: str, family: int):
    here = MACHINES[machine]
    code = program(machine)
    expected = ALLOW if family in FAMILIES else ERROR | 97
    for number in (here.socket, here.socketpair):
        assert verdict(code, here.arch, number, family, 1, 0) == expected
        # The kernel reads the lower half only.
        assert verdict(code, here.arch, number, family | 7 << 32, 1, 0) == expected


def test_a_way_round_sockets_is_not_there(machine: str):
    here = MACHINES[machine]
    code = program(machine)
    for number in (425, 426, 427, *here.keyring):
        assert verdict(code, here.arch, number) == ERROR | 38
    assert verdict(code, here.arch, here.by_handle) == ERROR | 1


@pytest.mark.parametrize(
    ("request_", "expected"), [(0x5412, ERROR | 1), (0x541C, ERROR | 1), (0x5413, ALLOW)]
)
def test_nobody_types_on_the_terminal(machine: str, request_: int, expected: int):
    here = MACHINES[machine]
    assert verdict(program(machine), here.arch, here.ioctl, 0, request_) == expected
    assert verdict(program(machine), here.arch, here.ioctl, 0, request_ | 1 << 32) == expected


def test_everything_else_is_allowed(machine: str):
    here = MACHINES[machine]
    code = program(machine)
    barred = {425, 426, 427, *here.keyring, here.by_handle}
    for number in sorted(set(range(460)) - barred):
        if number not in (here.socket, here.socketpair, here.ioctl):
            assert verdict(code, here.arch, number) == ALLOW


def test_another_architecture_is_the_end(machine: str):
    others = [each.arch for name, each in MACHINES.items() if name != machine]
    for arch in (*others, 0x4000_0003, 0x4000_0028):
        assert verdict(program(machine), arch, 1) == KILL


def test_x32_has_no_calls():
    here = MACHINES["x86_64"]
    assert verdict(program("x86_64"), here.arch, 0x4000_0000 | here.socket, 40) == ERROR | 38


def test_the_program_fits_the_kernel(machine: str):
    assert len(program(machine)) // 8 <= 4096
