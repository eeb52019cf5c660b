import pytest

from modelmux.config.origin import Branch, Items, Leaf, Origin, key_text, node_at


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin("default"), "default"),
        (Origin("project", "modelmux.toml", 3), "modelmux.toml:3"),
        (Origin("user", "/home/config.toml"), "/home/config.toml"),
        (Origin("environment", "MODELMUX_SERVER_PORT"), "variable MODELMUX_SERVER_PORT"),
        (Origin("dotenv", "MODELMUX_SERVER_PORT"), "variable MODELMUX_SERVER_PORT (.env)"),
        (Origin("command line", "--listen"), "option --listen"),
        (Origin("discovered", "OPENAI_API_KEY"), "found by OPENAI_API_KEY"),
    ],
)
def test_an_origin_is_told_as_people_say_it(origin: Origin, text: str):
    assert str(origin) == text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("server", "port"), "server.port"),
        (("providers", 0, "api_key"), "providers[0].api_key"),
        (("providers", 0, "headers", "x.y"), 'providers[0].headers."x.y"'),
        (("a", 'quo"te'), 'a."quo\\"te"'),
        ((), ""),
    ],
)
def test_a_key_path_is_written_as_toml_would(path: tuple[str | int, ...], text: str):
    assert key_text(path) == text


def test_a_node_that_was_not_said_is_looked_for_above():
    leaf = Leaf("x", Origin("project", "f", 2))
    table = Branch({"name": leaf}, Origin("project", "f", 1))
    root = Branch({"keys": Items([table], Origin("project", "f", 1))}, Origin("project", "f"))
    assert node_at(root, ("keys", 0, "name")) is leaf
    assert node_at(root, ("keys", 0, "secret")) is table
    assert node_at(root, ("keys", 4)) is root.children["keys"]
    assert node_at(root, ("models",)) is root
