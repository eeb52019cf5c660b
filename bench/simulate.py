"""What strategies do to calls when a target is slow, fails, flaps or limits: in virtual time.

    python -m bench.simulate [--seconds 120] [--rate 50] [STRATEGY…]

Four scripted targets answer calls that come at random times. The code that chooses is the gateway's
own; the clock is made up, so two minutes of traffic take less than a second, and the same seed
gives the same table. Each row is one strategy under one condition of the first target:

    shares      of the calls each target answered
    p50, p99    of the callers' time until an answer, in milliseconds
    suffered    calls whose first try failed or was slow, and that another target was asked for
    failed      calls that came to nothing: what callers see
    to it       failed tries that the first target was sent
"""

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from statistics import quantiles

from bench import virtual
from modelmux.config import strategies
from modelmux.errors import RateLimited, TargetError, Unreachable
from modelmux.ir.profile import Profile
from modelmux.ir.response import Response, Usage
from modelmux.layer.watch import Watch
from modelmux.target import affinity
from modelmux.target.balance import Balance
from modelmux.target.call import Call, Caller
from modelmux.target.candidate import Candidate, Traits
from modelmux.target.choice import Chooser
from modelmux.target.facts import World
from modelmux.target.health import BreakerPolicy, HealthBook
from modelmux.target.hedge import Hedge, HedgePolicy
from modelmux.target.regions import Region, Regions
from modelmux.target.reply import Reply
from modelmux.target.rules import compile_condition
from modelmux.wire import openai_chat

NAMES = ("a/m", "b/m", "c/m", "d/m")
WEIGHTS = (1.0, 1.0, 2.0, 4.0)
PRICES = (1, 2, 3, 4)
"""US dollars for a million tokens."""
REGIONS = ("eu", "eu", "us", "asia")
USUAL_S = 0.2
"""What an answer mostly takes to begin."""

STRATEGIES = (
    *("priority", "round_robin", "weighted", "least_connections", "latency", "cost"),
    *("availability", "geographic", "model_specific", "hybrid", "session", "hedge"),
)
CONDITIONS = ("well", "slow", "spiky", "failing", "dead", "flapping", "limited")


@dataclass
class Scripted:
    """A target that does what its condition says."""

    name: str
    condition: str
    rng: random.Random
    failures: int = 0
    """Tries of it that failed."""
    cancelled: int = 0
    _second: int = -1
    _in_second: int = 0

    async def send(self, call: Call) -> Reply:
        now = asyncio.get_running_loop().time()
        try:
            await self._answer(now)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        except TargetError as exc:
            self.failures += 1
            exc.target = self.name
            raise
        return Reply(Response("id", call.model, (), "stop", Usage(100, 100)), target=self.name)

    async def _answer(self, now: float) -> None:
        took_s = self.rng.lognormvariate(0.0, 0.4) * USUAL_S
        match self.condition:
            case "slow":
                took_s *= 10
            case "spiky" if self.rng.random() < 0.05:
                took_s *= 20
            case "failing":
                await asyncio.sleep(0.05)
                raise Unreachable("it broke before the first byte")
            case "dead":
                raise Unreachable("refused")
            case "flapping" if int(now / 10) % 2:
                raise Unreachable("refused")
            case "limited":
                self._limit(now)
            case _:
                pass
        await asyncio.sleep(took_s)

    def _limit(self, now: float) -> None:
        """Five calls a second, and then 429 until the next."""
        if int(now) != self._second:
            self._second, self._in_second = int(now), 0
        self._in_second += 1
        if self._in_second > 5:
            raise RateLimited("too many", status=429, retry_after_s=int(now) + 1 - now)


@dataclass
class Outcome:
    """What became of the calls of one run."""

    took_s: list[float] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)
    suffered: int = 0
    failed: int = 0
    targets: Sequence[Scripted] = ()
    hedged: int = 0

    @property
    def calls(self) -> int:
        return len(self.took_s) + self.failed

    def share(self, name: str) -> float:
        """Of the answers."""
        return self.answered[name] / max(1, len(self.took_s))

    def percentile_ms(self, percent: int) -> float:
        return quantiles(self.took_s, n=100)[percent - 1] * 1000


class Price:
    """So much for each token of a prompt."""

    def __init__(self, usd_per_million: int) -> None:
        self._usd = Decimal(usd_per_million) / 1_000_000

    def cost_usd(self, usage: Usage) -> Decimal | None:
        return usage.input_tokens * self._usd


def simulate(
    strategy: str,
    condition: str = "well",
    *,
    seconds: float = 60.0,
    rate: float = 50.0,
    policy: BreakerPolicy | None = None,
    seed: int = 1,
) -> Outcome:
    """What becomes of `rate` calls a second, `condition` being the first target's."""
    return virtual.run(_traffic(strategy, condition, seconds, rate, policy, seed))


async def _traffic(
    strategy: str,
    condition: str,
    seconds: float,
    rate: float,
    policy: BreakerPolicy | None,
    seed: int,
) -> Outcome:
    loop = asyncio.get_running_loop()
    rng = random.Random(seed)
    conditions = (condition, "well", "well", "well")
    targets = [Scripted(name, each, rng) for name, each in zip(NAMES, conditions, strict=True)]
    balance = _balance(strategy, targets, HealthBook(loop.time, policy), loop.time, rng)
    outcome = Outcome(targets=targets)
    end = loop.time() + seconds
    async with asyncio.TaskGroup() as tasks:
        number = 0
        while loop.time() < end:
            await asyncio.sleep(rng.expovariate(rate))
            number += 1
            tasks.create_task(_one(balance, _call(number), outcome, loop.time))
    if balance.hedge is not None:
        outcome.hedged = balance.hedge.counts.hedges
    return outcome


async def _one(balance: Balance, call: Call, outcome: Outcome, now: Callable[[], float]) -> None:
    started = now()
    try:
        reply = await balance.send(call)
    except TargetError:
        outcome.failed += 1
        return
    outcome.took_s.append(now() - started)
    outcome.answered[reply.target] += 1
    outcome.suffered += reply.attempts > 1
    await reply.response()


def _call(number: int) -> Call:
    image = b',{"type":"image_url","image_url":{"url":"https://x/y.png"}}' if number % 2 else b""
    body = (
        b'{"model":"m","user":"u%d","messages":[{"role":"user","content":'
        b'[{"type":"text","text":"Hello"}%s]}]}' % (number % 40, image)
    )
    wire = openai_chat.WIRE
    call = Call(wire, body, wire.envelope(body), caller=Caller(region="eu"), id=str(number))
    call.tags = {"parity": "odd" if number % 2 else "even"}
    return call


def _balance(
    strategy: str,
    targets: Sequence[Scripted],
    book: HealthBook,
    now: Callable[[], float],
    rng: random.Random,
) -> Balance:
    sees = Profile(input_modalities=frozenset({"image"}))
    blind = Profile(input_modalities=frozenset())
    rule = compile_condition('tags.parity == "odd"') if strategy == "hybrid" else None
    candidates = [
        Candidate(
            Watch(target, health=book.of(target.name), now=now),
            book.of(target.name),
            weight=weight,
            when=rule if index == 2 else None,
            traits=Traits(blind if index < 2 else sees, Price(price), frozenset({region})),
        )
        for index, (target, weight, price, region) in enumerate(
            zip(targets, WEIGHTS, PRICES, REGIONS, strict=True)
        )
    ]
    if strategy == "latency":  # by time alone
        for candidate in candidates:
            candidate.weight = 1.0
    word = {"hybrid": "round_robin", "session": "round_robin", "hedge": "round_robin"}
    made = strategies.named(word.get(strategy, strategy), "", now=now, rng=rng.random)
    if strategy == "session":
        made = affinity.Affinity(affinity.session, made)
    world = World(hour=lambda: 12)
    regions = Regions([Region("eu", near=("us", "asia"))])
    chooser = Chooser(
        tiers=[candidates],
        strategy=made,
        now=now,
        rng=rng.random,
        world=world,
        regions=regions,
        geographic=strategy == "geographic",
        by_capability=strategy == "model_specific",
        rules_first=strategy == "hybrid",
    )
    hedge = Hedge(HedgePolicy(), now) if strategy == "hedge" else None
    return Balance("m", chooser, hedge=hedge)


def table(names: Sequence[str], run: Callable[[str, str], Outcome]) -> str:
    """A line for each strategy and condition."""
    lines = [
        f"{'strategy':18} {'first target':12} {'shares a, b, c, d':>25} {'p50':>6} {'p99':>6}"
        f" {'suffered':>9} {'failed':>7} {'to it':>6}"
    ]
    for name in names:
        for condition in CONDITIONS:
            found = run(name, condition)
            shares = " ".join(f"{100 * found.share(target):5.1f}%" for target in NAMES)
            lines.append(
                f"{name:18} {condition:12} {shares:>25} {found.percentile_ms(50):6.0f}"
                f" {found.percentile_ms(99):6.0f} {100 * found.suffered / found.calls:8.2f}%"
                f" {100 * found.failed / found.calls:6.2f}% {found.targets[0].failures:6d}"
            )
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description=__doc__)
    parser.add_argument("strategies", nargs="*", metavar="STRATEGY", default=STRATEGIES)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=50.0, help="calls a second")
    chosen = parser.parse_args()
    run = partial(simulate, seconds=chosen.seconds, rate=chosen.rate)
    print(table(chosen.strategies or STRATEGIES, run))


if __name__ == "__main__":
    main()
