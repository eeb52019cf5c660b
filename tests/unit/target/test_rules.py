import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import ConfigError
from modelmux.target.call import Call
from modelmux.target.facts import SAMPLES, Facts, World
from modelmux.target.rules import FUNCTIONS, Condition, ExpressionError, compile_condition
from tests.support import linewire
from tests.support.linewire import LineWire

WIRE = LineWire("line")


def facts(**changes: object) -> Facts:
    raw = linewire.request_body("hello", model="gpt-4")
    call = Call(WIRE, raw, WIRE.envelope(raw))
    for name, value in changes.items():
        setattr(call, name, value)
    return Facts(call, World(hour=lambda: 10))


def refusal(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        compile_condition(text)
    return caught.value


def test_a_condition_holds_when_it_is_true_of_the_facts():
    assert compile_condition('model == "gpt-4" && tokens < 1000').holds(facts())
    assert not compile_condition('model == "gpt-3"').holds(facts())


def test_a_condition_asks_for_the_facts_that_it_names():
    assert compile_condition('hour > 8 && tags.exists(k, k == "a")').names == ("hour", "tags")


def test_a_tag_that_is_not_there_makes_a_condition_false():
    condition = compile_condition('tags.team == "a"')
    assert not condition.holds(facts())
    assert condition.holds(facts(tags={"team": "a"}))
    assert condition.failures == 0


def test_what_cannot_be_evaluated_does_not_hold_and_is_counted():
    condition = compile_condition("int(tags.level) > 2")
    assert not condition.holds(facts(tags={"level": "high"}))
    assert condition.failures == 1


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("model = 3", 1, 7, "`=` compares nothing"),
        ('model == "a" &&', 1, 16, "got the end of the expression"),
        ("stream ? hour", 1, 14, "got the end of the expression"),
        ('stream &&\n  mondel == "mondel"', 2, 3, "there is no fact 'mondel'"),
        ('"lower" == lower(model)', 1, 12, "there is no function 'lower'"),
        ("1 +* 2", 1, 4, "did not expect '*'"),
        ("", 1, 1, "got nothing"),
        ("tokens", 1, 1, "expected true or false, got a value of type int"),
        ('model == "m" && tokens < "a"', 1, 1, "not defined for the given operand types"),
        ('model.matches("(")', 1, 1, "not a valid regex"),
        ("true" + " || true" * 1000, 1, 1, "at most 4096 characters"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, line: int, column: int, said: str):
    error = refusal(text)
    assert said in error.message
    assert (error.line, error.column) == (line, column)


def test_the_place_is_pointed_at():
    assert refusal("model = 3").message.splitlines()[1:] == ["  model = 3", "        ^"]


def test_an_unknown_fact_is_told_with_those_there_are():
    assert "cost_estimate, deterministic, error_rate" in refusal("nonsense").hint


def test_further_facts_can_be_known():
    condition = compile_condition("age > 3", also={"age": (0,)})
    call = Call(WIRE, b"", WIRE.envelope(linewire.request_body()))
    more = {"age": lambda _call: 4}
    assert condition.holds(Facts(call, World(hour=lambda: 0), more=more))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_that_is_allowed_is_there(name: str):
    forms = (
        f"{name}(tags.x)",
        f"size([1].{name}(x, x > 0)) == 1",
        f"[1].{name}(x, x == 1)",
        f"{name}(tokens) == {name}(tokens)",
        f'{name}("1") == {name}("1")',
        f'{name}("1s") == {name}("1s")',
        f'{name}("2026-01-01T00:00:00Z") == {name}("2026-01-01T00:00:00Z")',
        f'timestamp("2026-01-01T00:00:00Z").{name}() >= 0',
        f'model.{name}("x")',
    )
    assert any(can_be_compiled(form) for form in forms)


def can_be_compiled(text: str) -> bool:
    try:
        compile_condition(text)
    except ExpressionError:
        return False
    return True


@given(st.sampled_from(sorted(SAMPLES)), st.sampled_from(["==", "!="]))
def test_every_fact_can_be_compared(name: str, sign: str):
    assert isinstance(compile_condition(f"{name} {sign} {name}"), Condition)


@given(st.text(max_size=60))
def test_no_text_makes_the_compiler_raise_anything_but_its_error(text: str):
    try:
        compile_condition(text)
    except ExpressionError as exc:
        assert exc.line >= 1
        assert exc.column >= 1


def test_the_compiler_comes_without_its_command_line():
    code = (
        "import sys; from modelmux.target.rules import compile_condition;"
        "compile_condition('true'); print([m for m in sys.modules if 'prompt_toolkit' in m])"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_error_of_an_expression_is_one_of_the_configuration():
    assert issubclass(ExpressionError, ConfigError)
