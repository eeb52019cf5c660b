from pathlib import Path

import pytest

from modelmux.config.environment import layer, read_dotenv, variables, warnings
from modelmux.config.origin import Branch, Items, Leaf, node_at
from modelmux.errors import ConfigError


def test_every_scalar_of_a_table_has_a_variable():
    names = set(variables())
    assert {
        "MODELMUX_SERVER_PORT",
        "MODELMUX_SERVER_LISTEN",
        "MODELMUX_ROUTING_FALLBACK_ENABLED",
        "MODELMUX_AUTH_SERVICE_ACCOUNT_JSON",
        "MODELMUX_VERTEX_PROJECT",
        "MODELMUX_STREAMING_CHUNK_TIMEOUT_MS",
    } <= names


def test_no_two_keys_share_a_variable():
    paths = [path for path, _ in variables().values()]
    canonical = [
        name for name, (path, _) in variables().items() if name.endswith("_".join(path).upper())
    ]
    assert len(canonical) == len(set(paths))


def test_a_variable_says_one_value_as_text():
    root = layer({"MODELMUX_SERVER_PORT": "3000"}, from_dotenv=())
    leaf = node_at(root, ("server", "port"))
    assert isinstance(leaf, Leaf)
    assert (leaf.value, leaf.is_text, str(leaf.origin)) == (
        "3000",
        True,
        "variable MODELMUX_SERVER_PORT",
    )


def test_several_variables_of_a_section_are_all_said():
    root = layer(
        {"MODELMUX_SERVER_PORT": "1", "MODELMUX_SERVER_LOG_LEVEL": "debug"}, from_dotenv=()
    )
    server = root.children["server"]
    assert isinstance(server, Branch)
    assert set(server.children) == {"port", "log_level"}


def test_an_array_is_cut_at_commas():
    root = layer({"MODELMUX_SERVER_LISTEN": ":1, unix:/s ,"}, from_dotenv=())
    items = node_at(root, ("server", "listen"))
    assert isinstance(items, Items)
    assert [each.value for each in items.items if isinstance(each, Leaf)] == [":1", "unix:/s"]


def test_an_empty_variable_says_nothing():
    assert layer({"MODELMUX_SERVER_PORT": " "}, from_dotenv=()).children == {}


def test_a_variable_of_the_file_says_so():
    root = layer({"MODELMUX_SERVER_PORT": "1"}, from_dotenv={"MODELMUX_SERVER_PORT"})
    assert str(node_at(root, ("server", "port")).origin) == "variable MODELMUX_SERVER_PORT (.env)"


def test_the_proper_name_of_a_variable_wins_over_an_older_one():
    environ = {"MODELMUX_LOG_LEVEL": "error", "MODELMUX_SERVER_LOG_LEVEL": "debug"}
    leaf = node_at(layer(environ, ()), ("server", "log_level"))
    assert isinstance(leaf, Leaf)
    assert leaf.value == "debug"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MODELMUX_SERVER_PROT", "no such setting; did you mean 'MODELMUX_SERVER_PORT'?"),
        ("MODELMUX_MCP_ENABLED", "not available in this version"),
        ("MODELMUX_A2A_TOKEN", "not available in this version"),
        ("MODELMUX_PROVIDERS_OPENAI_API_KEY", "write [[providers]] in a file"),
        ("MODELMUX_ZZZ", "no such setting"),
    ],
)
def test_a_variable_that_sets_nothing_is_told(name: str, words: str):
    (line,) = warnings({name: "secret-value"}, used=())
    assert line.startswith(f"variable {name}: is ignored: ")
    assert words in line
    assert "secret-value" not in line


def test_variables_that_somebody_reads_are_not_told():
    environ = {"MODELMUX_MODE": "serve", "MODELMUX_MY_KEY": "x", "MODELMUX_SERVER_PORT": "1"}
    assert warnings(environ, used={"MODELMUX_MY_KEY"}) == []


def test_dotenv_fills_the_environment_and_never_overrides_it(tmp_path: Path):
    (tmp_path / ".env").write_text("A=file\nexport B='two words'\nC\nD=same # comment\n")
    environ = {"A": "shell", "D": "same"}
    assert read_dotenv(tmp_path, environ) == {"B", "D"}
    assert environ == {"A": "shell", "B": "two words", "D": "same"}


def test_reading_dotenv_twice_says_the_same(tmp_path: Path):
    (tmp_path / ".env").write_text("B=1\n")
    environ: dict[str, str] = {}
    assert read_dotenv(tmp_path, environ) == read_dotenv(tmp_path, environ) == {"B"}


def test_without_dotenv_nothing_is_read(tmp_path: Path):
    assert read_dotenv(tmp_path, {}) == frozenset()


def test_a_dotenv_that_cannot_be_read_is_an_error(tmp_path: Path):
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(ConfigError, match=r"\.env: expected UTF-8"):
        read_dotenv(tmp_path, {})
