"""How much memory a process has."""

from pathlib import Path


def resident_bytes(pid: int) -> int:
    """What the process with this id holds in memory now (Linux)."""
    return _status(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """The most that it has held (Linux)."""
    return _status(pid, "VmHWM")


def _status(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [each for each in lines if each.startswith(f"{field}:")]
    return int(line.split()[1]) * 1024
