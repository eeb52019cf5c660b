import pytest

from modelmux.config.discover import discover, ollama_address
from modelmux.config.origin import Branch, Items, Leaf, Node
from tests.unit.config.conftest import TYPES


def nobody(_host: str, _port: int) -> bool:
    return False


def everybody(_host: str, _port: int) -> bool:
    return True


def plain(node: Node) -> object:
    match node:
        case Branch():
            return {key: plain(each) for key, each in node.children.items()}
        case Items():
            return [plain(each) for each in node.items]
        case Leaf():
            return node.value


def test_nothing_is_found_where_there_is_nothing():
    assert plain(discover({"OPENAI_API_KEY": ""}, TYPES, nobody)) == {}


def test_providers_whose_variable_is_set_are_found():
    found = discover({"OPENAI_API_KEY": "k1", "ANTHROPIC_API_KEY": "k2"}, TYPES, nobody)
    assert plain(found) == {
        "providers": [
            {"name": "openai", "type": "openai", "api_key": "k1"},
            {"name": "anthropic", "type": "anthropic", "api_key": "k2"},
        ]
    }


def test_a_provider_with_several_settings_needs_them_all():
    assert plain(discover({"GOOGLE_PROJECT": "p"}, TYPES, nobody)) == {}
    found = discover({"GOOGLE_PROJECT": "p", "GOOGLE_REGION": "r"}, TYPES, nobody)
    assert plain(found) == {
        "providers": [{"name": "vertex", "type": "vertex", "project": "p", "region": "r"}]
    }


def test_only_types_of_the_catalogue_are_found():
    assert plain(discover({"OPENAI_API_KEY": "k", "VERTEX_PROJECT": "p"}, {}, everybody)) == {}


def test_a_local_ollama_is_found_where_it_usually_is():
    asked: list[tuple[str, int]] = []

    def probe(host: str, port: int) -> bool:
        asked.append((host, port))
        return True

    found = discover({}, TYPES, probe)
    assert plain(found) == {"providers": [{"name": "ollama", "type": "ollama"}]}
    assert asked == [("127.0.0.1", 11434)]


def test_ollama_is_looked_for_where_its_variable_says():
    found = discover({"OLLAMA_HOST": "10.0.0.5:9999"}, TYPES, everybody)
    assert plain(found) == {
        "providers": [{"name": "ollama", "type": "ollama", "base_url": "http://10.0.0.5:9999"}]
    }


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", ("http", "127.0.0.1", 11434)),
        ("127.0.0.1:1", ("http", "127.0.0.1", 1)),
        (":1", ("http", "127.0.0.1", 1)),
        ("0.0.0.0", ("http", "127.0.0.1", 11434)),
        ("[::]:1", ("http", "127.0.0.1", 1)),
        ("::1", ("http", "::1", 11434)),
        ("[::1]:1", ("http", "::1", 1)),
        ("http://h", ("http", "h", 80)),
        ("https://h/path", ("https", "h", 443)),
        ("https://h:1/", ("https", "h", 1)),
        ("h:nonsense", ("http", "h", 11434)),
        ("h:99999", ("http", "h", 11434)),
        ('"h"', ("http", "h", 11434)),
    ],
)
def test_ollamas_variable_has_many_forms(text: str, address: tuple[str, str, int]):
    assert ollama_address(text) == address


def test_what_modelmux_rs_read_is_understood():
    environ = {"VERTEX_PROJECT": "p", "VERTEX_REGION": "r", "VERTEX_MODEL_ID": "m"}
    assert plain(discover(environ, TYPES, nobody)) == {
        "vertex": {"project": "p", "region": "r", "model": "m"}
    }


def test_half_of_what_modelmux_rs_read_is_nothing():
    assert plain(discover({"VERTEX_PROJECT": "p"}, TYPES, nobody)) == {}


def test_a_whole_url_of_vertex_is_enough_and_another_url_is_not_meant():
    url = "https://aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/a/models/m"
    assert plain(discover({"LLM_URL": url}, TYPES, nobody)) == {"vertex": {"url": url}}
    assert plain(discover({"LLM_URL": "http://localhost"}, TYPES, nobody)) == {}
