"""The list of translation cases and the tests that prove them name the same numbers."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def listed() -> set[int]:
    text = (ROOT / "docs/reference/translation-cases.md").read_text()
    return {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}


def proved() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        if "node_modules" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in (
                    "case",
                    "cases.case",
                ):
                    for argument in decorator.args:
                        found.setdefault(ast.literal_eval(argument), []).append(node.name)
    return found


def test_every_listed_case_is_proved() -> None:
    assert sorted(listed() - proved().keys()) == []


def test_every_proved_case_is_listed() -> None:
    assert sorted(proved().keys() - listed()) == []
