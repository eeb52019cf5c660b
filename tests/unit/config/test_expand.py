from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.config.document import parse
from modelmux.config.expand import Expansion, expand, read_secret, resolve
from modelmux.config.origin import Branch, Leaf, Origin
from modelmux.config.problem import Report
from modelmux.errors import ConfigError

ENVIRON = {"A": "1", "EMPTY": "", "NESTED": "${A}", "_x9": "y"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${A}", "1"),
        ("<${A}${_x9}>", "<1y>"),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${NONE:-d}", "d"),
        ("${NONE:-}", ""),
        ("${A:-d}", "1"),
        ("${NONE:-${A}}", "1"),
        ("${NONE:-${ALSO:-x}y}z", "xyz"),
        ('${NONE:-{"k": {"v": 1}}}', '{"k": {"v": 1}}'),
        ("$${A}", "${A}"),
        ("$${A} ${A}", "${A} 1"),
        ("${NONE:-$${A}}", "${A}"),
        ("$A $ $$ 5$", "$A $ $$ 5$"),
        ("${NESTED}", "${A}"),
    ],
)
def test_variables_are_replaced(text: str, expected: str):
    assert expand(text, ENVIRON).text == expected


def test_every_variable_that_stood_there_is_named():
    assert expand("${A}${NONE:-${_x9}}", ENVIRON).variables == ("A", "NONE", "_x9")


def test_a_variable_that_is_not_set_is_an_error_that_names_it():
    with pytest.raises(ConfigError, match=r"^the variable NONE is not set$") as caught:
        expand("${NONE}", ENVIRON)
    assert "${NONE:-…}" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["${", "${}", "${1A}", "${A", "${A:-", "${A:-x", "${A-x}", "${A:?x}", "${sk-123}"]
)
def test_a_malformed_variable_is_an_error_that_quotes_nothing(text: str):
    with pytest.raises(ConfigError) as caught:
        expand(text, ENVIRON)
    assert caught.value.message == "expected ${NAME} or ${NAME:-default}"


@given(st.text())
def test_an_escaped_text_is_the_text(text: str):
    escaped = text.replace("${", "$${")
    assert expand(escaped, {}).text.replace("$${", "${") == text.replace("$${", "${")


@given(st.text())
def test_a_value_is_never_expanded_again(value: str):
    assert expand("${V}", {"V": value}).text == value


def test_strings_of_files_are_expanded_wherever_they_stand():
    report = Report()
    expansion = Expansion({"A": "1"}, report)
    root = expansion.tree(parse("x = ['${A}', {y = '${A}'}]\nz = 3", "project", "f"))
    assert isinstance(root, Branch)
    assert "${A}" not in repr(root)
    assert expansion.variables == {"A"}


def test_what_the_environment_says_is_taken_as_it_is():
    root = Branch({"x": Leaf("${A}", Origin("environment", "V"))}, Origin("environment"))
    assert Expansion({"A": "1"}, Report()).tree(root) == root


def test_an_expansion_that_fails_is_told_with_its_place():
    report = Report()
    Expansion({}, report).tree(parse("[server]\nlog_level = '${X}'", "project", "f"))
    assert [each.message for each in report.errors] == [
        "f:2: server.log_level: the variable X is not set"
    ]


def test_a_secret_is_itself_or_the_content_of_a_file(tmp_path: Path):
    (tmp_path / "key").write_bytes(b"s3cret \r\n\n")
    assert read_secret("plain", tmp_path) == "plain"
    assert read_secret("file:key", tmp_path) == "s3cret "
    assert read_secret(f"file:{tmp_path}/key", Path("/nowhere")) == "s3cret "


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\n", "which is empty"),
        (b"\xff\xfe", "expected text in the file"),
        (b"x" * (1024 * 1024 + 1), "more than a megabyte"),
    ],
)
def test_a_secret_file_that_holds_no_secret_is_an_error(
    tmp_path: Path, content: bytes | None, message: str
):
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_secret("file:key", tmp_path)


def test_a_path_is_relative_to_the_folder_given_unless_it_is_absolute_or_at_home(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("HOME", "/home/me")
    assert resolve("a/b", Path("/etc")) == Path("/etc/a/b")
    assert resolve("/a", Path("/etc")) == Path("/a")
    assert resolve("~/a", Path("/etc")) == Path("/home/me/a")
    assert resolve("~nobody-of-this-name/a", Path("/etc")) == Path("/etc/~nobody-of-this-name/a")
