"""What users touch is documented: a command, a key, a header, a metric or an error code that the
code has and the pages have not (or the other way round) is told here.
"""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import click
import pytest
from prometheus_client.parser import text_string_to_metric_families

import modelmux
from modelmux import __version__, errors
from modelmux.cli.commands import COMMANDS, LATER
from modelmux.config.gateway import Gateway
from modelmux.config.load import Loaded
from modelmux.config.schema import Config
from modelmux.errors import GatewayError
from modelmux.ingress import app, http
from modelmux.ingress.health import Health
from modelmux.provider.admission import Figures
from modelmux.target import affinity, regions
from modelmux.target.record import CallRecord
from modelmux.telemetry import lines
from modelmux.telemetry.exposition import Connections
from modelmux.wire.anthropic_messages import errors as anthropic_errors
from modelmux.wire.openai import errors as openai_errors
from tests.docs.player import ROOT
from tools import make_config_reference

SOURCE = ROOT / "src/modelmux"


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def rows(text: str) -> list[list[str]]:
    """The cells of every row of every table, without the rows that head one."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [re.split(r" *(?<!\\)\| *", line)[1:-1] for line in lines]
    rules = {index for index, row in enumerate(cells) if not "".join(row).strip("-: ")}
    return [row for index, row in enumerate(cells) if not {index, index + 1} & rules]


def codes(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", text)


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next one of its level."""
    level = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    assert level, f"there is no heading {title!r}"
    rest = text[level.end() :]
    following = re.search(rf"^#{{1,{len(level[1])}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


# Configuration


def test_the_page_of_the_configuration_is_what_the_schema_says():
    text = make_config_reference.PAGE.read_text()
    hint = "python -m tools.make_config_reference writes it"
    assert make_config_reference.renewed(text) == text, hint


# Command line


def options(command: click.Command) -> set[str]:
    """Every way to write an option of a command, or of those below it."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return {
        name
        for each in (command, *below)
        for parameter in each.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }


def loaded_command(name: str) -> click.Command:
    command = import_module(COMMANDS[name].module).command
    assert isinstance(command, click.Command)
    return command


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"config"}))
def test_a_command_is_documented_with_its_options(name: str):
    text = page("reference/cli.md")
    (title,) = re.findall(rf"^## (`modelmux {name}\b.*)$", text, re.MULTILINE)
    said = {
        word
        for code in codes(section(text, title).replace("\\|", "|"))
        for word in code.split()
        if re.fullmatch(r"--?[a-z-]+", word)
    }
    assert said - {"-"} == options(loaded_command(name))


def test_the_commands_below_config_are_documented_with_their_options():
    group = loaded_command("config")
    assert isinstance(group, click.Group)
    found: dict[str, set[str]] = {}
    for row in rows(section(page("reference/cli.md"), "`modelmux config`")):
        name = codes(row[0])[0].split()[2]
        found[name] = {word for code in codes(row[2]) for word in code.split() if word[0] == "-"}
    assert found == {name: options(command) for name, command in group.commands.items()}


def test_every_reserved_command_is_named():
    assert set(codes(section(page("reference/cli.md"), "Reserved"))) == LATER


COMMAND = re.compile(r"^(?:\w+=\S+ )*modelmux ([^&|;\n]+)", re.MULTILINE)


def test_every_command_that_a_page_shows_exists():
    """Examples that do not run: their command and options are at least there."""
    for path in sorted((ROOT / "docs").rglob("*.md")):
        for line in re.findall(
            r"^(?:\w+=\S+ )*modelmux ([^&|;\n]+)", path.read_text(), re.MULTILINE
        ):
            words = line.partition("#")[0].split()
            if words[0] not in COMMANDS:
                continue
            command = loaded_command(words[0])
            if isinstance(command, click.Group):
                command = command.commands[words[1]]
            said = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}
            assert said <= options(command) | {"--debug"}, f"{path}: {line}"


# HTTP


def routes() -> Iterator[str]:
    """Method and path of every endpoint for callers."""

    def nothing(*_: object) -> None:
        raise AssertionError

    table = app.doors(nothing, Health(nothing, nothing, nothing), nothing, nothing)
    for paths, end in ((table._exact, ""), (table._prefixes, "{id}")):
        for path, methods in paths.items():
            if not path.startswith("/models/v1"):
                yield from (f"{method} {path}{end}" for method in methods)


def test_every_path_is_documented():
    text = section(page("reference/http.md"), "Paths")
    documented = {code for row in rows(text) for code in codes(row[0])}
    assert documented == {*routes(), "/models/v1/…"}


def test_every_request_header_that_is_read_is_documented():
    text = section(page("reference/http.md"), "Request headers")
    documented = {
        re.split(r"[: ]", code)[0] for row in rows(text) for code in codes(row[0]) if code[0] != "?"
    }
    by_targets = {affinity.SESSION_HEADER.decode(), regions.REGION_HEADER.decode()}
    assert documented == {*http._WANTED.values(), *by_targets}


def header_fields() -> set[str]:
    """Names of header fields that answers are given, as they stand in the code."""
    found = {"connection", "content-length"}
    for path in [*(SOURCE / "ingress").glob("*.py"), SOURCE / "provider/model.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Tuple(elts=[ast.Constant(value=bytes() as name), _]):
                    found.add(name.decode())
                case ast.Dict(keys=[ast.Constant(value=bytes() as name)]):
                    found.add(name.decode())
                case _:
                    pass
    return found


def test_every_response_header_is_documented():
    text = section(page("reference/http.md"), "Response headers")
    documented = {code.partition(":")[0] for row in rows(text) for code in codes(row[0])}
    assert documented == header_fields()


def test_every_client_that_is_told_apart_is_documented():
    table = tomllib.loads((SOURCE / "ingress/clients.toml").read_text())
    text = section(page("howto/streaming.md"), "Who gets what")
    documented = {code for row in rows(text) for code in codes(row[1])}
    headers = {client["header"] for client in table["clients"]}
    words = {word for client in table["clients"] for word in client["words"] if word}
    assert documented == headers | words


# Errors


def error_classes(of: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    yield of
    for each in of.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from error_classes(each)


def test_every_error_code_is_documented_with_its_status():
    documented: dict[str, str] = {}
    for title in ("The caller's mistake", "The provider's failure", "The gateway's own"):
        for row in rows(section(page("reference/errors.md"), title)):
            (code,) = codes(row[0])
            documented[code] = row[1]
    statuses = {kind.code: str(kind.status) for kind in error_classes()}
    statuses |= {"config": "none", "rejected": "as sent"}
    assert documented == statuses


def test_what_type_an_error_has_in_each_api_is_documented():
    text = section(page("reference/errors.md"), "What `type` is in each API")
    documented = {codes(row[0])[0]: (codes(row[1])[0], codes(row[2])[0]) for row in rows(text)}
    openai: Mapping[str, str] = openai_errors._TYPES
    anthropic: Mapping[str, str] = anthropic_errors._TYPES
    assert documented == {kind: (openai[kind], anthropic[kind]) for kind in openai}


def test_every_code_in_troubleshooting_exists():
    known = {kind.code for kind in error_classes()}
    for row in rows(section(page("howto/troubleshooting.md"), "A call fails")):
        assert set(codes(row[0])) <= known, row[0]


# Telemetry


def exposed() -> dict[str, set[str]]:
    """Labels of every metric, of a gateway that has answered a call."""
    gateway = Gateway(Loaded(Config(), {}, (), (), frozenset()))
    record = CallRecord(
        "1", wire="w", target="p/m", outcome="error", error_kind="timeout", overhead_s=0.1
    )
    gateway.telemetry.metrics.count(record)
    health = gateway._lasting.health.of("p/m")
    health.begin(0.0)
    health.began(0.0, 0.1, stream=True)
    gateway.metrics_text()
    exposition = gateway._exposition
    assert exposition is not None
    exposition._connections = lambda: [Connections("p", 1, 1)]
    exposition._queues = lambda: [("p", Figures())]
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(exposition.text().decode()):
        for sample in family.samples:
            name = sample.name
            if family.type == "histogram":
                name = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            found.setdefault(name, set()).update(set(sample.labels) - {"le"})
    return found


def test_every_metric_is_documented_with_its_labels():
    documented = {
        name: set(codes(row[1]))
        for row in rows(page("reference/metrics.md"))
        for name in codes(row[0])
    }
    there = exposed()
    ours = {name for name in there if not name.startswith("process_")}
    assert {name for name in documented if not name.startswith("process_")} == ours
    # Which of the process's there are depends on the system.
    assert {name for name in there if name.startswith("process_")} <= documented.keys()
    assert {name: documented[name] for name in there} == there


def test_every_field_of_a_json_line_is_documented():
    text = section(page("howto/observability.md"), "For programs")
    documented = {code for row in rows(text) for code in codes(row[0])}
    assert documented == set(lines._CallLine.__struct_encode_fields__)


# Losses


def losses(folder: str) -> set[tuple[str, str]]:
    """Path and consequence of every loss that is declared in a folder of the code."""
    found: set[tuple[str, str]] = set()
    for path in sorted((SOURCE / folder).rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                found.update(_losses(function))
    return found


def _losses(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Name(id="Loss"), args=[path, _]):
                yield _template(path, function), "named"
            case ast.Call(func=ast.Name(id="Loss"), args=[path, _, ast.Constant(value="content")]):
                yield _template(path, function), "refused"
            case ast.Call(func=ast.Name(id="Loss")):
                raise AssertionError(f"{function.name}: {ast.unparse(node)} is not understood")
            case _:
                pass


def _template(path: ast.expr, function: ast.FunctionDef) -> str:
    """A path with `…` for what varies."""
    match path:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=values):
            pieces = [v.value if isinstance(v, ast.Constant) else "…" for v in values]
            return "".join(map(str, pieces)).replace("…/parts/…", "…")
        case ast.Name(id="_BETA"):
            return "anthropic-beta"
        case ast.Name(id=name):
            for node in ast.walk(function):
                match node:
                    case ast.Assign(targets=[ast.Name(id=assigned)]) if assigned == name:
                        return _template(node.value, function)
                    case _:
                        pass
            return "…"
        case _:
            raise AssertionError(f"{function.name}: {ast.unparse(path)} is not understood")


@pytest.mark.parametrize(
    ("title", "folder"),
    [
        ("To OpenAI's API", "wire/openai_chat"),
        ("To Anthropic's API", "wire/anthropic_messages"),
        ("To Gemini's API", "wire/gemini"),
        ("Anywhere", "provider"),
    ],
)
def test_every_loss_is_documented(title: str, folder: str):
    documented = {
        # What stands in a tool is found where the code does not know that it is one.
        (re.sub(r"\b(PART|NAME|N)\b", "…", path).replace("/tools/…/", "…/"), row[1])
        for row in rows(section(page("reference/losses.md"), title))
        for path in codes(row[0])
    }
    assert documented == losses(folder)


def test_what_the_library_exports_is_documented():
    text = page("reference/library.md")
    assert {name for name in modelmux.__all__ if f"modelmux.{name}" not in text} <= {"__version__"}


def test_every_page_that_names_a_version_names_this_one():
    for path in sorted((ROOT / "docs").rglob("*.md")):
        for version in re.findall(r"\bmodelmux (\d+\.\d+\.\d+)", path.read_text()):
            assert version == __version__, path
    assert f"## [{__version__}]" in Path(ROOT / "CHANGELOG.md").read_text()
