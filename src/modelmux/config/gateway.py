"""A gateway in this process: built from a configuration, started, asked, closed."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec import Struct

from modelmux import __version__
from modelmux.config import fleet
from modelmux.config.build import new_ids
from modelmux.config.generation import Generation
from modelmux.config.lasting import Lasting, Telemetry
from modelmux.config.load import Loaded
from modelmux.config.providers import Built
from modelmux.config.secrets import secrets
from modelmux.errors import TargetError
from modelmux.ingress.app import application, control_doors, doors
from modelmux.ingress.asgi import Adapter, Lifespan
from modelmux.ingress.auth import Keyring
from modelmux.ingress.control import Control, Log, ProviderStatus, Status
from modelmux.ingress.health import Health, Readiness
from modelmux.ingress.routes import Methods, Routes
from modelmux.ingress.surface import Surface
from modelmux.ir.events import Fail, PartDelta, PartStart
from modelmux.ir.parts import Text
from modelmux.ir.response import Response
from modelmux.provider.model import Host
from modelmux.provider.price import Price
from modelmux.provider.probe import probe
from modelmux.target.call import ANONYMOUS, Call
from modelmux.target.checks import Checks, Probe
from modelmux.target.explain import Explanation, explain
from modelmux.target.failures import error_of
from modelmux.target.reply import Reply
from modelmux.telemetry.output import Output
from modelmux.wire import openai_chat

if TYPE_CHECKING:
    from modelmux.telemetry.exposition import Exposition


_RELOAD_FAILED = "the last reload failed, and changed nothing: `modelmux status` says why"


class TargetStatus(Struct, frozen=True):
    """Whether a provider would answer."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


class OfferedModel(Struct, frozen=True):
    """A model that can be asked for."""

    id: str
    targets: tuple[str, ...]
    context_tokens: int
    price: Price | None
    """Of the first target."""


class Gateway:
    """A configuration at work, until another takes its place.

    For one event loop; use it as an asynchronous context manager.
    """

    def __init__(self, loaded: Loaded, *, output: Output | None = None) -> None:
        """Build it; nothing is connected or started.

        Args:
            loaded: The configuration.
            output: Where the log goes; stderr if not given.

        Raises:
            ConfigError: The configuration says what cannot be built.
        """
        self._lasting = Lasting(Telemetry(loaded.config, output=output))
        self.telemetry = self._lasting.telemetry
        self._lasting.adopt(loaded.config)
        self._now = Generation(loaded, self._lasting)
        self._earlier: list[Generation] = []
        self._checks = Checks(self._probes, self._lasting.health)
        self._adapters: list[Adapter] = []
        self._new_id = new_ids()
        self._started_at = datetime.now(UTC)
        self._exposition: Exposition | None = None
        self._loaded_at = self._started_at
        self.draining = False
        self.successor = 0
        """Process that serves the same sockets in our place; 0: none."""
        self.listening: Sequence[str] = ()
        self.reload_failure = ""
        """Why the last reload changed nothing; empty if it did, or there was none."""

    @property
    def loaded(self) -> Loaded:
        """The configuration in force."""
        return self._now.loaded

    @property
    def retiring(self) -> int:
        """How many configurations before it still have calls under way."""
        return len(self._earlier)

    @property
    def _built(self) -> Built:
        return self._now.built

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.aclose()

    def start(self) -> None:
        """Begin to write the log in batches, and to ask providers whether they are there."""
        self.telemetry.log.start(asyncio.get_running_loop().call_later)
        self._check_health()

    async def aclose(self) -> None:
        """Close every connection, and write the rest of the log."""
        self._checks.stop()
        for each in (*self._earlier, self._now):
            await each.aclose()
        self.telemetry.log.close()

    def prepare(self, loaded: Loaded) -> Generation:
        """What `adopt` takes. Changes nothing, and may run in a thread of its own.

        Raises:
            ConfigError: The configuration says what cannot be built.
        """
        return Generation(loaded, self._lasting, self._now)

    def adopt(self, prepared: Generation) -> Generation:
        """Answer every call that comes from now on by another configuration.

        Keys that rest, places that are taken, counts and log stay as they are. What was in force
        goes on with the calls under way: the caller must see to it that it is `retire`d.

        Args:
            prepared: Of this gateway, since the last time that this was called.

        Returns:
            What was in force.
        """
        earlier = self._now
        prepared.built.take_over(earlier.built)
        self._lasting.adopt(prepared.loaded.config)
        self.telemetry.adopt(prepared.loaded.config)
        self._now = prepared
        self._earlier.append(earlier)
        self._loaded_at = datetime.now(UTC)
        self.reload_failure = ""
        self._check_health()
        for adapter in self._adapters:
            adapter.max_body_bytes = prepared.loaded.config.server.max_body_bytes
        return earlier

    async def retire(self, earlier: Generation) -> None:
        """Wait for the last call of a configuration that `adopt` gave back, and close it."""
        await earlier.wait_idle()
        if earlier not in self._earlier:
            return  # the gateway was closed meanwhile
        self._earlier.remove(earlier)
        rest = (self._now, *self._earlier)
        await earlier.aclose({client for each in rest for client in each.clients})
        redactor = self.telemetry.redactor
        redactor.forget(secrets(earlier.loaded.config))
        for each in rest:
            redactor.register(secrets(each.loaded.config))

    def current(self) -> Surface:
        """The surface in force."""
        return self._now.surface

    def app(self, control: Control | None = None, health: Health | None = None) -> Adapter:
        """The ASGI application for callers. A server that knows lifespans starts and stops us.

        Args:
            control: What callers find who come in by a listener for admins.
            health: What tells how the gateway fares, if more than this process knows.
        """
        told = health or self.watch()
        routes = doors(self.current, told, self._new_id, time.monotonic, control)
        return self._application(routes)

    def control_app(
        self,
        control: Control,
        health: Health | None = None,
        more: Mapping[str, Methods] | None = None,
    ) -> Adapter:
        """The ASGI application for the control socket, whose callers need no key.

        Who may open it may stop the gateway and read its log.

        Args:
            control: What controls it.
            health: As for `app`.
            more: Further doors, by path.
        """
        return self._application(
            control_doors(
                self._unlocked,
                (health or self.watch(), control, more or {}),
                self._new_id,
                time.monotonic,
            )
        )

    def models(self) -> list[OfferedModel]:
        """What can be asked for, without asking any provider."""
        return [
            OfferedModel(row.id, row.targets, row.context_tokens, self._price(row.targets))
            for row in self.current().rows(ANONYMOUS)
        ]

    async def chat(
        self, model: str, messages: Sequence[Mapping[str, object]], **options: object
    ) -> Response:
        """Ask in this process; the whole answer in neutral form.

        Args:
            model: As a caller would name it.
            messages: As in OpenAI's chat completions.
            options: Any other field of such a request, but `stream`.

        Raises:
            GatewayError: Nobody answered, or the request is not one.
        """
        reply = await self._send({"model": model, "messages": messages, **options})
        return await reply.response()

    async def chat_stream(self, model: str, prompt: str) -> AsyncGenerator[str]:
        """Ask one question in this process; the answer's text as it comes.

        Whoever does not read it to the end must `aclose` it.

        Raises:
            GatewayError: Nobody answered, or the answer broke off.
        """
        messages = [{"role": "user", "content": prompt}]
        reply = await self._send({"model": model, "messages": messages, "stream": True})
        in_text = False
        async with aclosing(reply.events()) as events:
            async for event in events:
                match event:
                    case PartStart(part=part):
                        in_text = isinstance(part, Text)
                        if isinstance(part, Text) and part.text:
                            yield part.text
                    case PartDelta(text=text) if in_text and text:
                        yield text
                    case Fail(failure=failure):
                        raise error_of(failure)
                    case _:
                        pass

    async def check(self) -> list[TargetStatus]:
        """Ask every provider whether it would answer."""
        found = [TargetStatus("modelmux/echo", ok=True, detail="built in")]
        for host in self._built.hosts:
            error = await _probe(host)
            if error is None:
                status = TargetStatus(host.name, ok=True, detail=f"{host.endpoint.origin} answers")
            else:
                fix = "check base_url, the key and the network between"
                status = TargetStatus(host.name, ok=False, detail=error.message, fix=fix)
            found.append(status)
        return found

    def status(self) -> Status:
        """What `modelmux status` shows."""
        health = self.telemetry.metrics.health()
        now = time.monotonic()
        return Status(
            pid=os.getpid(),
            version=__version__,
            started_at=self._started_at.isoformat(),
            loaded_at=self._loaded_at.isoformat(),
            reload_failure=self.reload_failure,
            listen=self.listening,
            config_sources=[str(source.path) for source in self.loaded.sources if source.found],
            in_flight=self.telemetry.metrics.in_flight,
            requests_total=int(health["total_requests"]),
            failures_total=int(health["failed_requests"]),
            draining=self.draining,
            providers=[
                ProviderStatus(ring.name, ring.usable(now), ring.total)
                for ring in self._built.rings
            ],
            targets=fleet.statuses(self._lasting.health),
        )

    def log_access(self) -> Log:
        """The log's end and what comes after it, for the control socket."""
        log = self.telemetry.log

        def recent(count: int) -> Sequence[str]:
            log.flush()  # lines of a moment ago may still be gathering
            return log.recent(count)

        return Log(recent, log.follow)

    def explain(self, call: Call) -> Explanation:
        """Whom `call` would go to, and why; nobody is asked."""
        return explain(self.current().registry, call, self._built.regions.of_call(call))

    def _check_health(self) -> None:
        """Ask providers as the configuration in force says."""
        said = self.loaded.config.routing.health_check
        if said.enabled:
            self._checks.start(said.interval_s)
        else:
            self._checks.stop()

    def _probes(self) -> Iterator[tuple[str, Probe]]:
        for host in self._built.hosts:
            yield host.name, partial(_probe, host)

    def _price(self, targets: tuple[str, ...]) -> Price | None:
        return self._built.price(targets[0]) if targets else None

    async def _send(self, body: Mapping[str, object]) -> Reply:
        raw = msgspec.json.encode(body)
        wire = openai_chat.WIRE
        envelope = wire.envelope(raw)
        call = Call(wire, raw, envelope, id=self._new_id())
        call.meter.started = time.monotonic()
        return await self.current().registry.route(call).send(call)

    def _unlocked(self) -> Surface:
        """The surface in force, as it is without any keys."""
        now = self.current()
        return Surface(
            now.registry,
            Keyring({}),
            now.streaming,
            now.journal,
            now.rows,
            load=now.load,
            debug=now.debug,
        )

    async def _start(self) -> None:
        self.start()

    def _application(self, routes: Routes) -> Adapter:
        limit = self.loaded.config.server.max_body_bytes
        lifespan = Lifespan(self._start, self.aclose)
        adapter = application(routes, limit, time.monotonic, lifespan)
        self._adapters.append(adapter)
        return adapter

    def watch(self) -> Health:
        """What tells how this process fares."""
        return Health(self.telemetry.metrics.health, self._readiness, self.metrics_text)

    def _readiness(self) -> Readiness:
        if self.draining and not self.successor:  # whoever asks means the address, not the process
            return Readiness(ready=False, reasons=("draining",))
        now = time.monotonic()
        rings = self._built.rings
        reasons = tuple(
            f"{ring.name}: no key can be used now" for ring in rings if not ring.usable(now)
        )
        health = self._lasting.health
        is_down = fleet.is_down(health, [ring.name for ring in rings])
        is_ready = not rings or (len(reasons) < len(rings) and not is_down)
        # Why is for whoever may open the control socket: these paths are open to everybody.
        told = (*reasons, *fleet.troubles(health))
        if self.reload_failure:
            told = (*told, _RELOAD_FAILED)
        return Readiness(is_ready, told)

    def metrics_text(self) -> bytes:
        """Its metrics, for Prometheus."""
        # At start it would take 50 ms, and most processes are never asked.
        from modelmux.telemetry.exposition import Connections, Exposition  # noqa: PLC0415

        if self._exposition is None:
            self._exposition = Exposition(
                self.telemetry.metrics,
                connections=lambda: [
                    Connections(name, counters.open - counters.idle, counters.idle)
                    for name, counters in self._built.connections()
                ],
                health=self._lasting.health,
                queues=lambda: [(gate.name, gate.figures) for gate in self._built.admissions],
                dropped_log_lines=lambda: self.telemetry.log.dropped,
                version=__version__,
            )
        return self._exposition.text()


async def _probe(host: Host) -> TargetError | None:
    # Lists of models are part of the APIs that have a `/models` beside their operations.
    return await probe(host, lists_models=not host.endpoint.has_models_in_paths)
