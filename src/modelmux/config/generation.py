"""One configuration at work, from being built to the end of its last call."""

import asyncio
from collections.abc import Collection
from typing import Final

from modelmux.config.build import surface
from modelmux.config.lasting import Lasting
from modelmux.config.load import Loaded
from modelmux.config.providers import Built
from modelmux.ingress.surface import Surface
from modelmux.transport.http import OriginClient

_LOOK_S: Final = 0.1
"""How often it is looked whether the last call of a configuration is over."""


class Generation:
    """What calls go through that began while this configuration was in force."""

    def __init__(
        self, loaded: Loaded, lasting: Lasting, earlier: "Generation | None" = None
    ) -> None:
        """Build it. Does no I/O, and changes nothing of what is in force.

        Args:
            loaded: The configuration.
            lasting: What outlives it.
            earlier: What is in force, whose connections are shared where they lead to the same.

        Raises:
            ConfigError: The configuration says what cannot be built.
        """
        self.loaded = loaded
        self.surface: Surface
        self.built: Built
        before = earlier.built if earlier is not None else None
        self.surface, self.built = surface(loaded, lasting, before)

    @property
    def under_way(self) -> int:
        """Calls that are not over."""
        return self.built.recorder.under_way if self.built.recorder is not None else 0

    @property
    def clients(self) -> Collection[OriginClient]:
        """Whose connections it uses."""
        return self.built.clients.values()

    async def wait_idle(self) -> None:
        """Return once its last call has ended, streams included. No new one may begin."""
        while self.under_way:  # noqa: ASYNC110 # an event would cost each call more than it saves
            await asyncio.sleep(_LOOK_S)

    async def aclose(self, kept: Collection[OriginClient] = ()) -> None:
        """Close its connections, but those of `kept`."""
        await self.built.aclose(kept)
