"""The command line of the benchmark: `python -m bench --help`."""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path

from bench import baseline, cached, compiled, endurance, machine, report, selftest
from bench.answer import WrongAnswer
from bench.fixture import CALLER_KEY
from bench.load import LoadFailed
from bench.scenario import SCENARIOS, Scenario
from bench.server import Door, Launch, Program, launch_nginx, launch_program, start_upstream
from bench.session import Session, say

ONCE = {
    "startup": endurance.startup,
    "memory": endurance.memory,
    "slow-streams": endurance.slow_streams,
    "slow-readers": endurance.slow_readers,
}
CACHE = "cache"
NAMES = [each.name for each in SCENARIOS] + [*ONCE, CACHE]
FULL_ROUNDS, QUICK_ROUNDS = 5, 2
FULL_S, QUICK_S = 480.0, 60.0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures the gateway beside nginx as a plain reverse proxy.",
        epilog=f"names: {' '.join(NAMES)}",
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="scenarios (all, if none is named)")
    add("--quick", action="store_true", help="about a minute, for a first impression")
    add("--rounds", type=int, help=f"interleaved rounds ({FULL_ROUNDS}; quick: {QUICK_ROUNDS})")
    add("--json", type=Path, metavar="FILE", help="write the result as JSON")
    add("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")
    add("--record", action="store_true", help=f"keep this run as {baseline.PATH.name}")
    add("--check", action="store_true", help=f"compare this run with {baseline.PATH.name}")
    add("--soak", type=float, metavar="MINUTES", help="nothing but a long mixed load")
    add("--selftest", action="store_true", help="test the benchmark itself: nginx against nginx")
    add("--priority", action="store_true", help="before all other processes of the machine (root)")
    add("--patience", type=float, metavar="S", help="wait so long in all for a quiet machine")
    add("--gateway-cmd", metavar="COMMAND", help="what to measure; {config} {port} {upstream}")
    add("--gateway-ready", default="/readyz", metavar="PATH", help="answers 200 when it can serve")
    add("--plain-proxy", action="store_true", help="the command only passes calls on, unchanged")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.names if name not in NAMES]
    if unknown:
        parser.error(f"unknown scenario {unknown[0]!r}; there are: {' '.join(NAMES)}")
    return chosen


@contextlib.contextmanager
def session(*, quick: bool) -> Generator[Session]:
    """Programs compiled, the mock upstream running; everything is gone afterwards."""
    cores = machine.choose_cores()
    with tempfile.TemporaryDirectory(prefix="bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        programs = compiled.build(folder)
        os.sched_setaffinity(0, {cores.driver})
        upstream = start_upstream(programs.upstream, folder, cores.driver)
        stack.callback(endurance.stop, upstream)
        bench = Session(
            folder=folder,
            programs=programs,
            cores=cores,
            upstream=upstream,
            quick=quick,
            attempts=1 if quick else 3,
        )
        if cores.shared:
            bench.notes.append("only one core: server and load compete, throughput means little")
        yield bench


def run_rounds(
    bench: Session, chosen: Sequence[Scenario], launches: Sequence[Launch], rounds: int
) -> None:
    """Each round starts its servers anew and changes who goes first."""
    for number in range(rounds):
        with contextlib.ExitStack() as stack:
            doors: list[Door] = []
            for launch in launches:
                door, _ = launch(bench.site("round"))
                stack.callback(endurance.stop, door)
                doors.append(door)
            ordered = doors if number % 2 == 0 else doors[::-1]
            for each in chosen:
                started = time.monotonic()
                each.measure(bench, ordered, each.work)
                took_s = time.monotonic() - started
                say(f"round {number + 1}/{rounds}  {each.name:24} {took_s:5.1f} s")


def run_once(
    bench: Session, names: Sequence[str], launches: Sequence[Launch], cache: Launch
) -> None:
    for name, measure in {**ONCE, CACHE: cached.hits}.items():
        if name in names:
            started = time.monotonic()
            measure(bench, [cache] if name == CACHE else launches)
            say(f"once       {name:24} {time.monotonic() - started:5.1f} s")


def main(arguments: Sequence[str]) -> int:
    chosen = parse(arguments)
    nginx = machine.find("nginx", "what everything is compared with")
    command = chosen.gateway_cmd or default_command()
    started = time.monotonic()
    if chosen.priority:
        machine.raise_priority()
    with session(quick=chosen.quick) as bench:
        limit_s = QUICK_S if chosen.quick else FULL_S
        patience_s = QUICK_S / 10 if chosen.quick else FULL_S / 10
        bench.patience_s = patience_s if chosen.patience is None else chosen.patience
        bench.deadline = started + limit_s / 2 + bench.patience_s
        program = Program(
            command=command,
            ready_path=chosen.gateway_ready,
            translates=not chosen.plain_proxy,
            credential="" if chosen.plain_proxy else CALLER_KEY,
        )
        gateway = launch_program(program)
        rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else FULL_ROUNDS)
        failed = 0
        if chosen.selftest:
            failed = selftest.run(bench, nginx, rounds)
        elif chosen.soak:
            rounds = 0
            endurance.soak(bench, gateway, chosen.soak)
        else:
            names = chosen.names or NAMES
            if chosen.plain_proxy:
                names = [name for name in names if name != CACHE]
            launches = [launch_nginx(nginx), gateway]
            rounded = [each for each in SCENARIOS if each.name in names]
            run_rounds(bench, rounded, launches, rounds if rounded else 0)
            caching = launch_program(replace(program, config=program.config + cached.CONFIG))
            run_once(bench, names, launches, caching)
        result = report.Report(
            machine=machine.describe(nginx, [command]),
            settings=report.Settings(
                rounds=rounds,
                quick=chosen.quick,
                server_core=bench.cores.server,
                driver_core=bench.cores.driver,
                seconds=time.monotonic() - started,
            ),
            rows=bench.ledger.rows(),
            windows=bench.windows,
            notes=bench.notes,
        )
    publish(result, chosen)
    return failed


def leave(number: int, _frame: object) -> None:
    """End in the ordinary way, so that what was started is stopped."""
    sys.exit(f"bench: ended by {signal.Signals(number).name}")


def publish(result: report.Report, chosen: argparse.Namespace) -> None:
    """Print the result and write what was asked for."""
    print(report.to_text(result))
    if chosen.json:
        chosen.json.write_bytes(report.to_json(result))
    if chosen.markdown:
        chosen.markdown.write_text(report.to_markdown(result))
    if chosen.check:
        recorded = baseline.read()
        lines = baseline.changes(result, recorded) if recorded else ["no run is recorded yet"]
        print("\n".join(lines))
    if chosen.record:
        baseline.record(result)
        print(f"recorded in {baseline.PATH}")


def default_command() -> str:
    """The gateway of this environment."""
    return f"{Path(sys.executable).parent}/modelmux serve -c {{config}}"


def run_safely(program: Callable[[Sequence[str]], int]) -> int:
    """Run it with the command line's arguments; what can go wrong becomes one message."""
    signal.signal(signal.SIGTERM, leave)
    try:
        return program(sys.argv[1:])
    except (LoadFailed, WrongAnswer, RuntimeError, OSError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(run_safely(main))
