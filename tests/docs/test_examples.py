"""What the pages show works: each is played from top to bottom, as a reader would."""

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.docs import player, providers
from tests.docs.player import Player
from tests.support.upstream import Upstream

PLAYED = [
    page
    for page in sorted(str(path.relative_to(player.ROOT)) for path in player.ROOT.glob("docs/**/*.md"))
    if any(block.is_played for block in player.blocks(page))
]


@pytest.fixture(scope="module")
def provider_url() -> Generator[str, None, None]:
    with Upstream(providers.play) as upstream:
        yield upstream.base_url


@pytest.fixture
def folder() -> Generator[Path, None, None]:
    """A short name: the path of a unix socket is at most 104 bytes."""
    path = Path(tempfile.mkdtemp(prefix="modelmux-"))
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("page", PLAYED)
def test_a_reader_can_follow_the_page(page: str, folder: Path, provider_url: str):
    reader = Player(folder, provider_url)
    try:
        for block in player.blocks(page):
            if block.is_played:
                reader.play(block)
    finally:
        reader.close()
