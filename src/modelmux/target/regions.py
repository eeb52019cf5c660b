"""Where callers and targets are, and who may answer whom."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct

from modelmux.errors import PermissionDenied
from modelmux.target.call import Call
from modelmux.target.candidate import Candidate

REGION_HEADER: Final = b"x-modelmux-region"
"""By which a caller says where it is, if its key does not."""

MAX_REGION_CHARS: Final = 64
"""Longest region that a caller may name; those that there are have about 20."""


class Region(Struct, frozen=True):
    """A region of the configuration."""

    name: str
    providers: frozenset[str] = frozenset()
    """Names of those who are in it."""
    callers: tuple[str, ...] = ()
    """Names and globs of other words for it."""
    near: tuple[str, ...] = ()
    """Regions to turn to when nobody in it answers, the nearest first."""


class Regions:
    """The regions there are."""

    def __init__(
        self, regions: Sequence[Region] = (), *, default: str = "", enforced: bool = False
    ) -> None:
        """Take what the configuration says.

        Args:
            regions: Those it names.
            default: Where callers are of whom nothing else is known.
            enforced: Only targets in the caller's region may answer.
        """
        self.enforced = enforced
        self._default = default
        self._regions: Mapping[str, Region] = {region.name: region for region in regions}
        self._named = tuple(regions)

    def of_call(self, call: Call) -> str:
        """Where the caller is: as its key, listener or header says, else the default; or empty.

        The header comes last: what the operator says of a caller, the caller cannot change.
        """
        if said := call.caller.region or call.peer.region:
            return said
        for name, value in call.fields:
            if name == REGION_HEADER:
                return value[:MAX_REGION_CHARS].decode("latin-1").strip()
        return self._default

    def of_provider(self, provider: str, region: str) -> frozenset[str]:
        """The regions a provider is in: its own, and those that list it."""
        listed = {each.name for each in self._named if provider in each.providers}
        return frozenset({*listed, *([region] if region else [])})

    def by_distance(self, call: Call, candidates: Sequence[Candidate]) -> list[list[Candidate]]:
        """The candidates in groups, those nearest to the caller first."""
        name = self.of_call(call)
        if not name:
            return [list(candidates)]
        words = self._words(name)
        groups: dict[int, list[Candidate]] = {}
        for each in candidates:
            groups.setdefault(self._distance(words, each), []).append(each)
        return [groups[distance] for distance in sorted(groups)]

    def allowed(self, call: Call, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those who may answer `call` where regions are enforced.

        Raises:
            PermissionDenied: Nobody may, or it is not known where the caller is.
        """
        name = self.of_call(call)
        if not name:
            raise PermissionDenied(
                "data must stay in the caller's region, and nothing says where this caller is: "
                "give its key or listener a region, or send `x-modelmux-region`"
            )
        words = self._words(name)
        found = [each for each in candidates if self._distance(words, each) == 0]
        if not found:
            raise PermissionDenied(
                f"data must stay in the region {name!r}, and nobody there answers "
                f"{call.envelope.model!r}",
                param="model",
            )
        return found

    def _distance(self, words: Sequence[str], candidate: Candidate) -> int:
        """0 for a candidate in the region that `words` mean; the most for one who knows where."""
        traits = candidate.traits
        if traits.is_here or not traits.regions.isdisjoint(words):
            return 0
        near = [each for word in words if (known := self._regions.get(word)) for each in known.near]
        for distance, each in enumerate(near, 1):
            if each in traits.regions:
                return distance
        return len(near) + (1 if traits.regions else 2)

    def _words(self, name: str) -> list[str]:
        """The region called `name`, and what it is called here too."""
        named = (
            each.name
            for each in self._named
            if any(fnmatchcase(name, pattern) for pattern in each.callers)
        )
        return [name, *named]
