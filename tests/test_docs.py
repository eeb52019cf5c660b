"""The documentation holds together: what it points to exists, and what it shows parses."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from modelmux.config.library import provider_types
from modelmux.config.load import Loaded, Surroundings, load
from modelmux.config.paths import Directories
from modelmux.errors import ConfigError

ROOT = Path(__file__).parent.parent

ADR_LINES = 60


def git_files(*patterns: str) -> list[str]:
    """Names of the files git tracks or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *patterns]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    names = sorted({name for name in listing.stdout.split("\0") if name})
    return [name for name in names if (ROOT / name).is_file()]


class Block(NamedTuple):
    """A fenced block of code."""

    name: str
    line: int
    language: str
    words: str
    """What stands behind the language: see `tests.docs.player`."""
    text: str

    def __str__(self) -> str:
        return f"{self.name}:{self.line}"


FENCE = re.compile(r"^```(\w*) *([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)


def blocks(name: str) -> Iterator[Block]:
    """Every fenced block of a page."""
    text = (ROOT / name).read_text()
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(name, line, found[1], found[2], found[3])


def links(name: str) -> Iterator[str]:
    """Every link of a page that stays in the repository, code left out."""
    text = FENCE.sub("", (ROOT / name).read_text())
    for target in LINK.findall(re.sub(r"`[^`]*`", "", text)):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """What `#…` may name on a page, by the rule that renderers follow."""
    headings = HEADING.findall(FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


PAGES = git_files("*.md")
BLOCKS = [block for page in PAGES for block in blocks(page)]
ADRS = git_files("docs/adr/*.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str):
    broken: list[str] = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_toml_example_parses():
    for block in BLOCKS:
        if block.language == "toml":
            try:
                tomllib.loads(block.text)
            except tomllib.TOMLDecodeError as error:
                error.add_note(f"in {block}")
                raise


SERVICE_ACCOUNT = msgspec.json.encode(
    {
        **dict.fromkeys(
            ("project_id", "private_key_id", "client_id", "auth_uri", "token_uri"), "x"
        ),
        "type": "service_account",
        "private_key": "-----BEGIN PRIVATE KEY-----",
        "client_email": "a@p.iam.gserviceaccount.com",
    }
)


def loaded(text: str, folder: Path) -> Loaded:
    """A configuration in a folder that has every file it names, and its variables set."""
    for name in re.findall(r'"(?:file:)?([\w.-]+\.(?:key|pem|json))"', text):
        (folder / name).write_bytes(SERVICE_ACCOUNT)
    path = folder / "gateway.toml"
    path.write_text(text)
    environ = {name: f"what-{name}-holds" for name in re.findall(r"\$\{(\w+)\}", text)}
    nowhere = Directories(folder / "system", folder / "user", folder / "state", folder / "run")
    around = Surroundings(environ, folder, nowhere, lambda _host, _port: False)
    return load(provider_types(), around, path=path)


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("docs/adr/")])
def test_every_toml_example_is_a_configuration_without_a_warning(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(tmp_path)
    written = ""
    for block in blocks(page):
        if block.language == "python":
            for name in re.findall(r"file=(\S+)", block.words):
                (tmp_path / name).write_text(block.text)
        if block.language != "toml":
            continue
        if "broken" in block.words:
            with pytest.raises(ConfigError):
                loaded(block.text, tmp_path)
            continue
        if "part" in block.words:
            continue  # it speaks of what is elsewhere
        written = f"{written}\n{block.text}" if "append" in block.words else block.text
        try:
            warnings = loaded(written, tmp_path).warnings
        except ConfigError as error:
            error.add_note(f"in {block}")
            raise
        assert [text for text in warnings if "chmod" not in text] == [], block


def test_every_python_example_compiles():
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for block in BLOCKS:
        if block.language == "python":
            compile(block.text, str(block), "exec", flags)


@pytest.mark.parametrize("page", ADRS)
def test_a_decision_is_short(page: str):
    assert len((ROOT / page).read_text().splitlines()) <= ADR_LINES


@pytest.mark.parametrize("page", ADRS)
def test_a_decision_says_why_and_what_follows(page: str):
    headings = HEADING.findall((ROOT / page).read_text())
    assert headings[1:] == ["Context", "Decision", "Alternatives", "Consequences"]
    assert headings[0].startswith(f"{int(Path(page).name[:4])}. ")


def test_decisions_are_numbered_without_gaps():
    assert [int(Path(page).name[:4]) for page in ADRS] == list(range(1, len(ADRS) + 1))


def test_every_page_below_docs_is_in_the_index():
    index = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in links("docs/README.md")}
    pages = {(ROOT / page).resolve() for page in PAGES if page.startswith("docs/")}
    assert pages - index == {(ROOT / "docs/README.md").resolve()}
