import ast
from pathlib import Path

import pytest

from tools import check_tests
from tools.check_tests import Rules


def write(root: Path, name: str, text: str = "def f():\n    return 1\n") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def rules(untested: tuple[str, ...] = (), sleeping: tuple[str, ...] = ()) -> Rules:
    return Rules({"src/pkg": "tests/unit"}, untested, sleeping)


def skips(source: str) -> list[str]:
    return [problem for _, problem in check_tests.skips(ast.parse(source))]


def sleeps(source: str) -> list[int]:
    return [line for line, _ in check_tests.sleeps(ast.parse(source))]


@pytest.mark.parametrize(
    "source",
    [
        '"""Words."""\n',
        "from a import b\n__all__ = ['b']\nVERSION = '1'\n",
        "from typing import Protocol\nclass P(Protocol):\n    def f(self) -> int: ...\n",
        "import typing\nclass P(typing.Protocol[T]):\n    def f(self) -> T: ...\n",
    ],
)
def test_words_imports_names_and_protocols_are_no_code(source: str):
    assert not check_tests.has_code(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    ["def f(): ...\n", "async def f(): ...\n", "class A:\n    x: int\n", "for x in y:\n    z(x)\n"],
)
def test_functions_classes_and_loops_are_code(source: str):
    assert check_tests.has_code(ast.parse(source))


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("a/b.py", "a/test_b.py"),
        ("a/__init__.py", "a/test_init.py"),
        ("__main__.py", "test_main.py"),
        ("_private.py", "test_private.py"),
    ],
)
def test_a_module_and_its_test_module_mirror_each_other(module: str, expected: str):
    assert check_tests.test_module(Path(module)) == Path(expected)


def test_a_module_without_its_test_module_is_a_problem(tmp_path: Path):
    write(tmp_path, "src/pkg/a/b.py")
    (problem,) = check_tests.missing_test_problems(tmp_path, rules())
    assert problem == "src/pkg/a/b.py: has no tests/unit/a/test_b.py"


def test_a_module_with_its_test_module_is_none(tmp_path: Path):
    write(tmp_path, "src/pkg/a/b.py")
    write(tmp_path, "tests/unit/a/test_b.py")
    assert not list(check_tests.missing_test_problems(tmp_path, rules()))


def test_a_module_may_be_excused_from_having_tests(tmp_path: Path):
    write(tmp_path, "src/pkg/a.py")
    assert not list(check_tests.missing_test_problems(tmp_path, rules(untested=("src/pkg/a.py",))))


@pytest.mark.parametrize("exists", [True, False])
def test_an_excuse_that_is_not_needed_is_a_problem(tmp_path: Path, exists: bool):
    if exists:
        write(tmp_path, "src/pkg/a.py")
        write(tmp_path, "tests/unit/test_a.py")
    found = check_tests.missing_test_problems(tmp_path, rules(untested=("src/pkg/a.py",)))
    assert list(found) == ["src/pkg/a.py: is tested or gone: remove it from `untested`"]


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\npytest.skip('no')\n",
        "import pytest\npytest.importorskip('x')\n",
        "import pytest\n@pytest.mark.skip\ndef test_x(): ...\n",
        "import pytest\npytestmark = [pytest.mark.skipif(True, reason='no')]\n",
        "from pytest import mark\n@mark.skip(reason='no')\ndef test_x(): ...\n",
        "from pytest import skip as leave\nleave()\n",
        "import unittest as u\n@u.skipIf(True, 'no')\ndef test_x(): ...\n",
        "import pytest\n@pytest.mark.xfail\ndef test_x(): ...\n",
        "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_x(): ...\n",
        "import pytest\n@pytest.mark.xfail(reason='')\ndef test_x(): ...\n",
    ],
)
def test_every_way_to_skip_is_seen_once(source: str):
    assert len(skips(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\n@pytest.mark.xfail(reason='the parser is wrong')\ndef test_x(): ...\n",
        "import pytest\n@pytest.mark.parametrize('a', [1])\ndef test_x(a): ...\n",
        "body.skip(3)\n",
        "'pytest.skip'\n",
    ],
)
def test_what_skips_nothing_is_let_pass(source: str):
    assert skips(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(1)\n",
        "import time as clock\nclock.sleep(0)\n",
        "from time import sleep\nsleep(1)\n",
        "import asyncio\nasync def f(): await asyncio.sleep(0.1)\n",
        "from asyncio import sleep as nap\nasync def f(): await nap(delay)\n",
    ],
)
def test_every_way_to_sleep_is_seen(source: str):
    assert sleeps(source) == [2]


@pytest.mark.parametrize(
    "source", ["import asyncio\nasync def f(): await asyncio.sleep(0)\n", "clock.sleep(3)\n"]
)
def test_letting_others_run_and_a_fake_clock_are_no_sleep(source: str):
    assert sleeps(source) == []


def test_skips_and_sleeps_are_reported_with_their_place(tmp_path: Path):
    write(tmp_path, "tests/unit/test_a.py", "import pytest, time\npytest.skip()\ntime.sleep(1)\n")
    write(tmp_path, "tests/node/node_modules/x/test_b.py", "import time\ntime.sleep(1)\n")
    assert list(check_tests.conduct_problems(tmp_path, rules())) == [
        "tests/unit/test_a.py:2: pytest.skip: a test is run or removed",
        "tests/unit/test_a.py:3: time.sleep: wait for what should happen, not for time to pass",
    ]


def test_a_test_file_may_be_allowed_to_sleep(tmp_path: Path):
    write(tmp_path, "tests/unit/test_a.py", "import time\ntime.sleep(1)\n")
    allowed = rules(sleeping=("tests/unit/test_a.py",))
    assert not list(check_tests.conduct_problems(tmp_path, allowed))


def test_a_permission_to_sleep_that_is_not_used_is_a_problem(tmp_path: Path):
    write(tmp_path, "tests/unit/test_a.py", "x = 1\n")
    allowed = rules(sleeping=("tests/unit/test_a.py",))
    assert list(check_tests.conduct_problems(tmp_path, allowed)) == [
        "tests/unit/test_a.py: does not sleep: remove it from `sleeping`"
    ]


def test_the_command_prints_problems_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write(
        tmp_path,
        "pyproject.toml",
        '[tool.modelmux.tests]\nmirrors = { "src" = "tests/unit" }\nuntested = []\nsleeping = []\n',
    )
    write(tmp_path, "src/a.py")
    monkeypatch.chdir(tmp_path)

    assert check_tests.main() == 1
    assert capsys.readouterr().out == "src/a.py: has no tests/unit/test_a.py\n"


def test_the_command_is_silent_when_all_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write(
        tmp_path,
        "pyproject.toml",
        '[tool.modelmux.tests]\nmirrors = { "src" = "tests/unit" }\nuntested = []\nsleeping = []\n',
    )
    monkeypatch.chdir(tmp_path)

    assert check_tests.main() == 0
    assert capsys.readouterr().out == ""
