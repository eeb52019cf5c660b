import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modelmux.isolate import kernel, view
from modelmux.isolate.failure import Refused

SEEN = view.View("/usr", "", "", (), (), {}, read_only=False, is_root=False)


def test_a_system_that_lets_us_not_is_told(monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(kernel, "mount", refused)
    with pytest.raises(Refused, match="cannot be made: Operation not permitted") as caught:
        view.build(SEEN)
    assert "5.12" in caught.value.hint


class Mounts:
    """Notes what would be mounted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[tuple[str, ...]] = []
        for name in ("mount", "attach_tree", "restrict_mounts", "unmount"):
            monkeypatch.setattr(kernel, name, self._noting(name))

    def _noting(self, name: str) -> Callable[..., None]:
        def note(*arguments: object, **_: object) -> None:
            self.done.append((name, *(str(each) for each in arguments)))

        return note


def test_a_folder_is_hidden_by_an_empty_one_and_a_file_by_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mounts = Mounts(monkeypatch)
    (tmp_path / "file").touch()
    with (tmp_path / "null").open("w") as null:
        fds = [os.dup(null.fileno())]
        view._hide(str(tmp_path), fds.pop)
        view._hide(str(tmp_path / "gone"), fds.pop)
        fds.append(os.dup(null.fileno()))
        view._hide(str(tmp_path / "file"), fds.pop)
    assert [done[0] for done in mounts.done] == ["mount", "restrict_mounts", "attach_tree"]
    assert mounts.done[0][2] == str(tmp_path)
    assert mounts.done[2][2] == str(tmp_path / "file")


def test_root_cannot_change_the_machine_through_proc(monkeypatch: pytest.MonkeyPatch):
    mounts = Mounts(monkeypatch)
    with Path("/dev/null").open() as null:
        fds = [os.dup(null.fileno()) for _ in range(8)]
        view._proc(is_root=True, take_null=fds.pop)
        for fd in fds:
            os.close(fd)
    assert ("restrict_mounts", "/proc/sys", "1") in mounts.done
    mounts.done.clear()
    view._proc(is_root=False, take_null=lambda: -1)
    assert [done[0] for done in mounts.done] == ["mount"]


def test_where_the_systems_folder_cannot_be_had_it_is_empty(monkeypatch: pytest.MonkeyPatch):
    done: list[str] = []

    def mount(_source: str, _target: str, kind: str, _flags: int, _options: str = "") -> None:
        if kind == "sysfs":
            raise PermissionError
        done.append(kind)

    monkeypatch.setattr(kernel, "mount", mount)
    monkeypatch.setattr(kernel, "restrict_mounts", lambda *_, **__: None)
    view._sys()
    assert done == ["tmpfs"]
