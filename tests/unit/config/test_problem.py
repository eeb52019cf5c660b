import pytest

from modelmux.config.origin import DEFAULT, Branch, Leaf, Origin
from modelmux.config.problem import Place, Report, did_you_mean, located, nearest
from modelmux.errors import ConfigError

HERE = Origin("project", "modelmux.toml", 7)


def test_a_problem_names_file_line_and_key():
    error = located(HERE, ("server", "port"), "expected an integer, got 'x'", "write a number")
    assert error.message == "modelmux.toml:7: server.port: expected an integer, got 'x'"
    assert (error.hint, error.param) == ("write a number", "server.port")


def test_a_problem_with_a_default_names_no_place():
    assert located(DEFAULT, ("server",), "no").message == "server: no"


def test_one_problem_is_raised_as_it_is():
    report = Report()
    report.error(HERE, (), "first", "do this")
    with pytest.raises(ConfigError) as caught:
        report.raise_errors()
    assert caught.value.message == "modelmux.toml:7: first"
    assert caught.value.problems == (caught.value,)


def test_several_problems_are_raised_together_and_each_once():
    report = Report()
    for message in ("first", "second", "first"):
        report.error(HERE, (), message)
    with pytest.raises(ConfigError) as caught:
        report.raise_errors()
    told = [each.message for each in caught.value.problems]
    assert told == ["modelmux.toml:7: first", "modelmux.toml:7: second"]
    assert caught.value.message == "\n".join(told)


def test_a_report_without_errors_raises_nothing():
    Report().raise_errors()


def test_a_secret_that_the_report_knows_is_masked_in_every_message():
    report = Report()
    report.hide("top\nsecret")
    report.error(HERE, (), "got 'top\\nsecret'", "not top\nsecret")
    report.warn(HERE, (), "top\nsecret is short")
    said = [report.errors[0].message, report.errors[0].hint, *report.warnings]
    assert said == ["modelmux.toml:7: got '***'", "not ***", "modelmux.toml:7: *** is short"]


def test_a_secret_inside_another_leaves_nothing_of_it():
    report = Report()
    report.hide("abcdefgh")
    report.hide("abcdefghij")
    report.warn(HERE, (), "abcdefghij")
    assert report.warnings == ["modelmux.toml:7: ***"]


def test_a_place_finds_the_line_by_itself():
    report = Report()
    root = Branch({"server": Leaf(1, HERE)}, Origin("project", "modelmux.toml"))
    Place(root, report).warn(("server", "port"), "low")
    assert report.warnings == ["modelmux.toml:7: server.port: low"]


def test_the_nearest_word_is_offered_and_a_strange_one_is_not():
    assert nearest("provjders", ["providers", "models"]) == "providers"
    assert did_you_mean("provjders", ["providers"]) == "; did you mean 'providers'?"
    assert did_you_mean("zzz", ["providers"]) == ""
