"""Several targets as one: each call goes to the one that is chosen, and to others if it fails."""

from modelmux.errors import Limited, Rejected, TargetError, Unrepresentable
from modelmux.target import capability
from modelmux.target.call import Call
from modelmux.target.candidate import Candidate
from modelmux.target.choice import Choice, Chooser
from modelmux.target.facts import request_of
from modelmux.target.fallback import Failed, summary
from modelmux.target.hedge import Hedge
from modelmux.target.refusal import reason_of
from modelmux.target.reply import Reply


class Balance:
    """Sends a call to the candidate that its strategy chooses, and then to the next.

    A candidate is passed over when it fails in a way that another may not (`retryable`), when the
    call cannot be said to it, or when it refuses it for a reason that others would not have. The
    caller's other mistakes are nobody else's to answer. Nothing of this happens once an answer has
    begun: every candidate returns only then.

    One whose limits leave no room is passed over as long as another may have some. Where nobody
    has, the call waits for the one that says it will be the first.
    """

    def __init__(self, name: str, chooser: Chooser, *, hedge: Hedge | None = None) -> None:
        """Make one of the chooser's candidates.

        Args:
            name: What it is asked for as.
            chooser: Its candidates, and how they are chosen.
            hedge: Asks a second one where the first is slow.
        """
        self.name = name
        self.chooser = chooser
        self.hedge = hedge

    async def send(self, call: Call) -> Reply:
        """Answer `call`.

        Raises:
            PermissionDenied: Data must stay in a region, and nobody there may answer.
            Unrepresentable: None of the candidates takes such a call.
        """
        attempt = _Attempt(call, Choice(self.chooser, call))
        while (candidate := attempt.choice.next()) is not None:
            reply = await attempt.send(candidate, self.hedge)
            if reply is not None:
                return reply
        if call.may_wait:
            for candidate in attempt.soonest_first():
                reply = await attempt.wait_for(candidate)
                if reply is not None:
                    return reply
                if isinstance(attempt.failures[-1], Limited):
                    break  # it has waited as long as it may
        if attempt.failures:
            raise summary(attempt.failures, attempt.attempts)
        raise self._nobody(call)

    def _nobody(self, call: Call) -> Unrepresentable:
        """Why none of the candidates was asked."""
        request = request_of(call) if self.chooser.by_capability else None
        reasons: list[str] = []
        for each in (each for tier in self.chooser.tiers for each in tier):
            lacks = capability.missing(request, each.traits.profile) if request is not None else ""
            reasons.append(f"{each.name}: {lacks or 'its `when` does not hold'}")
        return Unrepresentable(
            f"none of the targets of {self.name!r} takes this call: {'; '.join(reasons)}"
        )


class _Attempt:
    """One call on its way from candidate to candidate."""

    __slots__ = ("attempts", "call", "choice", "failures", "full")

    def __init__(self, call: Call, choice: Choice) -> None:
        self.call = call
        self.choice = choice
        self.failures: list[Failed] = []
        self.full: list[tuple[float, Candidate]] = []
        self.attempts = 0

    async def send(self, candidate: Candidate, hedge: Hedge | None) -> Reply | None:
        """The reply of `candidate`; `None`: it failed, and another one may not."""
        try:
            if hedge is None:
                reply = await candidate.target.send(self.call.step(may_wait=False))
            else:
                reply = await hedge.send(self.call, candidate, self.choice)
        except (TargetError, Unrepresentable) as exc:
            self._failed(candidate, exc)
            return None
        reply.attempts += self.attempts
        return reply

    async def wait_for(self, candidate: Candidate) -> Reply | None:
        """The same, of one that had no room, once it has."""
        try:
            reply = await candidate.target.send(self.call.step())
        except (TargetError, Unrepresentable) as exc:
            self._failed(candidate, exc)
            return None
        reply.attempts += self.attempts
        return reply

    def soonest_first(self) -> list[Candidate]:
        """Those who had no room, the one that will have some first at the front."""
        waiting = sorted([*self.full, *self.choice.resting()], key=lambda each: each[0])
        return [candidate for _, candidate in waiting]

    def _failed(self, candidate: Candidate, exc: Failed) -> None:
        """Take note of a failure, or raise it where nobody else would take the call."""
        self.failures.append(exc)
        if isinstance(exc, Unrepresentable):
            self.choice.lacking = True
            return
        exc.target = exc.target or candidate.name
        self.attempts += exc.attempts
        if isinstance(exc, Limited):
            self.full.append((exc.retry_after_s or 0.0, candidate))
        if exc.retryable:
            return
        reason = reason_of(exc) if isinstance(exc, Rejected) else None
        if reason is None or not self.choice.after(reason, candidate):
            exc.attempts = self.attempts
            raise exc
