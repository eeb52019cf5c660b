from modelmux.config.schema import Config, Key, Listener, Model, Provider, Server
from modelmux.config.schema_routing import WeightedTarget
from modelmux.ingress.address import TcpAddress, UnixAddress


def test_a_server_listens_on_loopback_when_nothing_is_said():
    assert Config().addresses == (TcpAddress("127.0.0.1", 3000),)


def test_port_is_shorthand_for_a_loopback_listener():
    assert Config(server=Server(port=8080)).addresses == (TcpAddress("127.0.0.1", 8080),)


def test_port_and_listen_together_are_both_meant_and_each_address_once():
    server = Server(port=3000, listen=("127.0.0.1:3000", "unix:/run/m.sock"))
    assert Config(server=server).addresses == (
        TcpAddress("127.0.0.1", 3000),
        UnixAddress("/run/m.sock"),
    )


def test_listen_alone_adds_no_port():
    config = Config(server=Server(listen=("unix:/run/m.sock",)))
    assert config.addresses == (UnixAddress("/run/m.sock"),)


def test_listeners_with_an_identity_alone_add_no_port():
    listeners = (Listener(address="unix:/run/a.sock"),)
    assert Config(listeners=listeners).addresses == ()
    config = Config(listeners=listeners, server=Server(port=3000))
    assert config.addresses == (TcpAddress("127.0.0.1", 3000),)


def test_a_provider_has_its_keys_in_the_order_written():
    provider = Provider(name="a", type="openai", api_key="1", api_keys=("2", "", "3"))
    assert provider.keys == ("1", "2", "3")


def test_target_names_are_those_of_strings_and_tables():
    model = Model(name="m", targets=("a/b", WeightedTarget(target="c/d", weight=2)))
    assert model.target_names == ("a/b", "c/d")


def test_a_repr_hides_secrets_wherever_they_are():
    config = Config(
        providers=(
            Provider(
                name="p",
                type="openai",
                api_key="sentinel-1",
                api_keys=("sentinel-2",),
                base_url="https://u:sentinel-3@h/",
                headers={"authorization": "sentinel-4", "x-team": "blue"},
            ),
        ),
        keys=(Key(name="k", secret="sentinel-5"),),
    )
    assert "sentinel" not in repr(config)
    assert "blue" in repr(config)
