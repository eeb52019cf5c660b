import pytest

from modelmux.isolate.options import Options, parse


def test_a_command_alone():
    assert parse(["--", "claude", "-p", "--model"]) == Options(("claude", "-p", "--model"))


def test_every_option():
    words = "--model m --allow-model a --allow-model=b --budget-calls 3 --key k --tags x=1,y"
    more = "--workdir d --read-only --hide p --backend bwrap --image i --log l --control c -c f"
    options = parse([*words.split(), *more.split(), "--quiet", "--", "true"])
    assert options == Options(
        ("true",),
        model="m",
        allow_models=("a", "b"),
        budget_calls=3,
        key="k",
        tags="x=1,y",
        workdir="d",
        read_only=True,
        hide=("p",),
        backend="bwrap",
        image="i",
        log="l",
        control="c",
        config="f",
        quiet=True,
    )
    assert options.models == ("m", "a", "b")
    assert options.labels == {"x": "1", "y": ""}


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--",
        "true",
        "--help",
        "-h -- true",
        "--model",
        "--budget-calls x -- true",
        "--budget-calls ² -- true",
        "--budget-calls -1 -- true",
        "--backend none -- true",
        "--unknown -- true",
    ],
)
def test_what_is_not_simple_is_somebody_elses(words: str):
    assert parse(words.split()) is None


def test_a_default_model_alone_restricts_nothing():
    assert Options((), model="m").models == ()
