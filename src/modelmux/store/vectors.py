"""Vectors in memory, and which of them is nearest.

numpy does the arithmetic: in Python a look among a thousand vectors would stop the event loop for
a tenth of a second, there it takes less than a millisecond.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from modelmux.errors import ConfigError

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

MAX_IN_GROUP: Final = 1024
"""Vectors of one group: beyond, the oldest makes room. What is compared at once is so many."""


class Near(NamedTuple):
    """The nearest vector of a group."""

    key: str
    similarity: float
    """The cosine of the angle: 1 for the same direction."""


class Vectors:
    """Vectors in groups, each compared with those of its own group only. For one event loop."""

    def __init__(self, max_entries: int) -> None:
        """Hold so many at most; the group that was not used longest goes first.

        Raises:
            ConfigError: The library for it is not installed.
        """
        # An extra, and slow to load: few gateways look for what is alike.
        try:
            import numpy  # noqa: PLC0415
        except ImportError:
            raise ConfigError(
                "cache.semantic needs a library that is not installed",
                hint="pip install 'modelmux[semantic]'",
            ) from None
        self._numpy = numpy
        self._max_entries = max_entries
        self._groups: OrderedDict[str, _Group] = OrderedDict()
        self.count = 0
        """How many there are."""

    def nearest(self, group: str, vector: Sequence[float]) -> Near | None:
        """The vector of `group` that is nearest; `None`: there is none to compare with."""
        found = self._groups.get(group)
        direction = self._direction(vector)
        if found is None or direction is None or found.matrix.shape[1] != len(direction):
            return None
        self._groups.move_to_end(group)
        similarities = found.matrix[: len(found.keys)] @ direction
        index = int(similarities.argmax())
        return Near(found.keys[index], float(similarities[index]))

    def add(self, group: str, vector: Sequence[float], key: str) -> None:
        """Put `vector` in `group`, in place of one with the same key."""
        direction = self._direction(vector)
        if direction is None:
            return
        found = self._groups.get(group)
        if found is None or found.matrix.shape[1] != len(direction):
            self._forget(group)
            empty = self._numpy.zeros((4, len(direction)), dtype=self._numpy.float32)
            found = self._groups[group] = _Group(empty)
        self._groups.move_to_end(group)
        if key in found.keys:
            found.matrix[found.keys.index(key)] = direction
            return
        if len(found.keys) < MAX_IN_GROUP:
            if len(found.keys) == len(found.matrix):
                found.matrix = self._numpy.concatenate([found.matrix, found.matrix * 0])
            found.matrix[len(found.keys)] = direction
            found.keys.append(key)
            self.count += 1
        else:
            found.matrix[found.following] = direction
            found.keys[found.following] = key
            found.following = (found.following + 1) % MAX_IN_GROUP
        while self.count > self._max_entries:
            self._forget(next(iter(self._groups)))

    def _forget(self, group: str) -> None:
        gone = self._groups.pop(group, None)
        if gone is not None:
            self.count -= len(gone.keys)

    def _direction(self, vector: Sequence[float]) -> "NDArray[float32] | None":
        """`vector` with the length 1, if it has any."""
        found = self._numpy.asarray(vector, dtype=self._numpy.float32)
        length = float(self._numpy.linalg.norm(found))
        if found.ndim != 1 or not length or not self._numpy.isfinite(length):
            return None
        return found / self._numpy.float32(length)


class _Group:
    """Vectors as the rows of a matrix, of which the first have keys."""

    __slots__ = ("following", "keys", "matrix")

    def __init__(self, matrix: "NDArray[float32]") -> None:
        self.matrix = matrix
        self.keys: list[str] = []
        self.following = 0  # the row that is replaced next, once all are taken
