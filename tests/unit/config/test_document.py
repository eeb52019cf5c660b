from pathlib import Path

import pytest

from modelmux.config.document import parse, read
from modelmux.config.origin import Branch, Items, Leaf
from modelmux.errors import ConfigError


def test_a_document_becomes_values_with_their_lines():
    root = parse('[server]\nport = 1\nlisten = [\n"a"]\n', "project", "modelmux.toml")
    server = root.children["server"]
    assert isinstance(server, Branch)
    assert str(server.origin) == "modelmux.toml:1"
    port, listen = server.children["port"], server.children["listen"]
    assert isinstance(port, Leaf)
    assert (port.value, str(port.origin)) == (1, "modelmux.toml:2")
    assert isinstance(listen, Items)
    assert str(listen.items[0].origin) == "modelmux.toml:4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = ", "f:2: expected TOML: "),
        ("a = 1\na = 2\n", "f:2: expected TOML: "),
        ("a = open\n", "f:1: expected TOML: "),
        ('\na = "x\n', "f:2: expected TOML: "),
        ("a = " + "[" * 5000, "f: expected TOML, got arrays nested too deep"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(text: str, message: str):
    with pytest.raises(ConfigError) as caught:
        parse(text, "project", "f")
    assert caught.value.message.startswith(message)
    assert "(at " not in caught.value.message


def test_a_byte_order_mark_is_no_part_of_the_document(tmp_path: Path):
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")
    root = read(path, "user", "c.toml")
    assert root is not None
    assert list(root.children) == ["a"]


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path):
    assert read(tmp_path / "none.toml", "user", "none.toml") is None


def test_a_file_that_cannot_be_read_is_an_error_and_not_passed_over(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"^shown: cannot be read: Is a directory"):
        read(tmp_path, "user", "shown")


def test_a_file_that_is_not_utf8_is_an_error(tmp_path: Path):
    path = tmp_path / "c.toml"
    path.write_bytes(b'a = "\xff"')
    with pytest.raises(ConfigError, match=r"^c: expected UTF-8, byte 5 is not$"):
        read(path, "user", "c")
