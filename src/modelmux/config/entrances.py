"""Where a configuration listens, and what each listener makes of its callers."""

import os
from collections.abc import Mapping, Sequence

from msgspec import Struct

from modelmux.config.schema import Config, Listener
from modelmux.errors import ConfigError
from modelmux.ingress import activation, listen
from modelmux.ingress.address import Address, FdAddress, parse_address
from modelmux.ingress.entrance import CALLERS, Identity
from modelmux.ingress.listen import OWNERS_ONLY, SOCKET_MODE, Access


class Place(Struct, frozen=True):
    """A place to listen."""

    address: Address
    access: Access = OWNERS_ONLY
    identity: Identity = CALLERS


class Opened(Struct, frozen=True):
    """An open listener, with what it is to be."""

    listener: listen.Listener
    place: Place

    @property
    def identity(self) -> Identity:
        """What it makes of its callers."""
        return self.place.identity


def places(config: Config, environ: Mapping[str, str], pid: int) -> list[Place]:
    """Everywhere the configuration listens.

    Where it says nothing of that, sockets that the system passed to the process `pid` are meant.

    Raises:
        ConfigError: What it says is no address.
    """
    said = config.server
    if not (said.listen or said.port is not None or config.listeners):
        passed = [FdAddress(fd) for _, fd in activation.descriptors(environ, pid)]
        if passed:
            return [Place(each) for each in passed]
    plain = [Place(address) for address in config.addresses]
    return [*plain, *(_place(each) for each in config.listeners)]


def open_all(
    wanted: Sequence[Place], inherited: Mapping[str, Sequence[int]] | None = None
) -> list[Opened]:
    """A listener for each place; those that are open are closed again if one fails.

    Args:
        wanted: The places.
        inherited: Listening sockets by address that were handed over: they are taken, and those
            of addresses that are not wanted are closed.

    Raises:
        ConfigError: A place cannot be had, or is not fit for what it is to be.
    """
    opened: list[Opened] = []
    given = dict(inherited or {})
    try:
        for place in wanted:
            fds = given.pop(str(place.address), ())
            if fds:
                found = [listen.inherit(place.address, fd) for fd in fds]
            else:
                found = listen.open_one(place.address, place.access)
            opened += [Opened(each, place) for each in found]
            for listener in found:
                check_admin(listener, place.identity)
    except ConfigError:
        for each in opened:
            each.listener.close()
        raise
    for fds in given.values():
        for fd in fds:
            os.close(fd)
    return opened


def identity(said: Listener) -> Identity:
    """What a listener makes of its callers."""
    asks = said.surface != "admin"  # who may open an admin's file may do more than call
    return Identity(said.surface, said.key, said.models, said.tags, said.region, asks)


def _place(said: Listener) -> Place:
    mode = int(said.mode, 8) if said.mode else SOCKET_MODE
    return Place(parse_address(said.address), Access(mode, said.owner), identity(said))


def check_admin(listener: listen.Listener, identity: Identity) -> None:
    """What only an open socket tells: whether a descriptor's callers are held off by a file.

    Raises:
        ConfigError: They are not, and it would be for admins.
    """
    if identity.surface == "admin" and not listener.is_file:
        raise ConfigError(
            f"{listener.name}: the surface 'admin' is for unix sockets with a file only",
            hint="the file's mode says who may control the gateway; elsewhere, nothing does",
        )
