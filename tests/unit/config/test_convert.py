from pathlib import Path

import pytest

from modelmux.config.convert import convert
from modelmux.config.document import parse
from modelmux.config.expand import Expansion
from modelmux.config.origin import Branch
from modelmux.config.problem import Report
from modelmux.config.rows import ProviderModel
from modelmux.config.schema import Config
from modelmux.config.schema_routing import WeightedTarget


def converted(
    text: str, folder: Path = Path("/srv"), **environ: str
) -> tuple[Config | None, list[str]]:
    """The configuration of a document, and what is wrong with it."""
    report = Report()
    root = Expansion(environ, report).tree(parse(text, "project", "f"))
    assert isinstance(root, Branch)
    return convert(root, folder, report), [each.message for each in report.errors]


def config(text: str, folder: Path = Path("/srv"), **environ: str) -> Config:
    found, problems = converted(text, folder, **environ)
    assert problems == []
    assert found is not None
    return found


def test_nothing_said_is_the_default():
    assert config("") == Config()


def test_strings_and_tables_may_stand_in_one_array():
    found = config(
        "[[providers]]\nname='a'\ntype='t'\nmodels=['x', {name='y', upstream='z', context=9}]\n"
        "[[models]]\nname='m'\ntargets=['a/x', {target='a/y', weight=2}]"
    )
    assert found.providers[0].models == ("x", ProviderModel(name="y", upstream="z", context=9))
    assert found.models[0].targets == ("a/x", WeightedTarget(target="a/y", weight=2.0))


def test_text_of_a_variable_is_typed():
    found = config("[server]\nport='${P}'\nenable_retries='${R:-off}'", P="80")
    assert (found.server.port, found.server.enable_retries) == (80, False)


def test_text_of_a_variable_may_be_an_array():
    assert config("[server]\nlisten='${L}'", L=":1, :2").server.listen == (":1", ":2")


def test_text_that_is_no_variable_is_not_typed():
    _, problems = converted("[server]\nport='80'")
    assert problems == ["f:2: server.port: expected an integer from 1 to 65535, got '80'"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[server]\nprot=1", "f:2: server.prot: unknown key; did you mean 'port'?"),
        ("[serverr]", "f:1: serverr: unknown key; did you mean 'server'?"),
        ("zzz=1", "f:1: zzz: unknown key"),
        ("[mcp]", "f:1: mcp: [mcp] is not available in this version"),
        ("server=1", "f:1: server: expected a table, got a number"),
        ("server=[]", "f:1: server: expected a table, got an array"),
        ("[providers]\nname='a'", "f:1: providers: expected an array, got a table"),
        ("[[keys]]", "f:1: keys[0].name: required: expected a string that is not empty"),
        (
            "[server]\nport={a=1}",
            "f:2: server.port: expected an integer from 1 to 65535, got a table",
        ),
        (
            "[server]\nport=[1]",
            "f:2: server.port: expected an integer from 1 to 65535, got an array",
        ),
        (
            "[server]\nlog_format=2026-11-20",
            "f:2: server.log_format: expected one of text, json, got a date or time",
        ),
        ("[server]\ndebug='x'", "f:2: server.debug: expected true or false, got 'x'"),
        ("[server]\nport=true", "f:2: server.port: expected an integer from 1 to 65535, got true"),
        ("[server]\nlisten=':1'", "f:2: server.listen: expected an array, got ':1'"),
        ("[server]\nlisten=[1]", "f:2: server.listen[0]: expected a string, got 1"),
        (
            "[[keys]]\nname='k'\nsecret=17",
            "f:3: keys[0].secret: expected a string, got a number",
        ),
        ("[[keys]]\nname='k'\ntags=1", "f:3: keys[0].tags: expected a table, got a number"),
        ("[[keys]]\nname='k'\ntags={a=1}", "f:3: keys[0].tags.a: expected a string, got 1"),
    ],
)
def test_a_mistake_of_form_is_told_with_place_key_and_what_came(text: str, problem: str):
    found, problems = converted(text)
    assert problems == [problem]
    assert found is None


def test_every_mistake_is_told_in_one_go():
    _, problems = converted(
        "[server]\nport=0\nlog_level='x'\n[[keys]]\nnam='k'\n[vertex]\nfoo=1\n[x]"
    )
    assert len(problems) == 6


def test_what_a_variable_holds_is_not_quoted():
    _, problems = converted("[server]\nport='${P}'", P="sentinel")
    assert problems == [
        "f:2: server.port: expected an integer from 1 to 65535, got what ${P} holds"
    ]


def test_a_variable_that_is_not_set_causes_no_second_error():
    _, problems = converted("[server]\nport='${P}'")
    assert problems == ["f:2: server.port: the variable P is not set"]


def test_a_secret_is_read_from_a_file_beside_the_file_that_says_it(tmp_path: Path):
    (tmp_path / "k").write_text("s3cret\n")
    found = config("[[keys]]\nname='k'\nsecret='file:k'", tmp_path)
    assert found.keys[0].secret == "s3cret"


def test_a_secret_file_that_is_not_there_is_told_with_its_place(tmp_path: Path):
    _, problems = converted("[[keys]]\nname='k'\nsecret='file:k'", tmp_path)
    assert problems[0].startswith("f:3: keys[0].secret: the file ")


def test_only_secrets_are_read_from_files():
    assert config("[[keys]]\nname='file:k'\nsecret='x'").keys[0].name == "file:k"


def test_a_path_is_relative_to_the_file_that_says_it():
    found = config("[auth]\nservice_account_file='sa.json'")
    assert found.auth.service_account_file == "/srv/sa.json"


def test_an_empty_path_stays_empty():
    assert config("[auth]\nservice_account_file=''").auth.service_account_file == ""
