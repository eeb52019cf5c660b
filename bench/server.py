"""What is measured and what it is measured with: the mock upstream, nginx and the gateway.

Each is started on the given core and gives a `Door`: where to call it, and how.
"""

import shlex
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import fixture
from bench.fixture import CALLER_KEY, MODELS, UPSTREAM_KEYS, Ask, Stream, WireName
from bench.process import Process

READY_TIMEOUT_S = 90.0
"""Some gateways need half a minute to start."""


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of call through a gateway: what the caller speaks and what the provider speaks."""

    name: str
    caller: WireName
    upstream: WireName
    prompt_bytes: int = 700

    @property
    def translated(self) -> bool:
        return self.caller != self.upstream


PASSTHROUGH = Work("passthrough", "openai", "openai")
TRANSLATED = Work("translated", "openai", "anthropic")
LARGE = Work("large", "openai", "openai", prompt_bytes=127 * 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Somebody who answers calls on a port of the loopback interface."""

    name: str
    port: int
    translates: bool
    """Whether the caller may speak another wire than the provider. What does not translate is
    measured with the provider's own wire."""
    credential: str = ""
    """What the caller shows; empty: the provider's own key."""
    stream_prefix: str = ""
    """Before the path of a streamed call."""
    headers: Sequence[str] = ()
    """What else the caller has to send, as whole lines."""
    compresses: bool = False
    """It compresses what the mock upstream sent plain: it is not asked for that."""
    process: Process | None = None

    def ask(self, work: Work, stream: Stream | None = None, fault: str = "") -> Ask:
        wire = work.caller if self.translates else work.upstream
        return Ask(wire, MODELS[work.upstream], stream, work.prompt_bytes, fault)

    def request(self, work: Work, ask: Ask) -> bytes:
        """The bytes of a call, whole."""
        request = fixture.request(
            ask,
            port=self.port,
            prefix=self.stream_prefix if ask.stream else "",
            credential=self.credential or UPSTREAM_KEYS[work.upstream],
        )
        line, _, rest = request.partition(b"\r\n")
        if self.compresses:
            rest = rest.replace(b"Accept-Encoding: gzip, deflate", b"Accept-Encoding: identity")
        return b"\r\n".join([line, *(header.encode() for header in self.headers), rest])

    def tree(self) -> list[int]:
        return self.process.tree() if self.process else []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of a GET on a connection of its own; `OSError` when nobody answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += _receive(connection)
        head_bytes, _, body = answer.partition(b"\r\n\r\n")
        for line in head_bytes.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                while len(body) < int(line.split(b":")[1]):
                    body += _receive(connection)
        return int(head_bytes.split(b" ", 2)[1]), body


def _receive(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionError("closed before the end of the answer")
    return received


def wait_ready(process: Process, port: int, path: str) -> float:
    """Seconds from the start of the process to its first 200 on `path`.

    Raises:
        RuntimeError: It ended, or was not ready in time.
    """
    end = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < end:
        process.check_alive()
        try:
            status, _ = get(port, path)
        except (OSError, ValueError, IndexError):
            status = 0
        if status == 200:
            return (time.monotonic_ns() - process.started_ns) / 1e9
        time.sleep(0.002)
    raise RuntimeError(f"{process.name} was not ready in time:\n{process.log_end()}")


# --- the mock upstream ----------------------------------------------------------------------------


def start_upstream(program: Path, folder: Path, core: int) -> Door:
    answers = folder / "answers"
    answers.mkdir()
    fixture.write_answers(answers)
    port = free_port()
    process = Process(
        "the mock upstream",
        [str(program), str(port), str(answers)],
        core=core,
        log=folder / "upstream.log",
    )
    wait_ready(process, port, "/stats")
    return Door(name="direct", port=port, translates=False, process=process)


# --- nginx ----------------------------------------------------------------------------------------

_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_body_buffer_size 1m;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    upstream provider {{
        server 127.0.0.1:{upstream_port};
        keepalive 2048;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Authorization "Bearer {openai_key}";
        proxy_set_header X-Api-Key "{anthropic_key}";
        location = /readyz {{ return 200 "ready\\n"; }}
        location /v1/ {{ proxy_pass http://provider; }}
        location /streamed/ {{
            proxy_pass http://provider/;
            proxy_buffering off;
        }}
    }}
}}
"""


def nginx_command(nginx: str, folder: Path, port: int, upstream_port: int) -> list[str]:
    """Write a configuration of nginx as a plain reverse proxy; the command that runs it."""
    folder.mkdir(exist_ok=True)
    config = folder / "nginx.conf"
    text = _NGINX.format(
        folder=folder,
        port=port,
        upstream_port=upstream_port,
        openai_key=UPSTREAM_KEYS["openai"],
        anthropic_key=UPSTREAM_KEYS["anthropic"],
    )
    config.write_text(text)
    return [nginx, "-p", str(folder), "-e", "stderr", "-c", str(config)]


@dataclass(frozen=True, slots=True)
class Site:
    """Where servers are started: a folder for their files, the upstream, the core."""

    folder: Path
    upstream_port: int
    core: int


Launch = Callable[[Site], tuple[Door, float]]
"""Starts a server; its door, and how many seconds it took to be ready."""


def launch_nginx(nginx: str, name: str = "nginx") -> Launch:
    def launch(site: Site) -> tuple[Door, float]:
        port = free_port()
        folder = site.folder / name
        command = nginx_command(nginx, folder, port, site.upstream_port)
        process = Process(name, command, core=site.core, log=site.folder / f"{name}.log")
        door = Door(
            name=name,
            port=port,
            translates=False,
            credential=CALLER_KEY,
            stream_prefix="/streamed",
            process=process,
        )
        return door, _ready(process, port, "/readyz")

    return launch


# --- the gateway ----------------------------------------------------------------------------------

_GATEWAY = """
[server]
listen = ["127.0.0.1:{port}"]
log_level = "info"
log_format = "json"

[[providers]]
name = "openai"
type = "openai"
base_url = "http://127.0.0.1:{upstream_port}/v1"
api_key = "{openai_key}"
[[providers.models]]
name = "{openai_model}"
price = {{ input = 2.0, output = 8.0, cache_read = 0.5 }}
[[providers.models]]
name = "gpt-4.1-*"
price = {{ input = 0.4, output = 1.6, cache_read = 0.1 }}
[providers.limits]
concurrency = 100_000

[[providers]]
name = "anthropic"
type = "anthropic"
base_url = "http://127.0.0.1:{upstream_port}"
api_key = "{anthropic_key}"
[[providers.models]]
name = "{anthropic_model}"
price = {{ input = 3.0, output = 15.0, cache_read = 0.3, cache_write = 3.75 }}
[providers.limits]
concurrency = 100_000

[[keys]]
name = "bench"
secret = "{caller_key}"
models = ["gpt-*", "claude-*"]
tags = {{ team = "bench" }}

[[keys]]
name = "other"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
"""
"""Everything on: keys, limits, prices, JSON log lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A gateway that can be started.

    In `command`, `config` and `headers`, `{port}`, `{upstream}` (host and port of the mock
    upstream), `{upstream_port}` and `{config}` (where its configuration is) are filled in.
    """

    name: str = "gateway"
    command: str
    """As for a shell."""
    config: str = _GATEWAY
    config_name: str = "gateway.toml"
    ready_path: str = "/readyz"
    translates: bool = True
    credential: str = CALLER_KEY
    headers: Sequence[str] = ()
    compresses: bool = False
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


def launch_program(program: Program) -> Launch:
    def launch(site: Site) -> tuple[Door, float]:
        port, config = free_port(), site.folder / program.config_name
        values = {
            "port": port,
            "config": config,
            "upstream": f"127.0.0.1:{site.upstream_port}",
            "upstream_port": site.upstream_port,
            "openai_key": UPSTREAM_KEYS["openai"],
            "anthropic_key": UPSTREAM_KEYS["anthropic"],
            "openai_model": MODELS["openai"],
            "anthropic_model": MODELS["anthropic"],
            "caller_key": CALLER_KEY,
        }
        config.touch(mode=0o600)  # it holds keys
        config.write_text(program.config.format(**values))
        process = Process(
            program.name,
            shlex.split(program.command.format(**values)),
            core=site.core,
            log=site.folder / f"{program.name}.log",
            environment={**clean_environment(site.folder), **program.environment},
        )
        door = Door(
            name=program.name,
            port=port,
            translates=program.translates,
            credential=program.credential,
            headers=[header.format(**values) for header in program.headers],
            compresses=program.compresses,
            process=process,
        )
        return door, _ready(process, port, program.ready_path)

    return launch


def clean_environment(home: Path) -> Mapping[str, str]:
    """Nothing of the caller's: a key or a file of settings would change what is measured."""
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }


def _ready(process: Process, port: int, path: str) -> float:
    try:
        return wait_ready(process, port, path)
    except BaseException:
        process.stop()
        raise
