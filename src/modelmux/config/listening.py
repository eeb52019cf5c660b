"""The listeners of a gateway, and how they follow its configuration."""

import os
import socket
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from modelmux.config.entrances import Opened, Place, check_admin, open_all, places
from modelmux.config.schema import Config
from modelmux.errors import ConfigError
from modelmux.ingress.address import FdAddress
from modelmux.ingress.entrance import Entrance, Identity
from modelmux.ingress.listen import Listener


class Standing(NamedTuple):
    """A listener that callers come in by."""

    opened: Opened
    entrance: Entrance

    @property
    def listener(self) -> Listener:
        return self.opened.listener


class Change(NamedTuple):
    """What another configuration makes of them."""

    opened: Sequence[Standing]
    """Listen already; nobody answers yet."""
    left: Sequence[Standing]
    """Are to be closed."""
    identities: Sequence[tuple[Entrance, Identity]]
    """What those that stay make of their callers."""


class Listening:
    """The open listeners."""

    def __init__(self, opened: Iterable[Opened]) -> None:
        """Begin with those that are open."""
        self.standing = [standing(each) for each in opened]

    @property
    def listeners(self) -> list[Listener]:
        """What is open."""
        return [each.listener for each in self.standing]

    @property
    def names(self) -> list[str]:
        """Their addresses, as they are told."""
        return [listener.name for listener in self.listeners]

    @property
    def sockets(self) -> list[tuple[socket.socket, Entrance]]:
        """As the server takes them."""
        return [(each.listener.socket, each.entrance) for each in self.standing]

    def prepare(self, config: Config) -> Change:
        """Open what `config` has beside them. They are not changed yet.

        Raises:
            ConfigError: A place cannot be had or is not fit for what it is to be, or others could
                reach it without a key. Nothing is left open.
        """
        wanted = {each.address: each for each in places(config, os.environ, os.getpid())}
        kept = [each for each in self.standing if each.opened.place.address in wanted]
        here = {each.opened.place.address for each in kept}
        identities: list[tuple[Entrance, Identity]] = []
        stay: list[Opened] = []
        for old in kept:
            place = wanted[old.opened.place.address]
            _check_same(old, place)
            check_admin(old.listener, place.identity)
            identities.append((old.entrance, place.identity))
            stay.append(Opened(old.listener, place))
        new = [place for address, place in wanted.items() if address not in here]
        for place in new:
            _check_later(place)
        opened = open_all(new)
        try:
            check_exposure(config, [*stay, *opened])
        except ConfigError:
            for each in opened:
                each.listener.close()
            raise
        left = [old for old in self.standing if old not in kept]
        return Change([standing(each) for each in opened], left, identities)

    def adopt(self, change: Change) -> None:
        """Take a change over. Whoever serves them opens and closes the sockets themselves."""
        for entrance, identity in change.identities:
            entrance.identity = identity
        kept = [each for each in self.standing if each not in change.left]
        self.standing = [*kept, *change.opened]

    def close(self) -> None:
        """Close all of them."""
        for listener in self.listeners:
            listener.close()


def check_exposure(config: Config, opened: Iterable[Opened]) -> None:
    """What only an open socket tells: a descriptor that was handed over may be reachable by all.

    Raises:
        ConfigError: One is, and no key is required.
    """
    if config.server.allow_anonymous:
        return
    for each in opened:
        asks = config.keys and not each.identity.key
        if each.listener.is_exposed and not asks:
            raise ConfigError(
                f"{each.listener.name} can be reached from other machines, and no key is required",
                hint="add [[keys]], or listen on 127.0.0.1, or set server.allow_anonymous = true",
            )


def standing(opened: Opened) -> Standing:
    """A listener, with a door that callers come in by."""
    return Standing(opened, Entrance(opened.listener.name, opened.identity))


def _check_same(standing: Standing, place: Place) -> None:
    if place.access != standing.opened.place.access:
        raise ConfigError(
            f"{standing.listener.name}: expected the mode and owner with which it was opened",
            hint="take the listener out, reload, put it in and reload again; or restart",
        )


def _check_later(place: Place) -> None:
    if isinstance(place.address, FdAddress):
        raise ConfigError(
            f"{place.address}: descriptors are passed to a process when it is started",
            hint="restart, with the descriptor",
        )
