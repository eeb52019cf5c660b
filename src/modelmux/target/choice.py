"""Whom to ask for one call, and whom after that."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from modelmux.target import capability
from modelmux.target.call import Call
from modelmux.target.candidate import Candidate
from modelmux.target.facts import Facts, World, request_of
from modelmux.target.refusal import Reason
from modelmux.target.regions import Regions
from modelmux.target.strategy import Strategy

Tiers = Sequence[Sequence[Candidate]]
"""Candidates in groups: one of the next group is asked only when the groups before have nobody."""

NO_SPECIALS: Mapping[Reason, Sequence[Candidate]] = {}


class Chooser(Struct, frozen=True, kw_only=True):
    """How one of several candidates is chosen. Shared by all calls for a name."""

    tiers: Tiers
    strategy: Strategy
    now: Callable[[], float]
    """Monotonic clock."""
    rng: Callable[[], float]
    """Random numbers of at least 0 and below 1."""
    world: World
    regions: Regions
    geographic: bool = False
    """Candidates near to the caller come first."""
    by_capability: bool = False
    """Candidates that cannot do what the request asks are left out."""
    rules_first: bool = False
    """Candidates with a `when` that holds come before all others."""
    max_tries: int = 4
    """Most candidates that one call is sent to, apart from those of `specials`."""
    specials: Mapping[Reason, Sequence[Candidate]] = NO_SPECIALS
    """Who is asked after a refusal of that kind, in this order."""
    is_plain: bool = False
    """Every call may go to every candidate: nothing has to be found out about it."""

    def tiers_for(self, call: Call) -> Tiers:
        """The candidates that `call` may go to.

        Raises:
            PermissionDenied: Data must stay in a region, and nobody there may answer.
        """
        if self.is_plain:
            return self.tiers
        tiers: list[Sequence[Candidate]] = list(self.tiers)
        if self.regions.enforced:
            allowed = self.regions.allowed(call, [each for tier in tiers for each in tier])
            tiers = [[each for each in tier if each in allowed] for tier in tiers]
        tiers = self._by_rule(call, tiers)
        if self.by_capability and (request := request_of(call)) is not None:
            tiers = [
                [each for each in tier if not capability.missing(request, each.traits.profile)]
                for tier in tiers
            ]
        if self.geographic:
            tiers = [near for tier in tiers for near in self.regions.by_distance(call, tier)]
        return tiers

    def _by_rule(self, call: Call, tiers: list[Sequence[Candidate]]) -> list[Sequence[Candidate]]:
        """Without those whose `when` does not hold."""
        if not any(each.when for tier in tiers for each in tier):
            return tiers
        facts = Facts(call, self.world)
        kept: list[Sequence[Candidate]] = []
        for tier in tiers:
            meant = [each for each in tier if each.when and each.when.holds(facts.about(each))]
            if self.rules_first:
                kept += [[each] for each in meant]  # in the order written
                kept.append([each for each in tier if not each.when])
            else:
                kept.append([each for each in tier if not each.when or each in meant])
        return kept


class Choice:
    """The candidates for one call, asked for one by one.

    Attributes:
        lacking: Somebody could not be told all of the call.
    """

    __slots__ = ("_call", "_chooser", "_is_special", "_left", "_tiers", "_tried", "lacking")

    def __init__(self, chooser: Chooser, call: Call) -> None:
        """Begin. Raises as `Chooser.tiers_for` does."""
        self._chooser = chooser
        self._call = call
        self._tiers = chooser.tiers_for(call)
        self._tried: list[Candidate] = []
        self._left = chooser.max_tries
        self._is_special = False
        self.lacking = False

    @property
    def candidates(self) -> Sequence[Candidate]:
        """Everybody who may get the call."""
        return [each for tier in self._tiers for each in tier]

    def next(self) -> Candidate | None:
        """Whom to ask now; `None`: nobody is left.

        Where everybody is broken or rests, one is asked all the same if none was: a breaker keeps
        calls from going where they need not, and is no reason not to answer.
        """
        now = self._chooser.now()
        if not self._left:
            return None
        if (found := self._available(now)) is not None:
            return found
        if self.lacking or not any(self._tiers):
            return self.next() if self._turn_to("capability") else None
        if self._tried:
            return None
        return self._take(min(self.candidates, key=lambda each: each.health.waits_s(now)))

    def resting(self) -> list[tuple[float, Candidate]]:
        """Those who were not asked because they rest, each with how long it will."""
        now = self._chooser.now()
        return [
            (each.health.waits_s(now), each)
            for each in self.candidates
            if each.health.state == "closed" and each not in self._tried
        ]

    def after(self, reason: Reason, refused: Candidate) -> bool:
        """Go on after `refused` would not take the call; false if nobody else would either."""
        if self._turn_to(reason):
            return True
        if reason != "context_length":
            return False
        # Those who are known to take more. Of the others nobody knows that they would.
        least = refused.traits.profile.context_tokens
        self._tiers = [
            [each for each in tier if each.traits.profile.context_tokens > least]
            for tier in self._tiers
        ]
        return any(each not in self._tried for tier in self._tiers for each in tier)

    def _available(self, now: float) -> Candidate | None:
        """One of those who can be asked now, of the first group that has any."""
        tried = self._tried
        for tier in self._tiers:
            among = [
                each
                for each in tier
                if each not in tried and (not each.health.has_trouble or each.health.admits(now))
            ]
            if among:
                return self._take(self._one_of(among, now))
        return None

    def _turn_to(self, reason: Reason) -> bool:
        """Go on with those who are there for such calls, once; false if nobody is."""
        specials = self._chooser.specials.get(reason, ())
        if not specials or self._is_special:
            return False
        self._is_special = True
        self._tiers = [[each] for each in specials]
        self._left = len(specials)
        return True

    def _take(self, candidate: Candidate) -> Candidate:
        self._tried.append(candidate)
        self._left -= 1
        return candidate

    def _one_of(self, among: Sequence[Candidate], now: float) -> Candidate:
        if len(among) == 1:
            return among[0]
        chooser = self._chooser
        # Whoever has just recovered takes only some of its calls, more and more of them.
        ready = [
            each
            for each in among
            if not each.health.has_trouble or chooser.rng() < each.health.ramp(now)
        ]
        if len(ready) == 1:
            return ready[0]
        return chooser.strategy.choose(self._call, ready or among)
