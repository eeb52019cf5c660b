"""Rules about `[[listeners]]`."""

from fnmatch import fnmatchcase

from modelmux.config.check import Checked, Rule
from modelmux.config.origin import KeyPath
from modelmux.config.problem import did_you_mean
from modelmux.config.schema import Listener
from modelmux.errors import ConfigError
from modelmux.ingress.address import Address, FdAddress, UnixAddress, is_exposed, parse_address

_OTHERS_WRITE = 0o002


def identities(checked: Checked) -> None:
    """Every listener has a place of its own and a key that is there, and is no way round keys."""
    seen = _elsewhere(checked)
    for index, listener in enumerate(checked.config.listeners):
        path: KeyPath = ("listeners", index)
        try:
            address = parse_address(listener.address)
        except ConfigError as exc:
            checked.place.error((*path, "address"), exc.message, exc.hint)
            continue
        if address in seen:
            message = f"{listener.address!r} is listened on already, at {seen[address]}"
            checked.place.error((*path, "address"), message)
        seen[address] = f"listeners[{index}].address"
        _file(checked, path, listener, address)
        _surface(checked, path, listener, address)
        _key(checked, path, listener)
        _exposure(checked, path, listener, address)


def _elsewhere(checked: Checked) -> dict[Address, str]:
    """Addresses of `server`, and where they stand."""
    try:
        return dict.fromkeys(checked.config.addresses, "server.listen")
    except ConfigError:  # another rule tells it
        return {}


def _file(checked: Checked, path: KeyPath, listener: Listener, address: Address) -> None:
    has_file = isinstance(address, UnixAddress) and not address.abstract
    for key in ("mode", "owner"):
        if getattr(listener, key) and not has_file:
            message = f"only for unix sockets with a file, which {listener.address!r} is not"
            checked.place.error((*path, key), message)
    if has_file and listener.mode and int(listener.mode, 8) & _OTHERS_WRITE and not listener.key:
        message = "every user of this machine may call here"
        checked.place.warn((*path, "mode"), message)


def _surface(checked: Checked, path: KeyPath, listener: Listener, address: Address) -> None:
    if listener.surface != "admin" or isinstance(address, FdAddress):
        return  # of a descriptor, only the open socket tells
    if not isinstance(address, UnixAddress) or address.abstract:
        checked.place.error(
            (*path, "surface"),
            f"expected guest: {listener.address!r} has no file whose mode says who may come in",
            "an admin's listener is a unix socket with a path",
        )


def _key(checked: Checked, path: KeyPath, listener: Listener) -> None:
    keys = {key.name: key for key in checked.config.keys}
    if listener.key and listener.key not in keys:
        near = did_you_mean(listener.key, list(keys))
        message = f"there is no key {listener.key!r}{near}"
        checked.place.error((*path, "key"), message, "add it to [[keys]]")
        return
    allowed = keys[listener.key].models if listener.key else ()
    for at, model in enumerate(listener.models):
        is_name = not any(mark in model for mark in "*?[")
        if allowed and is_name and not any(fnmatchcase(model, each) for each in allowed):
            message = (
                f"the key {listener.key!r} may not allow {model!r}: it has {', '.join(allowed)}"
            )
            checked.place.warn((*path, "models", at), message)


def _exposure(checked: Checked, path: KeyPath, listener: Listener, address: Address) -> None:
    config = checked.config
    if not is_exposed(address) or config.server.allow_anonymous:
        return
    if listener.key or not config.keys:
        checked.place.error(
            (*path, "address"),
            f"others can reach {listener.address!r}, and no key is asked for",
            "add [[keys]] and leave `key` out, listen on 127.0.0.1, or set "
            "server.allow_anonymous = true",
        )


LISTENER_RULES: tuple[Rule, ...] = (identities,)
"""Rules about listeners with an identity."""
