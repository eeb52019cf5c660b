from pathlib import Path
from types import SimpleNamespace

import pytest

from modelmux.config import check
from modelmux.config.check import url_problem
from tests.unit.config.conftest import Machine

OPEN_HINT = "add [[keys]], listen on 127.0.0.1, or set server.allow_anonymous = true"


def test_a_listener_that_others_can_reach_needs_keys(machine: Machine):
    assert machine.problems('[server]\nlisten = ["127.0.0.1:1024", ":3000"]') == [
        "modelmux.toml:2: server.listen[1]: others can reach ':3000', and no key is asked for"
        f" | {OPEN_HINT}"
    ]


@pytest.mark.parametrize(
    "more",
    ['[[keys]]\nname = "k"\nsecret = "0123456789abcdef"', "[server]\nallow_anonymous = true"],
)
def test_keys_or_a_clear_word_open_it(machine: Machine, more: str):
    machine.system(more)
    machine.project('[server]\nlisten = [":3000"]')
    machine.load()


def test_opening_the_door_to_everybody_while_there_are_keys_is_a_warning(machine: Machine):
    (warning,) = machine.warnings(
        '[server]\nallow_anonymous = true\n[[keys]]\nname = "k"\nsecret = "0123456789abcdef"'
    )
    assert "server.allow_anonymous: has no effect" in warning


@pytest.mark.parametrize("address", ["unix:/run/m.sock", "127.0.0.1:3000", "[::1]:3000", "fd:3"])
def test_a_listener_of_this_machine_needs_none(machine: Machine, address: str):
    machine.project(f'[server]\nlisten = ["{address}"]')
    machine.load()


def test_a_listener_that_is_no_address_is_told_where_it_stands(machine: Machine):
    (problem,) = machine.problems('[server]\nlisten = [\n"3000",\n]')
    assert problem.startswith("modelmux.toml:3: server.listen[0]: '3000' is no address: ")
    assert problem.endswith("| write ':3000' for all interfaces")


def test_an_address_is_listed_once(machine: Machine):
    (problem,) = machine.problems('[server]\nlisten = ["unix:/a", "unix:///a"]')
    assert "server.listen[1]: 'unix:///a' is listed twice" in problem


def test_port_may_repeat_what_listen_says(machine: Machine):
    machine.project('[server]\nport = 3000\nlisten = ["127.0.0.1:3000"]')
    assert len(machine.load().config.addresses) == 1


def test_several_workers_are_not_available_on_windows(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(check, "sys", SimpleNamespace(platform="win32"))
    (problem,) = machine.problems("[server]\nworkers = 2")
    assert "server.workers: expected 1, got 2" in problem


def test_limits_that_count_in_each_of_several_workers_are_told(machine: Machine):
    provider = """
[[providers]]
name = "p"
type = "ollama"
limits = { concurrency = 4 }
"""
    assert machine.warnings(provider) == ()
    (warning,) = machine.warnings(f"[server]\nworkers = 2\n{provider}")
    assert "providers[0].limits: counts in each of the 2 workers" in warning


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nport = 80", "server.port: port 80 is below 1024"),
        ('[server]\nlisten = ["127.0.0.1:80"]', "server.listen[0]: port 80 is below 1024"),
        ("[server]\nmax_retry_attempts = 11", "server.max_retry_attempts: 11 attempts"),
        ('[server]\nlog_level = "trace"', "server.log_level: trace"),
        ("[streaming]\nbuffer_size = 1", "streaming.buffer_size: is usually from 1024"),
        ("[streaming]\nbuffer_size = 99999999", "streaming.buffer_size: is usually from 1024"),
        ("[streaming]\nchunk_timeout_ms = 99", "streaming.chunk_timeout_ms: is usually from 100"),
    ],
)
def test_what_is_unwise_is_a_warning(machine: Machine, text: str, words: str):
    (warning,) = machine.warnings(text)
    assert warning.startswith("modelmux.toml:2: ")
    assert words in warning


def test_a_secret_in_a_file_that_others_can_read_is_a_warning(machine: Machine):
    machine.project('[[keys]]\nname = "k"\nsecret = "0123456789abcdef"')
    assert machine.load().warnings == ()
    machine.project_file.chmod(0o644)
    (warning,) = machine.load().warnings
    assert "chmod 600 modelmux.toml" in warning


@pytest.mark.parametrize("secret", ["${TEAM_KEY}", "file:key"])
def test_a_secret_that_is_elsewhere_makes_no_file_secret(machine: Machine, secret: str):
    machine.environ["TEAM_KEY"] = "0123456789abcdef"
    (machine.folder / "key").write_text("0123456789abcdef")
    machine.project(f'[[keys]]\nname = "k"\nsecret = "{secret}"')
    machine.project_file.chmod(0o644)
    assert machine.load().warnings == ()


def test_vertex_needs_a_project_a_region_and_a_model(machine: Machine):
    (problem,) = machine.problems('[vertex]\nproject = "p"')
    assert problem.startswith("modelmux.toml:1: vertex: expected region, model | ")


def test_models_of_vertex_inherit_and_are_told_apart(machine: Machine):
    machine.project(
        '[vertex]\nproject = "p"\nregion = "r"\n'
        '[[vertex.models]]\nname = "a"\nmodel = "m"\n[[vertex.models]]\nname = "b"\nmodel = "m"'
    )
    machine.load()
    problems = machine.problems(
        '[vertex]\nproject = "p"\n'
        '[[vertex.models]]\nname = "a"\nmodel = "m"\n[[vertex.models]]\nname = "A"\nregion = "r"'
    )
    assert [problem.partition(" | ")[0] for problem in problems] == [
        "modelmux.toml:3: vertex.models[0]: expected region",
        "modelmux.toml:6: vertex.models[1]: expected model",
        "modelmux.toml:6: vertex.models[1]: the name 'A' is used twice",
    ]


def test_vertex_is_refused_where_the_catalogue_has_no_such_type(machine: Machine):
    machine.types = {name: row for name, row in machine.types.items() if name != "vertex"}
    (problem,) = machine.problems('[vertex]\nproject = "p"')
    assert "[vertex] is not available in this version" in problem


def test_credentials_for_nothing_are_a_warning(machine: Machine, tmp_path: Path):
    (problem,) = machine.problems('[auth]\nservice_account_json = "{}"')
    assert "auth.service_account_json: the service account has no type, project_id" in problem


def test_a_service_account_file_that_is_not_there_is_an_error(machine: Machine):
    (problem,) = machine.problems(
        '[vertex]\nproject = "p"\nregion = "r"\nmodel = "m"\n[auth]\nservice_account_file = "x"'
    )
    assert problem.startswith("modelmux.toml:6: auth.service_account_file: the file ")


@pytest.mark.parametrize(
    "url", ["https://h", "http://h:80/v1", "https://u:p@h/x?y=z", "unix:/s", "http://[::1]:1"]
)
def test_a_url_of_a_provider(url: str):
    assert url_problem(url) == ""


@pytest.mark.parametrize(
    "url", ["h", "h:80", "ftp://h", "https://", "http://h:x", "http://[::1", "http://h h", "unix:"]
)
def test_no_url_of_a_provider(url: str):
    assert url_problem(url).startswith("expected a ")


def test_a_fragment_is_no_part_of_a_providers_url():
    assert "fragment" in url_problem("https://h/#x")
