import gc
import logging
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import msgspec
import pytest

from modelmux.config import serve
from modelmux.config.load import Loaded, Source
from modelmux.config.schema import Config, Key, Model, Provider, Routing, Server
from modelmux.errors import ConfigError
from modelmux.ingress.address import FdAddress, TcpAddress, UnixAddress
from modelmux.ingress.listen import Listener, open_one
from tests.support import plain
from tests.unit.config.gateways import loaded
from tests.unit.transport.loopback import WAIT_S


@pytest.fixture(name="place")
def short_folder(monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A folder for sockets, whose paths must be short, and home to a control socket."""
    with tempfile.TemporaryDirectory(prefix="mm-") as name:
        folder = Path(name)
        folder.chmod(0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        monkeypatch.setenv("HOME", name)
        yield folder


@pytest.fixture(autouse=True)
def process() -> Generator[None]:
    """Leaves the process as it was: serving settles its collector and its logging."""
    logger = logging.getLogger("uvicorn.error")
    before = (logger.handlers, logger.level, logger.propagate, gc.get_threshold())
    yield
    logger.handlers, logger.level, logger.propagate = before[:3]
    gc.set_threshold(*before[3])
    gc.unfreeze()


def refusal(config: Config) -> str:
    with pytest.raises(ConfigError) as caught:
        serve.run(loaded(config))
    return f"{caught.value.message} | {caught.value.hint}"


# What cannot be served


def test_an_address_that_is_taken_is_told_and_nothing_is_served(place: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = (f"unix:{place}/s", f"127.0.0.1:{other.getsockname()[1]}")
        assert "the address is in use | stop what listens there" in refusal(
            Config(server=Server(listen=listen))
        )
    assert list(place.iterdir()) == []


def test_a_configuration_that_cannot_be_built_leaves_no_socket_behind(place: Path):
    server = Server(listen=(f"unix:{place}/s",))
    said = refusal(Config(server=server, models=(Model(name="fast", targets=("nobody/m",)),)))
    assert "models.fast" in said
    assert list(place.iterdir()) == []
    said = refusal(Config(server=server, routing=Routing(default="nobody")))
    assert "routing.default" in said
    assert list(place.iterdir()) == []


def test_a_socket_that_was_handed_over_is_not_opened_to_strangers_by_accident():
    handed = socket.create_server(("", 0))
    server = Server(listen=(f"fd:{handed.detach()}",))
    said = refusal(Config(server=server))
    assert "can be reached from other machines, and no key is required" in said
    assert "[[keys]]" in said


# Until told to stop


class Serving:
    """`run` on the test's own thread, and another that talks to it."""

    def __init__(self, talk: Callable[[], None]) -> None:
        self.failure: BaseException | None = None
        self._talk = talk
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._talk()
        except BaseException as exc:  # noqa: BLE001 # the test raises it again
            self.failure = exc

    def __call__(self, what: Loaded) -> int:
        self._thread.start()
        try:
            return serve.run(what)
        finally:
            self._thread.join(WAIT_S)
            assert not self._thread.is_alive()
            if self.failure is not None:
                raise self.failure


def wait_for(path: Path) -> str:
    """The address of a unix socket once somebody answers there."""
    until = threading.Event()
    for _ in range(int(WAIT_S / 0.01)):
        try:
            if plain.get(f"unix:{path}", "/healthz").status == 200:
                return f"unix:{path}"
        except OSError:
            until.wait(0.01)
    raise AssertionError(f"nobody answers at {path}")


def test_callers_are_served_until_the_control_socket_says_stop(
    place: Path, capfd: pytest.CaptureFixture[str]
):
    door, control = place / "s", place / "modelmux" / f"control-{os.getpid()}.sock"
    config = Config(
        server=Server(listen=(f"unix:{door}",), log_format="json"),
        keys=(Key(name="k", secret="secret-of-a-caller"),),
    )

    def talk() -> None:
        at_door, at_control = wait_for(door), wait_for(control)
        assert plain.get(at_door, "/control/status").status == 404
        assert plain.get(at_door, "/v1/models").status == 401
        models = plain.get(at_door, "/v1/models", {"x-api-key": "secret-of-a-caller"})
        assert b"modelmux/echo" in models.body
        status = plain.get(at_control, "/control/status").json()
        assert isinstance(status, dict)
        assert (status["pid"], status["listen"]) == (os.getpid(), [f"unix:{door}"])
        assert plain.post(at_control, "/control/stop").status == 202

    assert Serving(talk)(loaded(config)) == 0
    assert not door.exists()
    assert not control.exists()
    told = capfd.readouterr().err
    events = [msgspec.json.decode(line) for line in told.splitlines()]
    assert len(events) >= 3
    assert f"listens on unix:{door}" in told
    assert "stopping: calls under way may end" in told
    assert '"stopped"' in told
    assert "Nothing is configured" not in told


def test_who_has_configured_nothing_is_told_what_to_do(
    place: Path, capfd: pytest.CaptureFixture[str]
):
    door = place / "s"

    def talk() -> None:
        wait_for(door)
        control = wait_for(place / "modelmux" / f"control-{os.getpid()}.sock")
        plain.post(control, "/control/stop?now=1")

    assert Serving(talk)(loaded(Config(server=Server(listen=(f"unix:{door}",))))) == 0
    assert f"curl -s --unix-socket {door} http://modelmux/v1/chat/completions" in (
        capfd.readouterr().err
    )


def test_a_provider_that_was_found_is_not_nothing(place: Path, capfd: pytest.CaptureFixture[str]):
    door = place / "s"
    found = Provider(name="openai", type="openai", api_key="sk-of-a-variable")
    config = Config(server=Server(listen=(f"unix:{door}",)), providers=(found,))

    def talk() -> None:
        wait_for(door)
        control = wait_for(place / "modelmux" / f"control-{os.getpid()}.sock")
        plain.post(control, "/control/stop?now=1")

    assert Serving(talk)(loaded(config)) == 0
    assert "Nothing is configured" not in capfd.readouterr().err


def test_without_a_place_for_a_control_socket_callers_are_served_all_the_same(
    place: Path, capfd: pytest.CaptureFixture[str]
):
    (place / "modelmux").write_text("in the way")
    door = place / "s"
    sources = (Source("user", place, found=True),)
    what = Loaded(Config(server=Server(listen=(f"unix:{door}",))), {}, sources, (), frozenset())

    def talk() -> None:
        wait_for(door)
        os.kill(os.getpid(), 15)

    assert Serving(talk)(what) == 0
    told = capfd.readouterr().err
    assert "no control socket" in told
    assert "Nothing is configured" not in told


# The first steps


def steps(listener: Listener) -> str:
    try:
        return serve._first_steps([listener])
    finally:
        listener.close()


def test_the_first_steps_go_where_the_gateway_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tcp,) = open_one(TcpAddress("127.0.0.1", 0))
    assert f"curl -s http://{tcp.name}/v1/chat/completions " in steps(tcp)
    (every,) = open_one(TcpAddress("", 0))
    port = every.socket.getsockname()[1]
    assert f"curl -s http://127.0.0.1:{port}/v1/chat/completions " in steps(every)
    (unix,) = open_one(UnixAddress("a b"))
    assert "curl -s --unix-socket 'a b' http://modelmux/v1/" in steps(unix)
    (abstract,) = open_one(UnixAddress(f"mm-{os.getpid()}", abstract=True))
    assert f"--abstract-unix-socket mm-{os.getpid()} http://modelmux/v1/" in steps(abstract)


def test_the_first_steps_are_a_command_that_a_shell_understands():
    (tcp,) = open_one(TcpAddress("127.0.0.1", 0))
    said = steps(tcp)
    command = said[said.index("  curl") : said.index("\n\nSet OPENAI")]
    script = command.replace("curl", "printf '%s\\n'", 1)
    out = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, text=True)
    body = out.stdout.splitlines()[-1]
    assert msgspec.json.decode(body)["model"] == "modelmux/echo"


def test_where_it_cannot_be_said_nothing_is():
    handed = socket.create_server(("127.0.0.1", 0))
    (listener,) = open_one(FdAddress(handed.detach()))
    assert steps(listener) == ""
