import asyncio
from pathlib import Path

import pytest

from modelmux.store.turn import Turn
from modelmux.store.turns import Turns


@pytest.mark.parametrize(
    ("url", "file"), [("sqlite", "default.db"), ("sqlite://{}/other.db", "other.db")]
)
def test_nothing_is_opened_before_it_is_needed(url: str, file: str, tmp_path: Path):
    async def run() -> None:
        store = Turns(url.format(tmp_path), tmp_path / "default.db", 60.0, lambda: 0.0)
        await store.aclose()
        assert store.dropped == 0
        opened.extend(tmp_path.iterdir())  # noqa: ASYNC240 # a look into a folder
        store.keep(Turn("r", "", 0))
        assert await store.get("", "r") is not None
        await store.aclose()

    opened: list[Path] = []
    asyncio.run(run())
    assert opened == []
    assert (tmp_path / file).exists()


def test_memory_needs_no_file(tmp_path: Path):
    async def run() -> None:
        store = Turns("memory", tmp_path / "default.db", 60.0, lambda: 0.0)
        store.keep(Turn("r", "", 0))
        assert await store.forget("", "r")
        assert await store.conversation("", "r") is None
        await store.aclose()

    asyncio.run(run())
    assert list(tmp_path.iterdir()) == []
