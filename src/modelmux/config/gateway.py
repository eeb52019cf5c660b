"""A gateway in this process: built from a configuration, started, asked, closed."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec import Struct

from modelmux import __version__
from modelmux.config.build import Telemetry, new_ids, surface
from modelmux.config.load import Loaded
from modelmux.ingress.app import application, control_doors, doors
from modelmux.ingress.asgi import Adapter, Lifespan
from modelmux.ingress.auth import Keyring
from modelmux.ingress.control import Control, Log, ProviderStatus, Status
from modelmux.ingress.health import Health, Readiness
from modelmux.ingress.routes import Routes
from modelmux.ingress.surface import Surface
from modelmux.ir.events import Fail, PartDelta, PartStart
from modelmux.ir.parts import Text
from modelmux.ir.response import Response
from modelmux.provider.price import Price
from modelmux.provider.probe import probe
from modelmux.target.call import ANONYMOUS, Call
from modelmux.target.failures import error_of
from modelmux.target.reply import Reply
from modelmux.telemetry.output import Output
from modelmux.wire import openai_chat

if TYPE_CHECKING:
    from modelmux.telemetry.exposition import Exposition


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
    """One configuration at work. For one event loop; use it as an asynchronous context manager."""

    def __init__(self, loaded: Loaded, *, output: Output | None = None) -> None:
        """Build it; nothing is connected or started.

        Args:
            loaded: The configuration.
            output: Where the log goes; stderr if not given.

        Raises:
            ConfigError: The configuration says what cannot be built.
        """
        self.loaded = loaded
        self.telemetry = Telemetry(loaded.config, output=output)
        self._surface, self._built = surface(loaded, self.telemetry)
        self._new_id = new_ids()
        self._started_at = datetime.now(UTC)
        self._exposition: Exposition | None = None
        self.draining = False
        self.listening: Sequence[str] = ()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.aclose()

    def start(self) -> None:
        """Begin to write the log in batches."""
        self.telemetry.log.start(asyncio.get_running_loop().call_later)

    async def aclose(self) -> None:
        """Close every connection, and write the rest of the log."""
        await self._built.aclose()
        self.telemetry.log.close()

    def current(self) -> Surface:
        """The surface in force."""
        return self._surface

    def app(self, control: Control | None = None) -> Adapter:
        """The ASGI application for callers. A server that knows lifespans starts and stops us.

        Args:
            control: What callers find who come in by a listener for admins.
        """
        routes = doors(self.current, self._health(), self._new_id, time.monotonic, control)
        return self._application(routes)

    def control_app(self, control: Control) -> Adapter:
        """The ASGI application for the control socket, whose callers need no key.

        Who may open it may stop the gateway and read its log.
        """
        return self._application(
            control_doors(self._unlocked, self._health(), control, self._new_id, time.monotonic)
        )

    def models(self) -> list[OfferedModel]:
        """What can be asked for, without asking any provider."""
        return [
            OfferedModel(row.id, row.targets, row.context_tokens, self._price(row.targets))
            for row in self._surface.rows(ANONYMOUS)
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
            # Lists of models are part of the APIs that have a `/models` beside their operations.
            error = await probe(host, lists_models=not host.endpoint.has_models_in_paths)
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
        )

    def log_access(self) -> Log:
        """The log's end and what comes after it, for the control socket."""
        log = self.telemetry.log

        def recent(count: int) -> Sequence[str]:
            log.flush()  # lines of a moment ago may still be gathering
            return log.recent(count)

        return Log(recent, log.follow)

    def _price(self, targets: tuple[str, ...]) -> Price | None:
        return self._built.price(targets[0]) if targets else None

    async def _send(self, body: Mapping[str, object]) -> Reply:
        raw = msgspec.json.encode(body)
        wire = openai_chat.WIRE
        envelope = wire.envelope(raw)
        call = Call(wire, raw, envelope, id=self._new_id())
        call.meter.started = time.monotonic()
        return await self._surface.registry.resolve(envelope.model, ANONYMOUS).send(call)

    def _unlocked(self) -> Surface:
        """The surface in force, as it is without any keys."""
        now = self._surface
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
        return application(routes, limit, time.monotonic, lifespan)

    def _health(self) -> Health:
        return Health(self.telemetry.metrics.health, self._readiness, self._metrics)

    def _readiness(self) -> Readiness:
        if self.draining:
            return Readiness(ready=False, reasons=("draining",))
        now = time.monotonic()
        rings = self._built.rings
        reasons = tuple(
            f"{ring.name}: no key can be used now" for ring in rings if not ring.usable(now)
        )
        return Readiness(not rings or len(reasons) < len(rings), reasons)

    def _metrics(self) -> bytes:
        # At start it would take 50 ms, and most processes are never asked.
        from modelmux.telemetry.exposition import Connections, Exposition  # noqa: PLC0415

        if self._exposition is None:
            self._exposition = Exposition(
                self.telemetry.metrics,
                connections=lambda: [
                    Connections(name, counters.open - counters.idle, counters.idle)
                    for name, counters in self._built.connections()
                ],
                queues=lambda: [(gate.name, gate.figures) for gate in self._built.admissions],
                dropped_log_lines=lambda: self.telemetry.log.dropped,
                version=__version__,
            )
        return self._exposition.text()
