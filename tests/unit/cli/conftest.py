"""A command line on a machine of its own, and running gateways that only speak when told to."""

import os
import shutil
import socketserver
import tempfile
import threading
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import pytest
from msgspec import Struct

from modelmux.cli import options, parts
from modelmux.cli.main import main
from modelmux.config.discover import ProviderType
from modelmux.config.load import Loaded
from modelmux.config.paths import directories

TYPES = {
    "openai_compatible": ProviderType(needs_key=False),
    "openai": ProviderType({"api_key": ("OPENAI_API_KEY",)}, "http://127.0.0.1:9/v1"),
    "anthropic": ProviderType({"api_key": ("ANTHROPIC_API_KEY",)}, "http://127.0.0.1:9/v1"),
    "ollama": ProviderType({}, "http://127.0.0.1:11434/v1", needs_key=False, discover=True),
}


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    def json(self) -> object:
        return msgspec.json.decode(self.out)


class Cli:
    """Runs `modelmux` in this process, at home in folders of its own."""

    def __init__(self, folder: Path, sockets: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.home = folder
        self.sockets = sockets
        """For sockets: their paths are short, and pytest's folders are deep."""
        self.folder = folder / "work"
        self.folder.mkdir()
        self._capture = capture

    def __call__(self, *arguments: str) -> Ran:
        self._capture.readouterr()
        code = main(arguments)
        out, err = self._capture.readouterr()
        return Ran(code, out, err)

    def project(self, text: str) -> Path:
        path = self.folder / "modelmux.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    @property
    def user_file(self) -> Path:
        return directories().user_file


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Generator[Cli, None, None]:
    """A command line that sees nothing of the real machine's configuration."""
    runtime = Path(tempfile.mkdtemp(prefix="modelmux-"))
    made = Cli(tmp_path, runtime, capsys)
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in list(os.environ):
        if name.startswith(("MODELMUX_", "XDG_", "OLLAMA_", "VERTEX_", "LLM_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setattr(parts, "provider_types", lambda: TYPES)
    monkeypatch.setattr(options, "listens", lambda _host, _port: False)
    yield made
    shutil.rmtree(runtime)


STATUS: dict[str, object] = {
    "pid": 4711,
    "version": "1.2.3",
    "started_at": "2026-11-20T08:00:00+00:00",
    "loaded_at": "2026-11-20T08:00:00+00:00",
    "reload_failure": "",
    "listen": ["127.0.0.1:3000"],
    "config_sources": ["/etc/modelmux/config.toml"],
    "in_flight": 2,
    "requests_total": 40,
    "failures_total": 3,
    "draining": False,
    "providers": [{"name": "openai", "keys_usable": 1, "keys_total": 2}],
}


class Answer(Struct):
    body: bytes
    status: int = 200


class FakeGateway:
    """Answers on a control socket as it is told; remembers what it was asked."""

    def __init__(self, pid: int) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self.socket = directories().control_socket(pid)
        self.socket.parent.mkdir(parents=True, exist_ok=True)
        self.says("/control/status", {**STATUS, "pid": pid})
        self._server = _Server(str(self.socket), _Handler)
        self._server.gateway = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self._open = True

    def says(self, path: str, body: object, status: int = 200) -> None:
        """What it answers at a path from now on."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self.answers[path] = Answer(raw, status)

    def close(self) -> None:
        """End as a process does that was told to: its socket refuses from now on."""
        if self._open:
            self._open = False
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


class _Server(socketserver.ThreadingUnixStreamServer):
    gateway: FakeGateway
    daemon_threads = False


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        gateway = self.server.gateway
        gateway.asked.append(f"{self.command} {self.path}")
        gateway.bodies.append(self.rfile.read(int(self.headers.get("content-length") or 0)))
        answer = gateway.answers.get(self.path.partition("?")[0], Answer(b"nothing here", 404))
        self.send_response(answer.status)
        self.send_header("content-length", str(len(answer.body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running(pid: int = 4711) -> Generator[FakeGateway, None, None]:
    """A gateway that runs as process `pid` of this user."""
    gateway = FakeGateway(pid)
    try:
        yield gateway
    finally:
        gateway.close()


class FakePrice(Struct):
    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


class FakeModel(Struct):
    id: str
    targets: tuple[str, ...] = ()
    context_tokens: int = 0
    price: FakePrice | None = None


class FakeStatus(Struct):
    name: str
    ok: bool
    detail: str = ""
    fix: str = ""


class FakeBuilt:
    """A gateway in this process that knows its lines."""

    def __init__(
        self,
        models: Sequence[FakeModel] = (),
        statuses: Sequence[FakeStatus] = (),
        texts: Sequence[str] = (),
    ) -> None:
        self._models = models
        self._statuses = statuses
        self._texts = texts
        self.asked: list[tuple[str, str]] = []
        self.closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed = True

    def models(self) -> Sequence[FakeModel]:
        return self._models

    async def check(self) -> Sequence[FakeStatus]:
        return self._statuses

    async def chat_stream(self, model: str, prompt: str) -> AsyncIterator[str]:
        self.asked.append((model, prompt))
        for text in self._texts:
            yield text

    def built_by(self, monkeypatch: pytest.MonkeyPatch) -> "FakeBuilt":
        """Let commands build this one, whatever the configuration says."""

        def build(_loaded: Loaded) -> parts.Gateway:
            return self

        monkeypatch.setattr(parts, "build", build)
        return self
