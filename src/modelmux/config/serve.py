"""Serving a configuration until told to stop."""

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from modelmux import __version__
from modelmux.config import sandboxes, vertex, watch
from modelmux.config.crew import Crew
from modelmux.config.crew_doors import CrewControl, CrewHealth
from modelmux.config.entrances import open_all, places
from modelmux.config.gateway import Gateway
from modelmux.config.host import new_loop, settle_collector, stderr_output, take_uvicorns_log
from modelmux.config.listening import Listening, check_exposure
from modelmux.config.load import Loaded
from modelmux.config.paths import directories, private_directory
from modelmux.config.reload import Load, Reloader
from modelmux.config.upgrade import Successor, Upgrader
from modelmux.errors import ConfigError
from modelmux.ingress import listen
from modelmux.ingress.address import TcpAddress, UnixAddress
from modelmux.ingress.control import Actions, Control
from modelmux.ingress.entrance import Entrance
from modelmux.ingress.listen import Listener
from modelmux.ingress.server import Server, serve
from modelmux.transport.notify import Notify

_CONTROL_DRAIN_S = 1.0

_SIGNALS = (
    (signal.SIGTERM, signal.SIGINT)
    if sys.platform == "win32"
    else (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
)


Front = Server | Crew
"""What serves the listeners: this process, or others that it has started."""


class Origin(NamedTuple):
    """What a process was started with, as far as it is needed to do so again."""

    load: Load | None = None
    """Reads the configuration anew; without it there is no reload."""
    environ: Mapping[str, str] | None = None
    """Variables, before any file of them was read; without it there is no upgrade."""
    handover: str = ""
    """What another process gave it, whose place it takes."""


def run(loaded: Loaded, origin: Origin = Origin()) -> int:  # noqa: B008 # immutable
    """Serve in the foreground; the exit code.

    Args:
        loaded: The configuration.
        origin: Where it and this process come from.

    Raises:
        ConfigError: It cannot be built, or an address cannot be had. Nothing was served.
    """
    with ExitStack() as stack:
        for number in _SIGNALS:
            # The servers' handlers stay until the loop is closed, and uvloop's beyond it.
            stack.callback(signal.signal, number, signal.getsignal(number))
        successor = Successor.of(origin.handover)
        inherited = successor.inherited if successor is not None else {}
        opened = open_all(places(loaded.config, os.environ, os.getpid()), inherited)
        listening = Listening(opened)
        stack.callback(listening.close)
        if successor is not None:
            here = {str(each.place.address) for each in opened}
            successor.taken = [address for address in inherited if address in here]
        check_exposure(loaded.config, opened)
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_serve(loaded, listening, origin, successor))
    return 0


async def _serve(
    loaded: Loaded, listening: Listening, origin: Origin, successor: Successor | None
) -> None:
    gateway = Gateway(loaded, output=stderr_output(lambda message: log.event("warn", message)))
    if successor is not None:
        successor.take_stderr()
    log = gateway.telemetry.log
    gateway.listening = listening.names

    def draining() -> None:
        gateway.draining = True
        if not gateway.successor:
            Notify().stopping()
        log.event(
            "info",
            "stopping: calls under way may end",
            in_flight=gateway.telemetry.metrics.in_flight,
        )

    def stop(now: bool) -> None:
        server.stop(now=now)

    def hand_over() -> None:
        server.hand_over()

    has_crew = loaded.config.server.workers > 1
    crew = Crew(gateway, listening, draining) if has_crew else None
    reloader = Reloader(gateway, listening, origin.load, crew)
    upgrader = Upgrader(gateway, listening, hand_over, origin.environ)
    actions = Actions(stop, reloader.reload, upgrader.upgrade)
    server, control_server = _servers(gateway, crew, actions, draining)
    take_uvicorns_log(log)
    async with gateway:
        with ExitStack() as stack:

            async def open_control() -> None:
                await control_server.wait_ready()
                for listener in _control_listeners(gateway):
                    stack.callback(listener.close)
                    await control_server.open(listener.socket, Entrance(""))

            async with asyncio.TaskGroup() as group:
                group.create_task(serve(control_server, []))
                group.create_task(_announce(server, gateway, listening, successor, open_control))
                following = group.create_task(_follow(gateway, server, reloader, upgrader))
                isolating = _isolating(group, gateway, server, stack)
                await server.serve_at(listening.sockets)
                await upgrader.settled()
                following.cancel()
                for task in isolating:
                    task.cancel()
                control_server.stop(now=not gateway.successor)  # who asked for one is answered
        log.event("info", "stopped", pid=os.getpid())


def _isolating(
    group: asyncio.TaskGroup, gateway: Gateway, server: Front, stack: ExitStack
) -> list[asyncio.Task[None]]:
    """What takes sandboxes. A crew takes none: `modelmux isolate` starts a gateway of its own."""
    if not isinstance(server, Server):
        return []
    taking = sandboxes.open_listener(gateway)
    for listener in taking:
        stack.callback(listener.close)
    return [group.create_task(sandboxes.take(gateway, server, taking))]


def _servers(
    gateway: Gateway, crew: Crew | None, actions: Actions, on_stop: Callable[[], None]
) -> tuple[Front, Server]:
    """What serves callers, and what serves the control socket."""
    if crew is not None:
        app = gateway.control_app(CrewControl(crew, actions), CrewHealth(gateway.watch(), crew))
        return crew, Server(app, _CONTROL_DRAIN_S, signals=False)
    control = Control(gateway.status, gateway.log_access(), actions)
    settings = gateway.loaded.config.server
    server = Server(
        gateway.app(control),
        settings.drain_timeout_s,
        on_stop=on_stop,
        read_timeout_s=settings.read_timeout_s,
        fast=settings.fast_path,
    )
    return server, Server(gateway.control_app(control), _CONTROL_DRAIN_S, signals=False)


async def _follow(gateway: Gateway, server: Front, reloader: Reloader, upgrader: Upgrader) -> None:
    """Reload as signals and files say; never returns."""
    wanted = asyncio.Event()
    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, wanted.set)

    async def changed(paths: Iterable[Path]) -> None:
        await reloader.reload(f"changed: {', '.join(map(str, paths))}")

    async with asyncio.TaskGroup() as tasks:
        reloader.start(server, tasks)
        upgrader.start(tasks)
        tasks.create_task(watch.follow(lambda: gateway.loaded, changed))
        while True:
            await wanted.wait()
            wanted.clear()
            await reloader.reload("SIGHUP")


async def _announce(
    server: Front,
    gateway: Gateway,
    listening: Listening,
    successor: Successor | None,
    open_control: Callable[[], Awaitable[None]],
) -> None:
    """Say where it listens, and to who has not configured anything what to do with it."""
    if successor is None:
        await open_control()  # first: workers ask there as soon as they serve
        await server.wait_ready()
    else:
        await server.wait_ready()
        if gateway.draining:
            return  # stopped before it served: the old process goes on
        await successor.serves(open_control)
    log = gateway.telemetry.log
    log.event(
        "info",
        f"modelmux {__version__} listens on {', '.join(gateway.listening)}",
        pid=os.getpid(),
        models=len(list(gateway.current().registry.names())),
    )
    log.flush()
    Notify().ready()
    settle_collector()
    config = gateway.loaded.config
    # What was found without a configuration, such as a provider's usual variable, is enough.
    has_any = gateway.loaded.is_configured or config.providers or vertex.is_used(config.vertex)
    # Nor is it news to whoever has upgraded.
    if successor is None and not has_any and config.server.log_format == "text":
        sys.stderr.write(_first_steps(listening.listeners))
        sys.stderr.flush()


def _first_steps(listeners: Sequence[Listener]) -> str:
    """A command that gets an answer from the built-in model."""
    place = listeners[0]
    match place.address:
        case TcpAddress(host=""):  # every interface, and so loopback too
            where = f"http://127.0.0.1{place.name}"
        case TcpAddress():
            where = f"http://{place.name}"
        case UnixAddress(path=path, abstract=abstract):
            option = "--abstract-unix-socket" if abstract else "--unix-socket"
            where = f"{option} {shlex.quote(path)} http://modelmux"
        case _:
            return ""
    return f"""
Nothing is configured yet. The built-in model answers at once:

  curl -s {where}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{{"model": "modelmux/echo", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

Set OPENAI_API_KEY or ANTHROPIC_API_KEY, or write a configuration with `modelmux config init`.

"""


def _control_listeners(gateway: Gateway) -> list[Listener]:
    """The control socket; none, with a warning, where there is no place for one."""
    folders = directories()
    path = folders.control_socket(os.getpid())
    try:
        private_directory(folders.runtime)
        return listen.open_one(UnixAddress(str(path)))
    except ConfigError as exc:
        gateway.telemetry.log.event(
            "warn", f"no control socket, so `modelmux status` and `stop` cannot work: {exc.message}"
        )
        return []
