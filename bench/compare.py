"""The same work through other gateways: `python -m bench.compare --help`.

They are not installed by this project. Give the folders they are in:

    python -m venv DIR && DIR/bin/pip install 'litellm[proxy]'     --litellm DIR
    npm install --prefix DIR @portkey-ai/gateway                   --portkey DIR

Each runs as one process on one core with its own defaults for production, keys on where it has
them, and is asked for the same whole answers as modelmux and nginx.
"""

import argparse
import contextlib
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bench import endurance, machine, process, report, scenario
from bench.__main__ import default_command, run_safely, session
from bench.figure import Row, Spread
from bench.fixture import CALLER_KEY
from bench.load import Plan
from bench.server import PASSTHROUGH, Door, Launch, Program, launch_nginx, launch_program
from bench.session import Session, say

_LITELLM = """
model_list:
  - model_name: {openai_model}
    litellm_params:
      model: openai/{openai_model}
      api_base: http://{upstream}/v1
      api_key: {openai_key}
general_settings:
  master_key: {caller_key}
litellm_settings:
  telemetry: false
"""
MEMORY = endurance.figure("memory.worked", "memory after this work (RSS)", "MB", "Start and memory")


def litellm(folder: Path) -> Program | None:
    """`None`: not installed there."""
    program = folder / "bin" / "litellm"
    if not program.exists():
        return None
    return Program(
        name="litellm",
        command=f"{program} --config {{config}} --host 127.0.0.1 --port {{port}} --num_workers 1",
        config=_LITELLM,
        config_name="litellm.yaml",
        ready_path="/health/liveliness",
        credential=CALLER_KEY,
        translates=False,
        compresses=True,
        environment={
            # Without these it fetches its price list from the network, and logs each call.
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
        },
    )


def portkey(folder: Path) -> Program | None:
    """`None`: not installed there. It has no keys of its own: the caller shows the provider's."""
    program = folder / "node_modules/@portkey-ai/gateway/build/start-server.js"
    node = shutil.which("node")
    if not program.exists() or node is None:
        return None
    return Program(
        name="portkey",
        command=f"{node} {program} --headless --port={{port}}",
        config="",
        ready_path="/",
        credential="",
        translates=False,
        headers=["x-portkey-provider: openai", "x-portkey-custom-host: http://{upstream}/v1"],
        environment={"NODE_ENV": "production"},
    )


def measure(bench: Session, launches: Sequence[Launch], rounds: int) -> None:
    """All of them in turn, one at a time: some use memory and CPU while they do nothing."""
    saturated = Plan(connections=32, warmup_s=2, duration_s=bench.seconds(5, 2), sample_every=97)
    alone = Plan(connections=1, warmup_s=1, duration_s=bench.seconds(3, 1), sample_every=97)
    for number in range(rounds):
        for launch in launches:
            with contextlib.ExitStack() as stack:
                door, ready_s = launch(bench.site("compare"))
                stack.callback(endurance.stop, door)
                _measure_one(bench, door, ready_s, saturated, alone)
            say(f"round {number + 1}/{rounds}  {door.name}")


def _measure_one(bench: Session, door: Door, ready_s: float, saturated: Plan, alone: Plan) -> None:
    note = bench.ledger.note
    note(endurance.START, door.name, ready_s)
    time.sleep(1)
    note(endurance.IDLE_MEMORY, door.name, process.memory(door.tree()).rss_bytes / 1e6)
    scenario.saturate(bench, [door], PASSTHROUGH, saturated)
    scenario.add_latency(bench, [door], PASSTHROUGH, scenario.alone(alone))
    note(MEMORY, door.name, process.memory(door.tree()).rss_bytes / 1e6)


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """A Markdown table: each value with how many times nginx's it is."""
    columns = [name for name in report.servers(rows) if name != "direct"]
    yield f"| | {' | '.join(columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    for row in rows:
        base = row.by_server.get("nginx")
        cells = [_cell(row.by_server.get(name), base, row.figure.digits) for name in columns]
        yield f"| {row.figure.title} ({row.figure.unit}) | {' | '.join(cells)} |"


def _cell(spread: Spread | None, base: Spread | None, digits: int) -> str:
    if spread is None:
        return "-"
    middle = report.number(spread.median, digits)
    if base is None or base is spread or not base.median:
        return middle
    return f"{middle} ({spread.median / base.median:.3g}x)"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--litellm", type=Path, metavar="DIR", help="its virtual environment")
    parser.add_argument("--portkey", type=Path, metavar="DIR", help="where npm installed it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--priority", action="store_true", help="before all other processes")
    chosen = parser.parse_args(arguments)
    if chosen.priority:
        machine.raise_priority()
    nginx = machine.find("nginx", "what everything is compared with")
    launches = [
        launch_nginx(nginx),
        launch_program(Program(name="modelmux", command=default_command())),
    ]
    for name, find in (("litellm", litellm), ("portkey", portkey)):
        folder = getattr(chosen, name)
        program = find(folder.resolve()) if folder else None
        if program is None:
            print(f"{name}: not installed{f' in {folder}' if folder else f', see --{name}'}")
        else:
            launches.append(launch_program(program))
    with session(quick=chosen.quick) as bench:
        measure(bench, launches, chosen.rounds)
        rows = bench.ledger.rows()
    print("\n".join(lines(rows)))
    print("\n".join(report.quiet_lines(bench.windows)))
    if chosen.json:
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(run_safely(main))
