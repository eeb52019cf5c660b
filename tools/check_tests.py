"""Holds the tests to their shape: a test module for each module, nothing skipped, nobody sleeping.

Configured by `[tool.modelmux.tests]` in pyproject.toml:

- `mirrors`: source folder to the folder its tests mirror it in;
- `untested`: modules that may go without a test module of their own;
- `sleeping`: test files that may sleep, because nothing tells them when to go on.

An exception that is no longer needed is an error, so both lists can only get shorter.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SKIPS = {
    "pytest.skip",
    "pytest.xfail",
    "pytest.importorskip",
    "pytest.mark.skip",
    "pytest.mark.skipif",
    "unittest.skip",
    "unittest.skipIf",
    "unittest.skipUnless",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What `[tool.modelmux.tests]` says."""

    mirrors: Mapping[str, str]
    untested: Sequence[str]
    sleeping: Sequence[str]


def read_rules(pyproject: Path) -> Rules:
    """The rules of a project; a missing key is a `KeyError`."""
    table = tomllib.loads(pyproject.read_text())["tool"]["modelmux"]["tests"]
    return Rules(table["mirrors"], table["untested"], table["sleeping"])


def has_code(tree: ast.Module) -> bool:
    """Whether there is anything to test: a function with a body, or a class that is no protocol."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return True
        if isinstance(node, ast.ClassDef) and not _is_protocol(node):
            return True
        if isinstance(node, ast.For | ast.While | ast.With | ast.Try):
            return True
    return False


def _is_protocol(node: ast.ClassDef) -> bool:
    bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
    return any(ast.unparse(base) in {"Protocol", "typing.Protocol"} for base in bases)


def test_module(module: Path) -> Path:
    """Where the tests of a module are, relative to its mirror: `a/b.py` in `a/test_b.py`."""
    stem = "init" if module.name == "__init__.py" else module.stem.strip("_")
    return module.with_name(f"test_{stem}.py")


def untested_modules(root: Path, mirrors: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Every module that has code and no test module, with where that should be."""
    for source, mirror in mirrors.items():
        for path in sorted((root / source).rglob("*.py")):
            expected = root / mirror / test_module(path.relative_to(root / source))
            if not expected.is_file() and has_code(ast.parse(path.read_text(), str(path))):
                yield path.relative_to(root).as_posix(), expected.relative_to(root).as_posix()


def imported_names(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for: `from time import sleep as s` is `s: time.sleep`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    names[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def qualified(node: ast.expr, names: Mapping[str, str]) -> str:
    """The dotted name of an expression with imports resolved, or nothing if it is not a name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        owner = qualified(node.value, names)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def skips(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every place that skips a test, or expects it to fail without saying why."""
    names = imported_names(tree)
    excused: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = qualified(node.func, names)
            if name == "pytest.mark.xfail" and _has_reason(node):
                excused.add(id(node.func))
        elif isinstance(node, ast.Attribute | ast.Name) and id(node) not in excused:
            name = qualified(node, names)
            if name == "pytest.mark.xfail":
                yield node.lineno, "xfail without a reason"
            elif name in SKIPS:
                yield node.lineno, f"{name}: a test is run or removed"


def _has_reason(call: ast.Call) -> bool:
    reasons = [keyword.value for keyword in call.keywords if keyword.arg == "reason"]
    return any(isinstance(value, ast.Constant) and bool(value.value) for value in reasons)


def sleeps(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every place that sleeps; `asyncio.sleep(0)`, which only lets others run, is none."""
    names = imported_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = qualified(node.func, names)
            yields = bool(node.args) and ast.unparse(node.args[0]) == "0"
            if name == "time.sleep" or (name == "asyncio.sleep" and not yields):
                yield node.lineno, f"{name}: wait for what should happen, not for time to pass"


def test_files(root: Path) -> list[Path]:
    """Every Python file below `tests`, Node's packages aside."""
    files = sorted((root / "tests").rglob("*.py"))
    return [path for path in files if "node_modules" not in path.parts]


def missing_test_problems(root: Path, rules: Rules) -> Iterator[str]:
    """One line for each module without its test module, and for each exception not needed."""
    missing = dict(untested_modules(root, rules.mirrors))
    for module, expected in missing.items():
        if module not in rules.untested:
            yield f"{module}: has no {expected}"
    for module in rules.untested:
        if module not in missing:
            yield f"{module}: is tested or gone: remove it from `untested`"


def conduct_problems(root: Path, rules: Rules) -> Iterator[str]:
    """One line for each skip and sleep in the tests, and for each exception not needed."""
    asleep: set[str] = set()
    for path in test_files(root):
        name = path.relative_to(root).as_posix()
        tree = ast.parse(path.read_text(), name)
        for line, problem in skips(tree):
            yield f"{name}:{line}: {problem}"
        for line, problem in sleeps(tree):
            asleep.add(name)
            if name not in rules.sleeping:
                yield f"{name}:{line}: {problem}"
    for name in rules.sleeping:
        if name not in asleep:
            yield f"{name}: does not sleep: remove it from `sleeping`"


def main() -> int:
    """Check the working directory; 1 if anything is to be said."""
    root = Path.cwd()
    rules = read_rules(root / "pyproject.toml")
    found = [*missing_test_problems(root, rules), *conduct_problems(root, rules)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
