import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from modelmux.config.load import Loaded, Source
from modelmux.config.schema import Config, Server
from modelmux.config.watch import follow, marks
from tests.unit.transport.loopback import until

QUICK_S = 0.001


def of(*paths: Path, watch: bool = True) -> Loaded:
    sources = tuple(Source("user", path, found=path.exists()) for path in paths)
    return Loaded(Config(server=Server(watch_config=watch)), {}, sources, (), frozenset())


def played(loaded: Callable[[], Loaded], scene) -> list[list[Path]]:
    """What was told while a scene was played."""
    told: list[list[Path]] = []

    async def changed(paths: Iterable[Path]) -> None:
        told.append(list(paths))

    async def run() -> None:
        following = asyncio.ensure_future(follow(loaded, changed, look_s=QUICK_S))
        await asyncio.sleep(0)
        await scene(told)
        following.cancel()
        await asyncio.wait([following])

    asyncio.run(run())
    return told


def test_files_that_change_appear_or_vanish_are_told_once(tmp_path: Path):
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text("x")

    async def scene(told: list[list[Path]]) -> None:
        second.write_text("y")
        await until(lambda: len(told) == 1)
        first.unlink()
        await until(lambda: len(told) == 2)

    assert played(lambda: of(first, second), scene) == [[second], [first]]


def test_a_file_that_is_replaced_has_changed(tmp_path: Path):
    path, other = tmp_path / "a.toml", tmp_path / "new"
    path.write_text("x")
    other.write_text("x")

    async def scene(told: list[list[Path]]) -> None:
        other.rename(path)
        await until(lambda: len(told) == 1)

    assert played(lambda: of(path), scene) == [[path]]


def test_what_happened_while_nobody_wanted_to_know_is_not_told(tmp_path: Path):
    path, other = tmp_path / "a.toml", tmp_path / "b.toml"
    asked: list[int] = []

    def loaded() -> Loaded:
        asked.append(1)
        return of(path, other, watch=len(asked) > 20)

    async def scene(told: list[list[Path]]) -> None:
        path.write_text("while it was off")
        await until(lambda: len(asked) > 30)
        other.write_text("x")
        await until(lambda: len(told) == 1)

    assert played(loaded, scene) == [[other]]


def test_a_file_that_is_not_there_has_no_mark(tmp_path: Path):
    assert marks(of(tmp_path / "none")) == {tmp_path / "none": None}
