"""Holds modules, functions and files to the sizes of `[tool.modelmux.sizes]` in pyproject.toml.

The tail is what tells a good code base from a bad one, not the median: so there is a limit, and a
list of exceptions that can only get shorter. An exception states the size it was granted for. A
unit that has outgrown it fails, and so does one that has shrunk, until the exception is lowered or
removed.
"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Limits:
    """What `[tool.modelmux.sizes]` says."""

    paths: Sequence[str]
    """Folders whose modules and functions are measured; one that does not exist is passed over."""
    module_lines: int
    function_lines: int
    file_bytes: int
    exceptions: Mapping[str, int]
    """`path` of a module or file, or `path:Class.function`, to the size it was granted."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing with a size: a module, a function or a file."""

    name: str
    size: int
    limit: int
    measure: str


def read_limits(pyproject: Path) -> Limits:
    """The limits of a project; a missing key is a `KeyError`."""
    table = tomllib.loads(pyproject.read_text())["tool"]["modelmux"]["sizes"]
    return Limits(
        paths=table["paths"],
        module_lines=table["module_lines"],
        function_lines=table["function_lines"],
        file_bytes=table["file_bytes"],
        exceptions=table["exceptions"],
    )


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Every function of a module with its dotted name, nested ones included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield prefix + node.name, node
        if isinstance(node, Function | ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        else:
            yield from functions(node, prefix)


def function_lines(function: Function) -> int:
    """Lines from `def` to the end, the docstring not counted: explaining costs nothing."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def python_units(root: Path, limits: Limits) -> Iterator[Unit]:
    """Every module and function below the configured paths."""
    for path in sorted(file for top in limits.paths for file in (root / top).rglob("*.py")):
        source = path.read_text()
        name = path.relative_to(root).as_posix()
        yield Unit(name, len(source.splitlines()), limits.module_lines, "lines")
        for dotted, function in functions(ast.parse(source, name)):
            lines = function_lines(function)
            yield Unit(f"{name}:{dotted}", lines, limits.function_lines, "lines")


def file_units(root: Path, names: Sequence[str], limits: Limits) -> Iterator[Unit]:
    """Every file of `names` that exists."""
    for name in names:
        path = root / name
        if path.is_file():
            yield Unit(name, path.stat().st_size, limits.file_bytes, "bytes")


def git_files(root: Path) -> list[str]:
    """Names of the files git tracks or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return sorted({name for name in listing.stdout.split("\0") if name})


def problems(units: Sequence[Unit], exceptions: Mapping[str, int]) -> Iterator[str]:
    """One line for each unit over its limit and each exception that is not exactly needed."""
    seen: set[str] = set()
    for unit in units:
        granted = exceptions.get(unit.name)
        if unit.size > unit.limit:
            seen.add(unit.name)
        if granted is None:
            if unit.size > unit.limit:
                yield f"{unit.name}: {unit.size} {unit.measure}, the limit is {unit.limit}"
        elif unit.size > max(granted, unit.limit):
            yield f"{unit.name}: {unit.size} {unit.measure}, its exception is {granted}"
        elif unit.limit < unit.size < granted:
            yield f"{unit.name}: {unit.size} {unit.measure}: lower its exception from {granted}"
    for name in sorted(exceptions.keys() - seen):
        yield f"{name}: is within the limit or gone: remove its exception"


def main() -> int:
    """Check the working directory; 1 if anything is to be said."""
    root = Path.cwd()
    limits = read_limits(root / "pyproject.toml")
    units = [*python_units(root, limits), *file_units(root, git_files(root), limits)]
    found = list(problems(units, limits.exceptions))
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
