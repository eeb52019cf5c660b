import socket
from pathlib import Path

import pytest

from modelmux.cli import findings, parts
from modelmux.cli.findings import Finding
from modelmux.cli.options import load_config
from modelmux.config.discover import ProviderType
from modelmux.config.load import Loaded
from modelmux.config.paths import Directories
from modelmux.errors import ConfigError
from tests.unit.cli.conftest import TYPES, Cli


def loaded(cli: Cli, text: str) -> Loaded:
    cli.project(text)
    return load_config()


def states(found: list[Finding]) -> list[tuple[str, str]]:
    return [(each.state, each.subject) for each in found]


def test_whatever_is_not_well_has_a_fix(cli: Cli):
    found = [
        *findings.environment(),
        *findings.broken(ConfigError("no")),
        *findings.configuration(loaded(cli, "[server]\nlog_level = 'trace'")),
    ]
    assert all(each.fix for each in found if each.state != "ok")
    assert {each.state for each in found} == {"ok", "warn", "fail"}


def test_every_problem_of_a_configuration_is_a_finding():
    exc = ConfigError("a\nb", problems=(ConfigError("a", hint="h"), ConfigError("b")))
    assert [(each.detail, each.fix) for each in findings.broken(exc)] == [
        ("a", "h"),
        ("b", "correct it there"),
    ]


def test_folders_that_can_be_made_are_well(tmp_path: Path):
    where = Directories(tmp_path, tmp_path, tmp_path / "a/state", tmp_path / "run")
    assert [each.state for each in findings.folders(where)] == ["ok", "ok"]


def test_a_folder_below_a_file_is_not(tmp_path: Path):
    (tmp_path / "file").touch()
    where = Directories(tmp_path, tmp_path, tmp_path, tmp_path / "file/run")
    runtime, state = findings.folders(where)
    assert (runtime.state, state.state) == ("fail", "ok")


PROVIDERS = """\
[[providers]]
name = "a"
type = "openai"
api_key = "k"
base_url = "https://user:s3ntinel@a.invalid/v1"
[[providers]]
name = "b"
type = "ollama"
[[providers]]
name = "c"
type = "openai"
auth = "passthrough"
base_url = "unix:/no/such.sock"
"""


def test_each_provider_is_asked_for_its_key_and_its_host(cli: Cli):
    def connect(host: str, port: int) -> str:
        return "" if (host, port) == ("127.0.0.1", 11434) else f"no route to {host}:{port}"

    found = findings.providers(loaded(cli, PROVIDERS), TYPES, connect)
    assert states(found) == [
        ("ok", "provider a"),
        ("fail", "provider a"),
        ("ok", "provider b"),
        ("ok", "provider b"),
        ("ok", "provider c"),
        ("fail", "provider c"),
    ]
    assert "no route to a.invalid:443" in found[1].detail
    assert "s3ntinel" not in repr(found)


def test_a_provider_on_a_socket_is_looked_for_there(cli: Cli):
    path = cli.sockets / "p.sock"
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(path))
        text = f'[[providers]]\nname = "a"\ntype = "ollama"\nbase_url = "unix:{path}"'
        found = findings.providers(loaded(cli, text), TYPES, lambda _h, _p: "no")
    assert found[1].state == "ok"


def test_no_provider_is_a_warning(cli: Cli):
    (found,) = findings.providers(loaded(cli, ""), TYPES, lambda _h, _p: "")
    assert (found.state, found.subject) == ("warn", "providers")


def test_a_host_is_reached_or_it_is_told_why_not():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        assert findings.reach("127.0.0.1", port) == ""
    assert findings.reach("127.0.0.1", port) == "Connection refused"
    assert findings.reach("nobody.invalid", 1) == "there is no host 'nobody.invalid'"


def listeners(cli: Cli, address: str, ours: dict[str, int] | None = None) -> Finding:
    found = loaded(cli, f"[server]\nlisten = ['{address}']\nallow_anonymous = true")
    (finding,) = findings.listeners(found, ours or {})
    return finding


def test_a_port_is_free_or_somebody_has_it(cli: Cli):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        taken = listeners(cli, address)
        assert taken.state == "fail"
        assert "stop what listens there" in taken.fix
        assert listeners(cli, address, {address: 7}).detail == "our gateway listens there (pid 7)"
    assert listeners(cli, address) == Finding("ok", f"listen {address}", "free")


@pytest.mark.parametrize(
    ("address", "state"),
    [
        ("fd:3", "ok"),
        ("unix:@name", "ok"),
        ("nobody.invalid:1", "fail"),
        ("unix:/no/such/folder/s", "fail"),
        ("unix:/etc/passwd", "fail"),
    ],
)
def test_an_address_that_cannot_be_had_is_told(cli: Cli, address: str, state: str):
    finding = listeners(cli, address)
    assert finding.state == state
    assert bool(finding.fix) == (state == "fail")


def test_a_socket_in_a_folder_of_ours_is_well(cli: Cli):
    assert listeners(cli, f"unix:{cli.sockets}/s").state == "ok"


VERTEX = '[vertex]\nproject = "p"\nregion = "r"\nmodel = "m"\n'


def google(cli: Cli, environ: dict[str, str], text: str = VERTEX) -> list[Finding]:
    return list(findings.google(loaded(cli, text), environ, cli.home, has_library=True))


@pytest.fixture
def with_vertex(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setattr(parts, "provider_types", lambda: {**TYPES, "vertex": ProviderType()})
    return cli


def test_nothing_is_said_of_google_where_it_is_not_used(with_vertex: Cli):
    assert google(with_vertex, {}, "") == []


def test_default_credentials_are_looked_for(with_vertex: Cli):
    (found,) = google(with_vertex, {})
    assert found.state == "warn"
    path = with_vertex.home / "adc.json"
    path.touch()
    (found,) = google(with_vertex, {"GOOGLE_APPLICATION_CREDENTIALS": str(path)})
    assert (found.state, str(path) in found.detail) == ("ok", True)


def test_a_missing_library_is_told(with_vertex: Cli):
    found = list(
        findings.google(loaded(with_vertex, VERTEX), {}, with_vertex.home, has_library=False)
    )
    assert found[0].fix == "pip install 'modelmux[vertex]'"


def test_only_what_fails_makes_it_unsound():
    assert findings.is_sound([Finding("ok", "a", ""), Finding("warn", "b", "")])
    assert not findings.is_sound([Finding("fail", "a", "")])
