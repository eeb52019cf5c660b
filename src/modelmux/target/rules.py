"""Rules: expressions over the facts of a call, in CEL, compiled once.

https://cel.dev and the description of `common-expression-language`, read 2026-11-20. An
evaluation converts each value it is given, so a condition asks for the facts that it names and for
no others: about 2 µs with two of them.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from itertools import islice, product
from pathlib import Path
from typing import Final, NoReturn, Protocol, cast

from modelmux.errors import ConfigError
from modelmux.target.facts import SAMPLES, Facts

MAX_CHARS: Final = 4096
"""Longest expression: a rule that nobody can read is no rule."""

MAX_TRIALS: Final = 96
"""Most evaluations with made-up facts when a condition is compiled; one takes about 2 µs."""

FUNCTIONS: Final = frozenset(
    {
        *("all", "bool", "bytes", "contains", "double", "duration", "dyn", "endsWith", "exists"),
        *("existsOne", "exists_one", "filter", "getDate", "getDayOfMonth", "getDayOfWeek"),
        *("getDayOfYear", "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth"),
        *("getSeconds", "has", "int", "map", "matches", "size", "startsWith", "string"),
        *("timestamp", "type", "uint"),
    }
)
"""What an expression may call."""

_TYPES: Final = frozenset(
    {"bool", "bytes", "double", "dyn", "duration", "int", "list", "map", "null_type", "string"}
    | {"timestamp", "type", "uint"}
)
"""Names of types, which may be compared with `type(x)`."""

_PLACE: Final = re.compile(r"<input>:(\d+):(\d+): (?:Syntax error: )?(.*)")
_WANTED: Final = re.compile(r" expecting .*")
_BOUND: Final = re.compile(r"\.(?:all|exists|exists_one|existsOne|filter|map)\(\s*(\w+)\s*,")
_LITERAL: Final = re.compile(r"""[bBrR]{0,2}("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
_NAME: Final = re.compile(r"\w+")


class ExpressionError(ConfigError):
    """An expression cannot be used.

    Attributes:
        line: Where in its text, from 1.
        column: Which character of that line, from 1.
    """

    def __init__(self, text: str, line: int, column: int, message: str, *, hint: str = "") -> None:
        """Point into `text`."""
        lines = text.splitlines() or [""]
        shown = lines[min(line, len(lines)) - 1]
        where = f"column {column}" if len(lines) == 1 else f"line {line}, column {column}"
        pointer = f"\n  {shown}\n  {' ' * (column - 1)}^"
        super().__init__(f"{where}: {message}{pointer}", hint=hint)
        self.line = line
        self.column = column


class _Program(Protocol):
    """A compiled expression."""

    def execute(self, context: Mapping[str, object], /) -> object: ...
    def variables(self) -> list[str]: ...
    def functions(self) -> list[str]: ...


class _Cel(Protocol):
    """The library, as far as it is used."""

    def compile(self, expression: str, /) -> _Program: ...


class Condition:
    """An expression that holds for a call or does not. May be shared.

    Attributes:
        text: The expression.
        names: The facts that it asks for.
        failures: How often it could not be evaluated; it did not hold then.
    """

    __slots__ = ("_execute", "failures", "names", "text")

    def __init__(self, text: str, names: Sequence[str], program: _Program) -> None:
        """Use `compile_condition`."""
        self.text = text
        self.names = tuple(names)
        self.failures = 0
        self._execute = program.execute

    def holds(self, facts: Facts) -> bool:
        """Whether it is true of `facts`.

        What it asks of a tag or field that is not there makes it false.
        """
        try:
            return self._execute(facts.named(self.names)) is True
        except KeyError:
            return False
        except (ArithmeticError, RuntimeError, TypeError, ValueError):
            self.failures += 1
            return False


def compile_condition(
    text: str, *, also: Mapping[str, Sequence[object]] | None = None
) -> Condition:
    """The condition that `text` says.

    Args:
        text: An expression in CEL.
        also: Facts that are known beside those of `facts.SAMPLES`, each with values it may have.

    Raises:
        ExpressionError: It is not one, names what is not known, or is never true or false.
    """
    samples = SAMPLES if also is None else {**SAMPLES, **also}
    if len(text) > MAX_CHARS:
        raise ExpressionError(text[:40], 1, 1, f"expected at most {MAX_CHARS} characters")
    if not text.strip():
        raise ExpressionError(text, 1, 1, "expected an expression, got nothing")
    try:
        program = _cel().compile(text)
    except ValueError as exc:
        _refuse(text, str(exc))
    bound = set(_BOUND.findall(text))
    names = [name for name in program.variables() if name not in bound and name not in _TYPES]
    for name in names:
        if name not in samples:
            known = ", ".join(sorted(samples))
            raise _at(text, name, f"there is no fact {name!r}", f"there are: {known}")
    for name in program.functions():
        if name.isidentifier() and not name.startswith("_") and name not in FUNCTIONS:
            known = ", ".join(sorted(FUNCTIONS))
            raise _at(text, name, f"there is no function {name!r}", f"there are: {known}")
    _try(text, program, {name: samples[name] for name in names})
    return Condition(text, names, program)


def _try(text: str, program: _Program, samples: Mapping[str, Sequence[object]]) -> None:
    """Evaluate with made-up facts, so that most mistakes of type are found before any call."""
    words = [literal[1:-1] for literal in _LITERAL.findall(text)]
    numbers = [float(number) for number in _NUMBER.findall(text)]
    for values in islice(_worlds(samples, words, numbers), MAX_TRIALS):
        try:
            came = program.execute(values)
        except (ArithmeticError, KeyError):
            continue  # of facts that this world does not have
        except (RuntimeError, TypeError, ValueError) as exc:
            said = str(exc).split(" CEL does not coerce")[0].splitlines()
            message = " ".join(line.strip() for line in said if line.strip(" ^"))
            raise ExpressionError(text, 1, 1, f"cannot be evaluated: {message}") from None
        if not isinstance(came, bool):
            kind = type(came).__name__
            raise ExpressionError(text, 1, 1, f"expected true or false, got a value of type {kind}")


def _worlds(
    samples: Mapping[str, Sequence[object]], words: Sequence[str], numbers: Sequence[float]
) -> Iterator[dict[str, object]]:
    """Facts that may be: what the expression itself speaks of comes up in them."""
    choices: list[Sequence[object]] = []
    for values in samples.values():
        first = values[0]
        if isinstance(first, str):
            choices.append((*dict.fromkeys([*words[:4], ""]),))
        elif isinstance(first, bool):
            choices.append((True, False))
        elif isinstance(first, int | float):
            kind = type(first)
            near = [kind(number + step) for number in numbers[:2] for step in (0, -1, 1)]
            choices.append((*dict.fromkeys([*near, kind(0)]),))
        else:
            choices.append(values)
    for combination in product(*choices):
        yield dict(zip(samples, combination, strict=True))


def _refuse(text: str, said: str) -> NoReturn:
    """Raise what the parser says, in fewer words."""
    # What is incomplete is told first, and then what was missing.
    found = next((each for each in _PLACE.finditer(said) if "Incomplete" not in each[3]), None)
    if found is None:
        raise ExpressionError(text, 1, 1, "expected an expression in CEL") from None
    line, column, message = int(found[1]), int(found[2]), _WANTED.sub("", found[3])
    hint = ""
    if "'<EOF>'" in message:
        message = "expected more, got the end of the expression"
    elif "at: '= " in message or message.endswith("at: '='"):
        message, hint = "`=` compares nothing", "write =="
    elif word := re.search(r"(?:input|at:) ('.*')", message):
        message = f"did not expect {word[1]}"
    raise ExpressionError(text, line, column, message, hint=hint) from None


def _at(text: str, name: str, message: str, hint: str) -> ExpressionError:
    """An error at the first place where `name` stands outside of texts."""
    # Texts are blanked out, and keep their length.
    bare = _LITERAL.sub(lambda found: " " * len(found[0]), text)
    start = next((word.start() for word in _NAME.finditer(bare) if word[0] == name), 0)
    line = text.count("\n", 0, start) + 1
    column = start - (text.rfind("\n", 0, start) + 1) + 1
    return ExpressionError(text, line, column, message, hint=hint)


@cache
def _cel() -> _Cel:
    """The compiler, loaded when there is an expression.

    Without the package's command line, which it imports with itself: 160 ms and 20 MB of libraries
    for terminals, where the compiler alone takes 13 ms.
    """
    name = "cel.cel"
    if name in sys.modules:
        return cast("_Cel", sys.modules[name])
    package = find_spec("cel")
    folders = package.submodule_search_locations if package is not None else None
    for folder in folders or ():
        for suffix in EXTENSION_SUFFIXES:
            path = Path(folder) / f"cel{suffix}"
            if path.is_file():
                loader = ExtensionFileLoader(name, str(path))
                spec = spec_from_loader(name, loader)
                if spec is not None:
                    module = module_from_spec(spec)
                    loader.exec_module(module)
                    sys.modules[name] = module  # an extension can be loaded once
                    return cast("_Cel", module)
    raise ConfigError(
        "rules need the package common-expression-language, which is not installed",
        hint="pip install common-expression-language",
    )
