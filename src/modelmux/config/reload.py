"""Putting another configuration in force while calls go on.

It is read, checked and built whole, beside the one in force, and its listeners are opened; only
then does it take effect, in one step. Whatever goes wrong before that step changes nothing.
"""

import asyncio
import gc
from collections.abc import Callable, Sequence
from typing import Final

from modelmux.config.changes import differences
from modelmux.config.gateway import Gateway
from modelmux.config.generation import Generation
from modelmux.config.listening import Change, Listening
from modelmux.config.load import Loaded
from modelmux.config.schema import Config
from modelmux.errors import ConfigError
from modelmux.ingress.control import Problem, Reloaded
from modelmux.ingress.server import Server
from modelmux.transport.notify import Notify

MAX_RETIRING: Final = 16
"""Configurations that may wait for their last call. Each is held in memory as long as its longest
stream, so that a program that reloads all the time would fill it."""

_NOT_SERVING = ConfigError("expected a gateway that `modelmux serve` started, this one was not")

Load = Callable[[], Loaded]
"""Reads the configuration anew, from where it came. Blocks. Raises `ConfigError`."""


class Reloader:
    """Reloads one gateway, one reload at a time. For one event loop."""

    def __init__(self, gateway: Gateway, listening: Listening, load: Load | None) -> None:
        """Connect the parts.

        Args:
            gateway: What is to follow its configuration.
            listening: Where it listens.
            load: Reads the configuration; without it there is nothing to reload from.
        """
        self._gateway = gateway
        self._listening = listening
        self._load = load
        self._lock = asyncio.Lock()
        self._serving: tuple[Server, asyncio.TaskGroup] | None = None
        self._notify = Notify()

    def start(self, server: Server, tasks: asyncio.TaskGroup) -> None:
        """Begin.

        Args:
            server: What serves the listeners.
            tasks: Where that is waited for which a reload leaves to be waited for.
        """
        self._serving = server, tasks

    async def reload(self, cause: str) -> Reloaded:
        """Put what the configuration now says in force, or tell why that cannot be.

        Args:
            cause: Who asked, for the log.
        """
        if self._serving is None:
            return self._failed(_NOT_SERVING, cause)
        # Whoever asks may leave meanwhile.
        return await asyncio.shield(self._serving[1].create_task(self._next(cause)))

    async def _next(self, cause: str) -> Reloaded:
        async with self._lock:
            self._notify.reloading()
            try:
                reloaded = await self._reload(cause)
            except ConfigError as exc:
                reloaded = self._failed(exc, cause)
            self._notify.ready()
            return reloaded

    async def _reload(self, cause: str) -> Reloaded:
        gateway = self._gateway
        if self._load is None or self._serving is None:
            raise _NOT_SERVING
        if gateway.draining:
            raise ConfigError("the gateway is stopping", hint="start it again")
        if gateway.retiring >= MAX_RETIRING:
            raise ConfigError(
                f"{gateway.retiring} earlier configurations still have calls under way",
                hint="wait for the longest of them, or restart",
            )
        # In threads, because reading and building ten thousand models takes half a second.
        loaded = await asyncio.to_thread(self._load)
        prepared = await asyncio.to_thread(gateway.prepare, loaded)
        change = await asyncio.to_thread(self._listening.prepare, loaded.config)
        before = gateway.loaded.config
        for each in change.opened:
            await self._serving[0].open(each.listener.socket, each.entrance)
        self._adopt(prepared, change, *self._serving)
        said = [each.text() for each in differences(before, loaded.config)]
        notes = [*_waiting(before, loaded.config), *loaded.warnings]
        gateway.telemetry.metrics.reloads["ok"] += 1
        log = gateway.telemetry.log
        log.event(
            "info",
            f"configuration reloaded: {'; '.join(said) or 'nothing has changed'}",
            cause=cause,
            models=len(gateway.models()),
        )
        for note in notes:
            log.event("warn", note)
        log.flush()
        return Reloaded(reloaded=True, changes=said, notes=notes)

    def _adopt(
        self, prepared: Generation, change: Change, server: Server, tasks: asyncio.TaskGroup
    ) -> None:
        """The step that counts: nothing in it can fail, and nothing comes between."""
        gateway = self._gateway
        earlier = gateway.adopt(prepared)
        self._listening.adopt(change)
        settings = prepared.loaded.config.server
        server.drain_timeout_s = settings.drain_timeout_s
        server.read_timeout_s = settings.read_timeout_s
        gateway.listening = self._listening.names
        tasks.create_task(self._retire(earlier))
        for each in change.left:
            each.listener.forget()
            tasks.create_task(server.leave(each.entrance))

    async def _retire(self, earlier: Generation) -> None:
        await self._gateway.retire(earlier)
        del earlier
        # What was in force when serving began was taken out of the collector's sight for good;
        # what is in force now may be, for as long.
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    def _failed(self, exc: ConfigError, cause: str) -> Reloaded:
        gateway = self._gateway
        problems = [Problem(each.message, each.hint) for each in exc.problems]
        gateway.reload_failure = "; ".join(problem.message for problem in problems)
        gateway.telemetry.metrics.reloads["error"] += 1
        for problem in problems:
            gateway.telemetry.log.event(
                "error",
                f"the configuration was not reloaded, and nothing has changed: {problem.message}",
                cause=cause,
                hint=problem.hint or None,
            )
        return Reloaded(reloaded=False, problems=problems)


def _waiting(before: Config, after: Config) -> Sequence[str]:
    """What a reload cannot change."""
    now, wanted = before.server.workers, after.server.workers
    if now == wanted:
        return ()
    return (f"server.workers: {now} until `modelmux upgrade` or a restart, then {wanted}",)
