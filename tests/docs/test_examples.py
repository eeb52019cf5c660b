"""What the pages show works: each is played from top to bottom, as a reader would."""

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.docs import player, providers
from tests.docs.player import ROOT, Player
from tests.support.upstream import Upstream

PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for folder in ("tutorial", "howto", "reference", "explanation")
    for page in (ROOT / "docs" / folder).glob("*.md")
)
PLAYED = [page for page in PAGES if any(block.is_played for block in player.blocks(page))]

WITHOUT_EXAMPLES = {
    "docs/explanation/performance.md",  # the benchmarks take long, and need a quiet machine
    "docs/reference/translation-cases.md",  # each row has a test of its own
}


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


def follow(page: str, reader: Player) -> None:
    try:
        for block in player.blocks(page):
            if block.is_played:
                reader.play(block)
    finally:
        reader.close()


@pytest.mark.parametrize("page", PLAYED)
def test_a_reader_can_follow_the_page(page: str, folder: Path, provider_url: str):
    follow(page, Player(folder, provider_url, has_curl=shutil.which("curl") is not None))


def test_a_machine_without_curl_can_follow_too(folder: Path, provider_url: str):
    follow("docs/howto/streaming.md", Player(folder, provider_url, has_curl=False))


def test_every_page_has_an_example_that_runs():
    assert set(PAGES) - set(PLAYED) <= WITHOUT_EXAMPLES
