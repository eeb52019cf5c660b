"""The gateway as its users start it: `modelmux serve` in a process of its own."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from tests.support import plain
from tests.support.child import Child, ChildError

DEFECTS = ("Traceback (most recent call last)", "exception.stacktrace", "never retrieved")
"""Words of a log that no test may bring about."""


class Gateway:
    """A running gateway, ready to be called on TCP and on a unix socket."""

    def __init__(self, child: Child, base_url: str, socket_path: Path, config_path: Path) -> None:
        self._child = child
        self.base_url = base_url
        """For Anthropic's clients; OpenAI's want `openai_url`."""
        self.socket_path = socket_path
        self.config_path = config_path
        self.end_was_awaited = False
        self.successors: list[int] = []
        """Processes that have taken over, by `upgrade`."""

    def upgrade(self) -> plain.Answer:
        """Have it go on as a new process, which is meant from then on."""
        answer = plain.post(self.control_address, "/control/upgrade")
        if answer.status == 200:
            self.successors.append(msgspec.json.decode(answer.body)["pid"])
        return answer

    @property
    def openai_url(self) -> str:
        return f"{self.base_url}/v1"

    @property
    def unix_address(self) -> str:
        """The unix socket, as `tests.support.plain` takes it."""
        return f"unix:{self.socket_path}"

    @property
    def control_address(self) -> str:
        """The control socket, as `tests.support.plain` takes it."""
        return f"unix:{self.socket_path.parent}/modelmux/control-{self.pid}.sock"

    @property
    def pid(self) -> int:
        return self.successors[-1] if self.successors else self._child.pid

    @property
    def log(self) -> str:
        """Everything printed so far, on stdout and stderr."""
        return self._child.log

    def send_signal(self, number: signal.Signals) -> None:
        """Send it, and do not wait for what follows."""
        os.kill(self.pid, number)

    def wait_until_logged(self, words: str) -> None:
        """Block until the log holds `words`."""
        self._child.wait_until(lambda: words in self.log or None, f"logging {words!r}")

    def wait_until_ended(self) -> int | None:
        """The exit code once it has ended, or nothing if it has not in time.

        A test that asks this judges the exit code itself.
        """
        self.end_was_awaited = True
        return self._child.wait()


@contextmanager
def running(
    config: str,
    directory: Path,
    *options: str,
    environ: Mapping[str, str] | None = None,
    ready_path: str = "/readyz",
) -> Generator[Gateway, None, None]:
    """A gateway with this config, stopped by SIGTERM at the end.

    It sees nothing of the machine it runs on: its home and working directory are `directory`, and
    its environment is `environ` alone.

    Args:
        config: The text of its config file.
        directory: An empty folder.
        options: More arguments of `modelmux serve`.
        environ: Its environment beside `PATH`, `HOME` and `XDG_RUNTIME_DIR`.
        ready_path: What answers 200 once the test can begin: `/healthz` where no target is usable.

    Raises:
        ChildError: It did not get ready, ended by itself, did not exit with 0 on SIGTERM, or told
            of a defect of its own. The message holds the end of its log.
    """
    config_path = directory / "gateway.toml"
    config_path.write_text(config)
    # A unix socket's path is at most 104 bytes on some systems, and pytest's folders are deep.
    sockets = Path(tempfile.mkdtemp(prefix="modelmux-"))
    socket_path = sockets / "gateway.sock"
    base_url = f"http://127.0.0.1:{plain.free_port()}"
    argv = [sys.executable, "-m", "modelmux", "serve", "--config", str(config_path)]
    argv += ["--listen", base_url.removeprefix("http://"), "--listen", f"unix:{socket_path}"]
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "XDG_RUNTIME_DIR": str(sockets)}
    clean |= environ or {}
    child = Child([*argv, *options], directory, clean)
    gateway = Gateway(child, base_url, socket_path, config_path)
    try:
        child.wait_until(lambda: _is_ready(gateway, ready_path), f"ready on {ready_path}")
        yield gateway
    finally:
        for pid in gateway.successors:
            child.end(pid)
        code = child.stop()
        shutil.rmtree(sockets)
    if code != 0 and not gateway.end_was_awaited:
        raise ChildError(f"the gateway ended with {code}; its log ends:\n{child.log[-4000:]}")
    if any(words in child.log for words in DEFECTS):
        raise ChildError(f"the gateway's log tells of a defect; it ends:\n{child.log[-8000:]}")


class GatewayStarter:
    """Starts gateways in folders of their own; `stack` stops them.

    Takes what `running` takes, without the directory.
    """

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._started = 0

    def __call__(
        self,
        config: str,
        *options: str,
        environ: Mapping[str, str] | None = None,
        ready_path: str = "/readyz",
    ) -> Gateway:
        self._started += 1
        directory = self._directory / f"gateway-{self._started}"
        directory.mkdir()
        context = running(config, directory, *options, environ=environ, ready_path=ready_path)
        return self._stack.enter_context(context)


def _is_ready(gateway: Gateway, path: str) -> bool | None:
    """True once both listeners answer 200; None while they do not."""
    try:
        answers = [plain.get(address, path) for address in (gateway.unix_address, gateway.base_url)]
    except OSError:
        return None
    return all(answer.status == 200 for answer in answers) or None
