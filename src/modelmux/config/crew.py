"""The workers of a gateway: started, kept running, asked, and told.

Theory of operation. The supervisor holds the listening sockets and serves nobody; every worker has
all of them, and the kernel gives a new connection to a worker that waits for one. What all have to
do, such as taking another configuration over, each is asked for at a socket of its own; that
socket is the supervisor's too, so it outlives its worker. A worker that ends has another in its
place, at once if it had served for a while, and later each time if not.
"""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from math import floor
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from modelmux.config.gateway import Gateway
from modelmux.config.listening import Change, Listening
from modelmux.config.paths import directories, private_directory
from modelmux.config.schema import Config
from modelmux.config.worker import LENGTH_BYTES, READY, Assignment, Given
from modelmux.errors import ConfigError, GatewayError
from modelmux.ingress import listen
from modelmux.ingress.address import UnixAddress
from modelmux.ingress.control import Problem, Status, WorkerStatus
from modelmux.ingress.entrance import Entrance
from modelmux.ingress.relay import Relay
from modelmux.telemetry.merge import merged
from modelmux.transport.process import Child, how_it_ended

FIRST_DELAY_S: Final = 0.1
MAX_DELAY_S: Final = 10.0
"""Between the end of a worker and the start of the next, where they end again and again."""

STEADY_S: Final = 10.0
"""Who has lived for so long was in order: the next one starts at once."""

ORDER_S: Final = 5.0
"""How long a worker may take to hear what it is told to do."""

KILL_AFTER_S: Final = 10.0
"""How long beyond its draining a worker may take to end."""


class _Health(Struct):
    """What `GET /health` says."""

    metrics: dict[str, float]


_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


class Worker:
    """A place for a worker, and who has it."""

    def __init__(self, number: int, control: listen.Listener, path: Path) -> None:
        """Begin without a process."""
        self.number = number
        self.control = control
        self.relay = Relay(path)
        self.child: Child | None = None
        self.channel: socket.socket | None = None
        self.ready = asyncio.Event()
        self.restarts = 0
        self.delay_s = 0.0
        self.last_metrics = b""
        self.last_health: Mapping[str, float] = {}


class Crew:
    """All workers of one gateway. For one event loop."""

    def __init__(self, gateway: Gateway, listening: Listening, on_stop: Callable[[], None]) -> None:
        """Prepare; no process is started.

        Args:
            gateway: The supervisor's own, whose configuration the workers have.
            listening: Where they listen.
            on_stop: Called at the first word to stop.
        """
        self.changing = asyncio.Lock()
        self.drain_timeout_s = gateway.loaded.config.server.drain_timeout_s
        self.read_timeout_s = 0.0
        """The workers see to it."""
        self._gateway = gateway
        self._listening = listening
        self._on_stop = on_stop
        self._folders = directories()
        self._control_path = self._folders.control_socket(os.getpid())
        self._workers: list[Worker] = []
        self._ended: list[bytes] = []
        self._ended_health: Mapping[str, float] = {}
        self._sockets: dict[Entrance, socket.socket] = {}
        self._orders: asyncio.Queue[str] = asyncio.Queue()
        self._has_served = asyncio.Event()
        self._is_stopping = False

    async def serve_at(self, sockets: Sequence[tuple[socket.socket, Entrance]]) -> None:
        """Keep every place taken until told to stop; returns once all workers have ended.

        Raises:
            ConfigError: There is no place for the workers' own sockets, or a worker ended before
                any had served.
        """
        for sock, entrance in sockets:
            self._sockets[entrance] = sock
        self._make_places(self._gateway.loaded.config.server.workers)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        try:
            async with asyncio.TaskGroup() as group:
                giving = group.create_task(self._give_orders())
                group.create_task(self._wait_served())
                keeping = [group.create_task(self._keep(worker)) for worker in self._workers]
                await asyncio.wait(keeping)
                if self._is_stopping:  # perhaps before all served: nobody is to wait for that
                    self._has_served.set()
                giving.cancel()
        except* ConfigError as failures:
            raise ConfigError(str(failures.exceptions[0]), hint="the log says why") from None
        finally:
            for worker in self._workers:
                if worker.child is not None:
                    worker.child.kill()
                    await worker.child.wait()
                self._leave(worker)
                worker.control.close()
                await worker.relay.aclose()

    async def wait_ready(self) -> None:
        """Return once every worker serves."""
        await self._has_served.wait()

    def stop(self, *, now: bool = False) -> None:
        """Let the workers end with their calls; at once if it is said twice, or `now`."""
        now = now or self._is_stopping
        self._begin_to_stop()
        self._orders.put_nowait(f"/control/stop?now={int(now)}")
        for sock in self._sockets.values():
            sock.close()  # or whoever comes would wait for somebody to let them in

    def hand_over(self) -> None:
        """Stop, where another process goes on serving the same sockets."""
        self._begin_to_stop()
        self._orders.put_nowait("/worker/hand-over")

    async def open(self, sock: socket.socket, entrance: Entrance) -> None:
        """Hold one more socket, which the workers serve."""
        self._sockets[entrance] = sock

    async def leave(self, entrance: Entrance) -> None:
        """Hold one no more; the workers end what came in by it."""
        self._sockets.pop(entrance).close()

    async def prepare(self, config: Config) -> None:
        """Have every worker build what `config` is made of. Raises `ConfigError` if one cannot."""
        body = msgspec.msgpack.encode(config)
        for status, said in await self._ask("POST", "/worker/prepare", body):
            if status == 422:
                problems = msgspec.json.decode(said, type=list[Problem])
                raise ConfigError("; ".join(each.message for each in problems))

    async def adopt(self, change: Change) -> None:
        """Have every worker put in force what it has prepared, at the listeners there are now."""
        opened = [each.listener for each in change.opened]
        fds = [listener.socket.fileno() for listener in opened]
        given = self._given(new=set(map(id, opened)))
        body = msgspec.msgpack.encode(given)
        for worker in self._workers:
            if fds and worker.channel is not None:
                with suppress(OSError):  # it has just ended: the next one begins with these
                    socket.send_fds(worker.channel, [b"F"], fds)
        await self._ask("POST", "/worker/adopt", body)

    async def metrics(self) -> bytes:
        """The metrics of all processes together."""
        texts = [self._gateway.metrics_text()]
        for worker in self._workers:
            with suppress(GatewayError):
                _, worker.last_metrics = await worker.relay.ask("GET", "/metrics")
                texts.append(worker.last_metrics)
        return merged(texts, self._ended)

    async def health(self) -> Mapping[str, float]:
        """The counters of `/health` of all processes together."""
        told = [self._gateway.telemetry.metrics.health(), self._ended_health]
        for worker in self._workers:
            with suppress(GatewayError):
                _, said = await worker.relay.ask("GET", "/health")
                worker.last_health = msgspec.json.decode(said, type=_Health).metrics
                told.append(worker.last_health)
        return together(told)

    async def status(self) -> Status:
        """The state of all processes together."""
        own = self._gateway.status()
        told: list[tuple[Worker, Status]] = []
        for worker in self._workers:
            with suppress(GatewayError):
                _, said = await worker.relay.ask("GET", "/control/status")
                told.append((worker, msgspec.json.decode(said, type=Status)))
        statuses = [status for _, status in told]
        health = await self.health()
        providers = [
            msgspec.structs.replace(each, keys_usable=min(column, default=each.keys_usable))
            for index, each in enumerate(own.providers)
            for column in [
                [s.providers[index].keys_usable for s in statuses if index < len(s.providers)]
            ]
        ]
        return msgspec.structs.replace(
            own,
            in_flight=sum(each.in_flight for each in (own, *statuses)),
            requests_total=int(health["total_requests"]),
            failures_total=int(health["failed_requests"]),
            providers=providers,
            workers=[
                WorkerStatus(status.pid, status.in_flight, status.requests_total, worker.restarts)
                for worker, status in told
            ],
        )

    async def recent(self, count: int) -> Sequence[str]:
        """The last lines of all logs together, in the order of time."""
        lines = list(self._gateway.log_access().recent(count))
        for status, said in await self._ask("GET", f"/control/logs?lines={count}"):
            if status == 200:
                lines += said.decode(errors="replace").splitlines()
        return sorted(lines, key=_time)[-count:] if count else []

    async def follow(self) -> AsyncGenerator[bytes]:
        """Lines of all logs as they are written."""
        pieces: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1000)

        async def own() -> None:
            async for line in self._gateway.log_access().follow():
                await pieces.put(f"{line}\n".encode())

        async def of(worker: Worker) -> None:
            while True:
                await worker.ready.wait()
                with suppress(GatewayError):
                    target = "/control/logs?lines=0&follow=1"
                    response = await worker.relay.send("GET", target)
                    try:
                        async for piece in response:
                            await pieces.put(piece)
                    finally:
                        await response.aclose()
                await asyncio.sleep(FIRST_DELAY_S)

        # No task group: whoever reads may stop in the middle, and that is no error.
        tasks = [asyncio.ensure_future(each) for each in (own(), *map(of, self._workers))]
        try:
            while True:
                yield await pieces.get()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _make_places(self, count: int) -> None:
        private_directory(self._folders.runtime)
        for number in range(1, count + 1):
            path = self._control_path.with_name(f"worker-{os.getpid()}-{number}.sock")
            (control,) = listen.open_one(UnixAddress(str(path)))
            self._workers.append(Worker(number, control, path))

    async def _wait_served(self) -> None:
        for worker in self._workers:
            await worker.ready.wait()
        self._has_served.set()

    def _begin_to_stop(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._on_stop()

    async def _give_orders(self) -> None:
        """Tell every worker what is ordered, and end those who do not do it in time."""
        loop = asyncio.get_running_loop()
        while True:
            target = await self._orders.get()
            async with asyncio.TaskGroup() as group:
                for worker in self._workers:
                    group.create_task(self._order(worker, target))
            loop.call_later(self.drain_timeout_s + KILL_AFTER_S, self._kill)

    async def _order(self, worker: Worker, target: str) -> None:
        with suppress(GatewayError, TimeoutError):
            async with asyncio.timeout(ORDER_S):
                await worker.relay.ask("POST", target)
                return
        if worker.child is not None:
            worker.child.terminate()

    def _kill(self) -> None:
        for worker in self._workers:
            if worker.child is not None:
                worker.child.kill()

    async def _keep(self, worker: Worker) -> None:
        log = self._gateway.telemetry.log
        loop = asyncio.get_running_loop()
        while not self._is_stopping:
            async with self.changing:  # it begins with what is in force, and no later
                self._start(worker)
            child, began = worker.child, loop.time()
            if child is None:
                raise AssertionError("a worker was started")
            code = await child.wait()
            was_ready = worker.ready.is_set()
            worker.ready.clear()
            self._leave(worker)
            if self._is_stopping:
                return
            how = how_it_ended(code)
            if not was_ready and not self._has_served.is_set():
                raise ConfigError(f"a worker {how} before it served")
            worker.restarts += 1
            steady = loop.time() - began >= STEADY_S
            delay_s = 0.0 if steady else min(max(FIRST_DELAY_S, 2 * worker.delay_s), MAX_DELAY_S)
            worker.delay_s = delay_s
            log.event(
                "error",
                f"a worker {how}; another takes its place in {delay_s:g} s",
                worker=worker.number,
                pid=child.pid,
            )
            await asyncio.sleep(delay_s)

    def _start(self, worker: Worker) -> None:
        ours, theirs = socket.socketpair()
        given = self._given()
        fds = [theirs.fileno(), worker.control.socket.fileno()]
        fds += [fd for each in given for fd in each.fds]
        assignment = Assignment(
            self._gateway.loaded.config,
            given,
            worker.control.socket.fileno(),
            str(self._control_path),
        )
        argv = [sys.executable, "-m", "modelmux.config.worker", str(theirs.fileno())]
        worker.child = Child(argv, environ=os.environ, fds=fds)
        theirs.close()
        worker.channel = ours
        said = msgspec.msgpack.encode(assignment)
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        left = memoryview(len(said).to_bytes(LENGTH_BYTES) + said)

        def write() -> None:
            nonlocal left
            try:
                left = left[ours.send(left) :]
            except BlockingIOError:
                return
            except OSError:
                left = left[:0]
            if not left:
                loop.remove_writer(ours.fileno())

        def read() -> None:
            try:
                data = ours.recv(1)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if data == READY:
                worker.ready.set()
            elif not data:
                loop.remove_reader(ours.fileno())

        loop.add_writer(ours.fileno(), write)
        loop.add_reader(ours.fileno(), read)

    def _leave(self, worker: Worker) -> None:
        """What remains of a worker that has ended."""
        channel, worker.channel = worker.channel, None
        if channel is not None:
            loop = asyncio.get_running_loop()
            loop.remove_writer(channel.fileno())
            loop.remove_reader(channel.fileno())
            channel.close()
        if worker.last_metrics:
            # What has been counted once does not count down because a process is gone.
            self._ended = [merged([], [*self._ended, worker.last_metrics])]
            worker.last_metrics = b""
        self._ended_health = together([self._ended_health, worker.last_health])
        worker.last_health = {}

    def _given(self, new: set[int] | None = None) -> tuple[Given, ...]:
        """The listeners there are: with their descriptors, or how many of them are new."""
        by_address: dict[str, Given] = {}
        for each in self._listening.standing:
            place, address = each.opened.place, str(each.opened.place.address)
            before = by_address.get(address)
            fds = before.fds if before is not None else ()
            count = before.count if before is not None else 0
            by_address[address] = Given(
                address,
                place.access,
                each.entrance.identity,
                (*fds, each.listener.socket.fileno()) if new is None else (),
                count + (new is not None and id(each.listener) in new),
            )
        return tuple(by_address.values())

    async def _ask(self, method: str, target: str, body: bytes = b"") -> list[tuple[int, bytes]]:
        """What each worker answers, of those that do."""

        async def ask(worker: Worker) -> tuple[int, bytes] | None:
            try:
                return await worker.relay.ask(method, target, body)
            except GatewayError:  # it has ended, and the next one begins with what is in force
                return None

        answers = await asyncio.gather(*(ask(worker) for worker in self._workers))
        return [answer for answer in answers if answer is not None]


def together(counters: Iterable[Mapping[str, float]]) -> Mapping[str, float]:
    """Counters of several processes as those of one, with the rate that follows from them."""
    total: dict[str, float] = {}
    for each in counters:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    answered, failed = total.get("successful_requests", 0), total.get("failed_requests", 0)
    all_ = answered + failed
    total["success_rate"] = float(floor(answered * 100 / all_ + 0.5)) if all_ else 100.0
    return total


def _time(line: str) -> str:
    found = _TIME.search(line[:64])
    return found[0] if found else ""
