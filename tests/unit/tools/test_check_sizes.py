import ast
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import check_sizes
from tools.check_sizes import Limits, Unit

LIMITS = Limits(paths=["src"], module_lines=5, function_lines=3, file_bytes=100, exceptions={})


def only_function(source: str) -> check_sizes.Function:
    ((_, function),) = check_sizes.functions(ast.parse(source))
    return function


def over(size: int, name: str = "src/a.py") -> Unit:
    return Unit(name, size, 5, "lines")


def test_a_function_is_as_long_as_its_code():
    assert check_sizes.function_lines(only_function("def f():\n    a = 1\n\n    return a\n")) == 4


def test_decorators_are_not_counted():
    assert check_sizes.function_lines(only_function("@d\n@e\ndef f(): ...\n")) == 1


def test_a_docstring_is_not_counted():
    source = 'def f():\n    """One.\n\n    Two.\n    """\n    return 1\n'
    assert check_sizes.function_lines(only_function(source)) == 2


def test_methods_and_nested_functions_have_dotted_names():
    source = (
        "class A:\n"
        "    async def b(self):\n"
        "        def c(): ...\n"
        "    if True:\n"
        "        def d(self): ...\n"
        "def e(): ...\n"
    )
    names = [name for name, _ in check_sizes.functions(ast.parse(source))]
    assert names == ["A.b", "A.b.c", "A.d", "e"]


def test_modules_and_functions_below_the_paths_are_measured(tmp_path: Path):
    (tmp_path / "src" / "p").mkdir(parents=True)
    (tmp_path / "src" / "p" / "a.py").write_text("def f():\n    return 1\n\n\nX = f()\n")
    (tmp_path / "elsewhere.py").write_text("x = 1\n" * 50)
    assert list(check_sizes.python_units(tmp_path, LIMITS)) == [
        Unit("src/p/a.py", 5, 5, "lines"),
        Unit("src/p/a.py:f", 2, 3, "lines"),
    ]


def test_files_that_are_gone_are_not_measured(tmp_path: Path):
    (tmp_path / "here").write_bytes(b"x" * 7)
    names = ["gone", "here"]
    assert list(check_sizes.file_units(tmp_path, names, LIMITS)) == [Unit("here", 7, 100, "bytes")]


def test_files_that_git_ignores_are_not_listed(tmp_path: Path):
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "ignored").touch()
    (tmp_path / "kept with space").touch()
    assert check_sizes.git_files(tmp_path) == [".gitignore", "kept with space"]


def test_a_unit_within_its_limit_is_no_problem():
    assert list(check_sizes.problems([over(5)], {})) == []


def test_a_unit_over_its_limit_is_a_problem():
    (problem,) = check_sizes.problems([over(6)], {})
    assert problem == "src/a.py: 6 lines, the limit is 5"


def test_an_exception_allows_just_what_it_says():
    assert list(check_sizes.problems([over(8)], {"src/a.py": 8})) == []


def test_a_unit_that_outgrew_its_exception_is_a_problem():
    (problem,) = check_sizes.problems([over(9)], {"src/a.py": 8})
    assert problem == "src/a.py: 9 lines, its exception is 8"


def test_an_exception_must_shrink_with_its_unit():
    (problem,) = check_sizes.problems([over(7)], {"src/a.py": 8})
    assert problem == "src/a.py: 7 lines: lower its exception from 8"


@pytest.mark.parametrize("units", [[over(5)], []])
def test_an_exception_that_is_not_needed_is_a_problem(units: list[Unit]):
    (problem,) = check_sizes.problems(units, {"src/a.py": 8})
    assert problem == "src/a.py: is within the limit or gone: remove its exception"


def test_an_exception_for_a_modules_lines_says_nothing_about_its_bytes():
    units = [over(8), Unit("src/a.py", 50, 100, "bytes")]
    assert list(check_sizes.problems(units, {"src/a.py": 8})) == []


@given(st.integers(1, 20), st.none() | st.integers(1, 20))
def test_a_unit_passes_when_it_fits_or_its_exception_fits_exactly(size: int, granted: int | None):
    exceptions = {} if granted is None else {"src/a.py": granted}
    passes = not list(check_sizes.problems([over(size)], exceptions))
    assert passes == (size <= 5 if granted is None else size > 5 and size == granted)


def test_the_command_prints_problems_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.modelmux.sizes]\n"
        'paths = ["src"]\nmodule_lines = 3\nfunction_lines = 3\nfile_bytes = 1000\n'
        'exceptions = { "src/gone.py" = 9 }\n'
    )
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("x = 1\n" * 4)
    monkeypatch.chdir(tmp_path)

    assert check_sizes.main() == 1
    assert capsys.readouterr().out.splitlines() == [
        "src/a.py: 4 lines, the limit is 3",
        "src/gone.py: is within the limit or gone: remove its exception",
    ]


def test_the_projects_own_table_is_read():
    limits = check_sizes.read_limits(Path("pyproject.toml"))
    assert "src" in limits.paths
    assert limits.module_lines == 500
    assert limits.function_lines == 60
