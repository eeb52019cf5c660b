import pytest

from modelmux.cli.output import echo_json, echo_table, warn


def test_json_is_indented_and_ends_in_a_newline(capsys: pytest.CaptureFixture[str]):
    echo_json({"a": [1]})
    assert capsys.readouterr().out == '{\n  "a": [\n    1\n  ]\n}\n'


def test_a_table_that_is_no_terminals_is_never_cut(capsys: pytest.CaptureFixture[str]):
    echo_table(["NAME", "MUCH"], [["a", "x" * 500], ["[b]", "y"]])
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines] == ["NAME  MUCH", f"a     {'x' * 500}", "[b]   y"]


def test_warnings_go_to_stderr(capsys: pytest.CaptureFixture[str]):
    warn(["a", "b"])
    assert capsys.readouterr().err == "warning: a\nwarning: b\n"
