"""Dependencies are declared, locked, and explained: each of the three agrees with the others."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LEVELS = ("run", "test", "dev")
LOCKS = {level: (ROOT / f"requirements/{level}.txt").read_text() for level in LEVELS}


def pins(lock: str) -> dict[str, str]:
    """Name to version of everything a lock installs."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


PINS = {level: pins(lock) for level, lock in LOCKS.items()}


def declared() -> dict[str, list[Requirement]]:
    """What `pyproject.toml` asks for, by the lock it has to be in."""
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    run = [*project["dependencies"], *extras, *groups["build"]]
    texts = {"run": run, "test": groups["test"], "dev": groups["lint"]}
    return {level: [Requirement(text) for text in texts[level]] for level in LEVELS}


DECLARED = declared()
ALL_DECLARED = [requirement for level in LEVELS for requirement in DECLARED[level]]


@pytest.mark.parametrize("level", LEVELS)
def test_each_lock_satisfies_what_is_declared(level: str):
    for requirement in DECLARED[level]:
        pinned = PINS[level][canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pinned), f"{requirement}: scripts/lock was not run"


@pytest.mark.parametrize(("lower", "upper"), [("run", "test"), ("test", "dev")])
def test_each_lock_holds_the_one_below_it(lower: str, upper: str):
    assert PINS[lower].items() <= PINS[upper].items()


@pytest.mark.parametrize("level", LEVELS)
def test_everything_locked_has_hashes(level: str):
    entries = re.split(r"^(?=[a-z0-9])", LOCKS[level], flags=re.MULTILINE)
    assert [entry for entry in entries if entry.strip() and "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    "name",
    [
        *(f"requirements/{level}.txt" for level in LEVELS),
        "tests/node/package-lock.json",
        "tests/agents/node/package-lock.json",
    ],
)
def test_no_lock_names_a_registry(name: str):
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "--index" not in text


def test_the_packages_of_node_are_pinned_with_hashes():
    lock = (ROOT / "tests/node/package-lock.json").read_text()
    package = (ROOT / "tests/node/package.json").read_text()
    assert lock.count('"integrity"') == lock.count('"node_modules/')
    assert not re.search(r'": "[\^~*><]', package.partition('"dependencies"')[2])


@pytest.mark.parametrize("requirement", ALL_DECLARED, ids=lambda requirement: requirement.name)
def test_every_dependency_is_explained(requirement: Requirement):
    page = (ROOT / "docs/dependencies.md").read_text()
    assert f"`{requirement.name}`" in page


def test_nothing_is_explained_that_is_not_used():
    page = (ROOT / "docs/dependencies.md").read_text()
    rows = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+)", page, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    npm = {name for name in named if name.startswith("@")}
    assert named - npm == {requirement.name for requirement in ALL_DECLARED}


@pytest.mark.parametrize("requirement", DECLARED["run"], ids=lambda requirement: requirement.name)
def test_a_library_is_not_bounded_from_above(requirement: Requirement):
    assert {spec.operator for spec in requirement.specifier} <= {">="}


def imported() -> Iterator[tuple[str, str]]:
    """Module and top-level name of everything that the package imports from elsewhere."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top != "modelmux":
                    yield path.relative_to(ROOT).as_posix(), top


def owners(modules: Mapping[str, list[str]], top: str) -> set[str]:
    """Which installed distributions provide a top-level module."""
    return {canonicalize_name(name) for name in modules.get(top, [])}


CALLERS_LIBRARIES = frozenset({"anthropic", "httpx", "openai"})


def test_the_package_imports_only_what_it_declares():
    # The environment of the tests holds more than an installation does: a library that a test tool
    # brought along would be imported here, and missing there.
    modules = metadata.packages_distributions()
    declared_names = {canonicalize_name(requirement.name) for requirement in DECLARED["run"]}
    undeclared = [
        f"{module} imports {top}"
        for module, top in imported()
        if not owners(modules, top) & declared_names
        # `modelmux.client` is for programs that have these already.
        and not (module.startswith("src/modelmux/client/") and top in CALLERS_LIBRARIES)
    ]
    assert undeclared == []
