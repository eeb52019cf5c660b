import socket
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from modelmux.config.entrances import Place, open_all, places
from modelmux.config.listening import Listening, check_exposure
from modelmux.config.schema import Config, Key, Listener, Server
from modelmux.errors import ConfigError
from modelmux.ingress import listen
from modelmux.ingress.address import FdAddress, UnixAddress


@pytest.fixture(name="place")
def short_folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="mm-") as name:
        yield Path(name)


def at(*listen_: str, **more: object) -> Config:
    return Config(server=Server(listen=listen_), **more)  # type: ignore[arg-type]


def opened(config: Config) -> Listening:
    return Listening(open_all(places(config, {}, 0)))


def test_a_configuration_opens_what_is_new_and_leaves_what_is_gone(place: Path):
    first, second, third = (f"unix:{place}/{name}" for name in "abc")
    listening = opened(at(first, second))
    kept = listening.listeners[1].socket
    change = listening.prepare(at(second, third))
    assert [each.listener.name for each in change.opened] == [third]
    assert [each.listener.name for each in change.left] == [first]
    assert listening.names == [first, second]  # not yet
    listening.adopt(change)
    assert listening.names == [second, third]
    assert listening.listeners[0].socket is kept
    listening.close()
    for each in change.left:
        each.listener.close()
    assert list(place.iterdir()) == []


def test_one_that_cannot_be_had_leaves_nothing_open(place: Path):
    (place / "b").write_text("in the way")
    listening = opened(at(f"unix:{place}/a"))
    with pytest.raises(ConfigError, match="found another file"):
        listening.prepare(at(f"unix:{place}/a", f"unix:{place}/c", f"unix:{place}/b"))
    assert sorted(each.name for each in place.iterdir()) == ["a", "b"]
    assert listening.names == [f"unix:{place}/a"]
    listening.close()


def test_keys_may_go_only_with_the_listeners_that_need_them(place: Path):
    handed = socket.create_server(("", 0))
    keys = (Key(name="k", secret="s"),)
    open_to_all = f"fd:{handed.detach()}"
    listening = opened(at(f"unix:{place}/a", open_to_all, keys=keys))
    with pytest.raises(ConfigError, match="no key is required"):
        listening.prepare(at(f"unix:{place}/a", open_to_all, f"unix:{place}/new"))
    assert not (place / "new").exists()
    change = listening.prepare(at(f"unix:{place}/a"))
    assert [each.listener.name for each in change.left] == [open_to_all]
    listening.close()


def test_a_socket_that_was_handed_over_is_not_opened_to_strangers():
    handed = socket.create_server(("", 0))
    opened_ = open_all([Place(FdAddress(handed.detach()))])
    with pytest.raises(ConfigError, match="can be reached from other machines"):
        check_exposure(Config(), opened_)
    check_exposure(Config(server=Server(allow_anonymous=True)), opened_)
    Listening(opened_).close()


def test_a_listener_that_is_forgotten_leaves_its_socket_to_others(place: Path):
    (listener,) = listen.open_one(UnixAddress(str(place / "s")))
    listener.forget()
    assert listener.socket.fileno() >= 0
    assert list(place.iterdir()) == []
    listener.close()


def test_an_open_listener_takes_another_identity_without_being_opened_anew(place: Path):
    def config(key: str, mode: str = "") -> Config:
        table = Listener(address=f"unix:{place}/a", key=key, mode=mode)
        keys = (Key(name="k", secret="s"), Key(name="l", secret="t"))
        return Config(listeners=(table,), keys=keys)

    listening = opened(config("k"))
    (entrance,) = [entrance for _, entrance in listening.sockets]
    change = listening.prepare(config("l"))
    assert (change.opened, change.left, entrance.identity.key) == ([], [], "k")
    listening.adopt(change)
    assert entrance.identity.key == "l"
    with pytest.raises(ConfigError, match="expected the mode and owner with which it was opened"):
        listening.prepare(config("l", mode="0666"))
    listening.close()


def test_a_descriptor_cannot_be_passed_later(place: Path):
    listening = opened(at(f"unix:{place}/a"))
    with pytest.raises(ConfigError, match="when it is started"):
        listening.prepare(at(f"unix:{place}/a", "fd:7"))
    listening.close()
