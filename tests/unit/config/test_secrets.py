from modelmux.config.schema import Auth, Config, Key, Provider, Server
from modelmux.config.secrets import secrets

FULL = Config(
    providers=(
        Provider(
            name="a",
            type="openai",
            api_key="sk-one",
            api_keys=("sk-two", "", "sk-three"),
            service_account_json='{"private_key": "x"}',
            headers={"X-Team": "plain", "Authorization": "Bearer hidden", "x-session-token": "t-1"},
        ),
        Provider(name="b", type="openai", api_key="sk-four"),
    ),
    keys=(Key(name="team", secret="s-1"), Key(name="hashed", sha256="ab" * 32)),
    auth=Auth(service_account_json='{"private_key": "y"}'),
)


def test_every_secret_is_found_wherever_it_stands():
    assert set(secrets(FULL)) == {
        "sk-one",
        "sk-two",
        "sk-three",
        '{"private_key": "x"}',
        "Bearer hidden",
        "t-1",
        "sk-four",
        "s-1",
        "ab" * 32,
        '{"private_key": "y"}',
    }


def test_what_is_no_secret_is_not_hidden():
    for open_ in ("a", "openai", "plain", "team", "hashed"):
        assert open_ not in set(secrets(FULL))


def test_a_configuration_without_secrets_has_none():
    assert list(secrets(Config())) == []
    assert list(secrets(Server(listen=("127.0.0.1:3000",)))) == []
