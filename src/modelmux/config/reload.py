"""Putting another configuration in force while calls go on.

It is read, checked and built whole, beside the one in force, and its listeners are opened; only
then does it take effect, in one step. Whatever goes wrong before that step changes nothing.
"""

import asyncio
import gc
import socket
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Final, Protocol

from modelmux.config.changes import differences
from modelmux.config.gateway import Gateway
from modelmux.config.generation import Generation
from modelmux.config.listening import Change, Listening
from modelmux.config.load import Loaded
from modelmux.config.schema import Config
from modelmux.errors import ConfigError
from modelmux.ingress.control import Problem, Reloaded
from modelmux.ingress.entrance import Entrance
from modelmux.transport.notify import Notify

MAX_RETIRING: Final = 16
"""Configurations that may wait for their last call. Each is held in memory as long as its longest
stream, so that a program that reloads all the time would fill it."""

_NOT_SERVING = ConfigError("expected a gateway that `modelmux serve` started, this one was not")

Load = Callable[[], Loaded]
"""Reads the configuration anew, from where it came. Blocks. Raises `ConfigError`."""


class Serving(Protocol):
    """What serves the listeners."""

    drain_timeout_s: float
    read_timeout_s: float

    async def open(self, sock: socket.socket, entrance: Entrance) -> None:
        """Serve one more socket."""
        ...

    async def leave(self, entrance: Entrance) -> None:
        """Close one; returns once its last connection is gone."""
        ...


class Followers(Protocol):
    """Others that have to take a configuration over."""

    changing: asyncio.Lock
    """Held from `prepare` until after `adopt`."""

    async def prepare(self, config: Config) -> None:
        """See that they can. Raises `ConfigError` if one cannot."""
        ...

    async def adopt(self, change: Change) -> None:
        """Have them do it, and with it open and close listeners."""
        ...


class Reloader:
    """Reloads one gateway, one reload at a time. For one event loop."""

    def __init__(
        self,
        gateway: Gateway,
        listening: Listening,
        load: Load | None,
        followers: Followers | None = None,
    ) -> None:
        """Connect the parts.

        Args:
            gateway: What is to follow its configuration.
            listening: Where it listens.
            load: Reads the configuration; without it there is nothing to reload from.
            followers: Who else has to take it over.
        """
        self._gateway = gateway
        self._listening = listening
        self._load = load
        self._followers = followers
        self._lock = asyncio.Lock()
        self._serving: tuple[Serving, asyncio.TaskGroup] | None = None
        self._notify = Notify()

    def start(self, server: Serving, tasks: asyncio.TaskGroup) -> None:
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
        followers = self._followers
        async with followers.changing if followers is not None else nullcontext():
            if followers is not None:
                await self._follow(followers, loaded.config, change)
            await self.adopt(prepared, change)
            if followers is not None:
                await followers.adopt(change)
        said = [each.text() for each in differences(before, loaded.config)]
        notes = [*_waiting(before, loaded.config), *loaded.warnings]
        gateway.telemetry.metrics.reloads["ok"] += 1
        log = gateway.telemetry.log
        log.event(
            "info",
            f"configuration reloaded: {'; '.join(said) or 'nothing has changed'}",
            cause=cause,
            models=len(list(gateway.current().registry.names())),
        )
        for note in notes:
            log.event("warn", note)
        log.flush()
        return Reloaded(reloaded=True, changes=said, notes=notes)

    async def _follow(self, followers: Followers, config: Config, change: Change) -> None:
        """See that the others can take it over too. Raises `ConfigError`; nothing is left open."""
        try:
            await followers.prepare(config)
        except ConfigError:
            for each in change.opened:
                each.listener.close()
            raise

    async def adopt(self, prepared: Generation, change: Change) -> None:
        """Put in force what was prepared. `start` has to have been called."""
        if self._serving is None:
            raise _NOT_SERVING
        server, tasks = self._serving
        for each in change.opened:
            await server.open(each.listener.socket, each.entrance)
        # The step that counts: nothing in it can fail, and nothing comes between.
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
