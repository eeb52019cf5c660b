"""A machine of its own for each test: folders, environment, and a catalogue of few types."""

from pathlib import Path

import pytest

from modelmux.config.discover import ProviderType
from modelmux.config.load import Loaded, Override, Surroundings, load
from modelmux.config.paths import Directories
from modelmux.errors import ConfigError

TYPES = {
    "openai_compatible": ProviderType(needs_key=False),
    "openai": ProviderType({"api_key": ("OPENAI_API_KEY",)}, "https://api.openai.com/v1"),
    "anthropic": ProviderType({"api_key": ("ANTHROPIC_API_KEY",)}, "https://api.anthropic.com/v1"),
    "vertex": ProviderType({"project": ("GOOGLE_PROJECT",), "region": ("GOOGLE_REGION",)}),
    "ollama": ProviderType({}, "http://127.0.0.1:11434/v1", needs_key=False, discover=True),
}


class Machine:
    """Where a configuration is read. Nothing of the real one is seen."""

    types = TYPES

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self.directories = Directories(
            folder / "etc", folder / "home", folder / "state", folder / "run"
        )
        self.environ: dict[str, str] = {}
        self.listening: set[tuple[str, int]] = set()
        self.probed: list[tuple[str, int]] = []

    @property
    def project_file(self) -> Path:
        return self.folder / "modelmux.toml"

    def system(self, text: str) -> None:
        self._write(self.directories.system_file, text)

    def user(self, text: str) -> None:
        self._write(self.directories.user_file, text)

    def project(self, text: str) -> None:
        self._write(self.project_file, text)

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)

    def load(self, *overrides: Override, path: Path | None = None) -> Loaded:
        around = Surroundings(self.environ, self.folder, self.directories, self._probe)
        return load(self.types, around, path=path, overrides=overrides)

    def _probe(self, host: str, port: int) -> bool:
        self.probed.append((host, port))
        return (host, port) in self.listening

    def problems(self, text: str) -> list[str]:
        """What is wrong with a project file, one line each, with the hint behind it."""
        self.project(text)
        with pytest.raises(ConfigError) as caught:
            self.load()
        return [f"{each.message} | {each.hint}" for each in caught.value.problems]

    def warnings(self, text: str) -> tuple[str, ...]:
        self.project(text)
        return self.load().warnings


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)
