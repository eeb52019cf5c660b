"""Tool names in the letters that most APIs allow: `[a-zA-Z0-9_-]`, at most 64 characters."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

MAX_NAME: Final = 64

_VALID: Final = re.compile(rf"[a-zA-Z0-9_-]{{1,{MAX_NAME}}}")
_INVALID: Final = re.compile(r"[^a-zA-Z0-9_-]")


class ToolNames:
    """The caller's tool names and what they are called on a wire. One for each request.

    Depends on nothing but the request's own order, so that the same conversation is told with
    the same names on every turn and stays in the prompt cache.
    """

    def __init__(self, known: Iterable[str]) -> None:
        """Take the names of the tools that the request defines."""
        names = tuple(known)
        self._said = {name: name for name in names if _VALID.fullmatch(name)}
        self._taken = set(self._said)
        for name in names:
            self.say(name)

    def say(self, name: str) -> str:
        """`name` as the target knows it: itself, wherever that is allowed."""
        said = self._said.get(name)
        if said is None:
            said = self._said[name] = self.reserve(name)
        return said

    def reserve(self, name: str) -> str:
        """A name like `name` that is nobody's."""
        cleaned = _INVALID.sub("_", name)[:MAX_NAME] or "_"
        said, number = cleaned, 1
        while said in self._taken:
            number += 1
            suffix = f"_{number}"
            said = cleaned[: MAX_NAME - len(suffix)] + suffix
        self._taken.add(said)
        return said

    @property
    def changed(self) -> Mapping[str, str]:
        """The caller's names by the names that the target knows instead."""
        return {said: name for name, said in self._said.items() if said != name}
