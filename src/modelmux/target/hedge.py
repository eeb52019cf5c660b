"""Ask a second target where the first is slower than it mostly is: the first answer wins.

The other one is cancelled at once, which ends its exchange upstream. Its record says so, and that
it cost nothing that is known of: the call is billed once.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from modelmux.errors import GatewayError, TargetError
from modelmux.target.call import Call, Meter
from modelmux.target.candidate import Candidate
from modelmux.target.choice import Choice
from modelmux.target.counts import ChoiceCounts
from modelmux.target.reply import Reply

MIN_SAMPLES: Final = 20
"""Without so many answers nobody knows how slow is slow."""

BURST: Final = 10.0
"""Most hedges that are ever saved up."""


class HedgePolicy(Struct, frozen=True):
    """When a second one is asked."""

    percentile: float = 0.95
    """After the time that this share of the last answers took to begin: of the target's own, or of
    most others', if those are quicker."""
    min_delay_s: float = 0.05
    """Never sooner."""
    max_delay_s: float = 60.0
    """Never later, once there are samples."""
    budget: float = 0.1
    """Most hedges for each call, over time: a provider that slows down must not get twice as
    many calls."""


class Hedge:
    """Races two candidates. Shared by all calls for a name; for one event loop."""

    def __init__(
        self, policy: HedgePolicy, now: Callable[[], float], counts: ChoiceCounts | None = None
    ) -> None:
        """Hedge by `policy`; `now` is the event loop's clock, `counts` those of the process."""
        self.policy = policy
        self.counts = counts or ChoiceCounts()
        self._now = now
        self._saved = 1.0

    def delay_s(
        self, call: Call, first: Candidate, candidates: Sequence[Candidate]
    ) -> float | None:
        """How long the first may take before another is asked; `None`: as long as it likes."""
        stream, share = call.envelope.stream, self.policy.percentile
        known = [each.health.latency(stream=stream) for each in candidates]
        usual_s = sorted(each.percentile(share) for each in known if each.count >= MIN_SAMPLES)
        if not usual_s:
            return None
        # A target that has become slow as a whole is not to be waited for as long as it likes.
        limit_s = usual_s[(len(usual_s) - 1) // 2]
        own = first.health.latency(stream=stream)
        if own.count >= MIN_SAMPLES:
            limit_s = min(limit_s, own.percentile(share))
        return min(max(limit_s, self.policy.min_delay_s), self.policy.max_delay_s)

    async def send(self, call: Call, first: Candidate, choice: Choice) -> Reply:
        """The answer of `first`, or of the next that is chosen.

        Raises:
            GatewayError: The first failed in time, or both of them failed.
        """
        self._saved = min(BURST, self._saved + self.policy.budget)
        delay_s = self.delay_s(call, first, choice.candidates)
        if delay_s is None or self._saved < 1.0:
            return await first.target.send(call.step(may_wait=False))
        started = self._now()
        try:
            return await self._race(call, first, choice, delay_s)
        finally:
            call.meter.waited_s += self._now() - started

    async def _race(self, call: Call, first: Candidate, choice: Choice, delay_s: float) -> Reply:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(_attempt(call, first))]
        try:
            await asyncio.wait(tasks, timeout=delay_s)
            if not tasks[0].done() and (second := choice.next()) is not None:
                self._saved -= 1.0
                self.counts.hedges += 1
                tasks.append(loop.create_task(_attempt(call, second)))
            winner = await _first_answer(tasks)
        except BaseException:
            await _give_up(tasks)
            raise
        await _give_up([task for task in tasks if task is not winner])
        if len(tasks) > 1 and winner is tasks[1]:
            self.counts.hedges_won += 1
        answer = winner.result()
        attempts = sum(_attempts(task) for task in tasks if task is not winner)
        if isinstance(answer, Reply | TargetError):
            answer.attempts += attempts
        if isinstance(answer, GatewayError):
            raise answer
        return answer


_Attempt = asyncio.Task[Reply | GatewayError]


async def _attempt(call: Call, candidate: Candidate) -> Reply | GatewayError:
    """One try, as a step of its own: two at once would both say that the caller waited."""
    step = call.step(may_wait=False)
    step.meter = Meter()
    try:
        return await candidate.target.send(step)
    except GatewayError as exc:
        return exc


async def _first_answer(tasks: list[_Attempt]) -> _Attempt:
    """The task that answered first; where none did, the one that failed last."""
    pending = set(tasks)
    while True:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task in done and (not pending or isinstance(task.result(), Reply)):
                return task


async def _give_up(tasks: list[_Attempt]) -> None:
    """Cancel what is under way, and close what came of the rest."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if task.cancelled() or task.exception() is not None:
            continue
        if isinstance(reply := task.result(), Reply):
            await reply.aclose()


def _attempts(task: _Attempt) -> int:
    """How often a target was tried by a task that did not win."""
    if task.cancelled():
        return 1
    result = task.result()
    return result.attempts if isinstance(result, Reply | TargetError) else 0
