"""What reloads and upgrades cost callers: python -m bench.changes [--workers N] [--rate R] …

A gateway is asked at a steady rate, some for streams, while its configuration changes again and
again (providers that come, go and change their place, and one that is wrong) and new processes take
over. Every answer is checked, and no request is tried twice. Exit code 1 if one was lost.
"""

import argparse
import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import steady

_SERVER = """
[server]
listen = ["127.0.0.1:{port}"]
log_format = "json"
workers = {workers}
"""
_PROVIDER = """
[[providers]]
name = "{name}"
type = "openai_compatible"
base_url = "{url}"
models = ["m"]
priority = {priority}
"""


class Gateway:
    """`modelmux serve` in a folder of its own."""

    def __init__(self, folder: Path, port: int, workers: int) -> None:
        self.port = port
        self._server = _SERVER.format(port=port, workers=workers)
        self._config = folder / "gateway.toml"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def write(self, providers: Sequence[tuple[str, str]], more: str = "") -> None:
        """Write a configuration with these providers, the preferred one first."""
        said = [
            _PROVIDER.format(name=name, url=url, priority=priority)
            for priority, (name, url) in enumerate(providers)
        ]
        self._config.write_text("".join([self._server, *said, more]))

    def start(self) -> None:
        """Start it, and return once it is ready."""
        environ = {**os.environ, "XDG_RUNTIME_DIR": str(self._folder)}
        argv = [sys.executable, "-m", "modelmux", "serve", "-c", str(self._config)]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(argv, env=environ, stderr=log, cwd=self._folder)
        for _ in range(200):
            time.sleep(0.1)
            if b" listens on " in (self._folder / "log").read_bytes():
                return
        raise RuntimeError((self._folder / "log").read_text())

    def control(self, path: str) -> tuple[int, float]:
        """Status of the answer to a POST on the control socket, and how long it took."""
        began = time.monotonic()
        newest = max((self._folder / "modelmux").glob("control-*.sock"), key=_changed_at)
        line = http.client.HTTPConnection("modelmux", timeout=120)
        line.sock = socket.socket(socket.AF_UNIX)
        line.sock.connect(str(newest))
        line.request("POST", path)
        answer = line.getresponse()
        answer.read()
        line.close()
        return answer.status, time.monotonic() - began

    def stop(self) -> None:
        """End it."""
        self.control("/control/stop?now=1")
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.wait(30)


def _changed_at(path: Path) -> float:
    return path.stat().st_mtime


async def run(gateway: Gateway, options: argparse.Namespace, urls: Sequence[str]) -> int:
    """Play it; how many requests were lost."""
    one, two, three = (("one", urls[0]), ("two", urls[1]), ("three", urls[2]))
    versions = [(one, two), (two,), (three, one), (("one", urls[2]), two), (three,)]
    gateway.write(versions[0])
    await asyncio.to_thread(gateway.start)
    load = steady.Load(gateway.port, ["m"], rate=options.rate, streams_of=20)
    reloads: list[float] = []
    upgrades: list[float] = []
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(load.run())
        await load.more(options.rate)
        for number in range(options.reloads):
            gateway.write(versions[(number + 1) % len(versions)])
            status, took_s = await asyncio.to_thread(gateway.control, "/control/reload")
            assert status == 200
            reloads.append(took_s)
            await load.more(options.rate)
            if number < options.upgrades:
                status, took_s = await asyncio.to_thread(gateway.control, "/control/upgrade")
                assert status == 200
                upgrades.append(took_s)
                await load.more(options.rate)
        gateway.write(versions[0], "nonsense = 1\n")
        status, _ = await asyncio.to_thread(gateway.control, "/control/reload")
        assert status == 422
        await load.more(options.rate)
        load.stop()
        await running
    outcome = load.outcome
    print(
        f"{outcome.whole} whole answers, {outcome.streams} streams, "
        f"{outcome.connections} connections, slowest whole answer {outcome.slowest_s:.3f} s"
    )
    print("reloads  ", " ".join(f"{each:.3f}" for each in reloads), "s")
    print("upgrades ", " ".join(f"{each:.3f}" for each in upgrades), "s")
    print("lost     ", sum(outcome.failures.values()), dict(outcome.failures))
    return sum(outcome.failures.values())


async def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.changes", description=__doc__)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rate", type=int, default=500, help="requests in a second")
    parser.add_argument("--reloads", type=int, default=10)
    parser.add_argument("--upgrades", type=int, default=2)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mm-") as name, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        gateway = Gateway(Path(name), port, options.workers)
        async with steady.providers(3) as urls:
            try:
                lost = await run(gateway, options, urls)
            finally:
                await asyncio.to_thread(gateway.stop)
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
