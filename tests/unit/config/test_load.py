import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.config.load import Override, surroundings
from modelmux.config.origin import Origin
from modelmux.config.show import rows
from modelmux.errors import ConfigError
from tests.unit.config.conftest import Machine

PORT = "MODELMUX_SERVER_PORT"


def listen(*addresses: str) -> Override:
    return Override(("server", "listen"), addresses, "--listen")


def test_nothing_at_all_is_a_configuration(machine: Machine):
    loaded = machine.load()
    assert [str(address) for address in loaded.config.addresses] == ["127.0.0.1:3000"]
    assert not loaded.is_configured
    assert [source.found for source in loaded.sources] == [False, False, False]
    assert loaded.warnings == ()


def test_each_layer_lies_over_the_one_before(machine: Machine):
    said = "[server]\nmax_retry_attempts = {}\n"
    key = ("server", "max_retry_attempts")
    attempts: list[tuple[int, str]] = []

    def note(*overrides: Override) -> None:
        loaded = machine.load(*overrides)
        origin = loaded.origin("server.max_retry_attempts")
        attempts.append((loaded.config.server.max_retry_attempts, origin.layer))

    note()
    machine.system(said.format(4))
    note()
    machine.user(said.format(5))
    note()
    machine.project(said.format(6))
    note()
    (machine.folder / ".env").write_text("MODELMUX_SERVER_MAX_RETRY_ATTEMPTS=7\n")
    note()
    machine.environ["MODELMUX_SERVER_MAX_RETRY_ATTEMPTS"] = "8"
    note()
    note(Override(key, 9, "--attempts"))
    assert attempts == [
        (3, "default"),
        (4, "system"),
        (5, "user"),
        (6, "project"),
        (7, "dotenv"),
        (8, "environment"),
        (9, "command line"),
    ]


def test_the_file_of_an_option_replaces_the_users_and_the_projects(machine: Machine):
    machine.system("[server]\nport = 1024\nlog_format = 'json'")
    machine.user("[server]\nmax_body_bytes = 1")
    machine.project("[server]\nmax_retry_attempts = 2")
    other = machine.folder / "other.toml"
    other.write_text("[server]\nport = 2048")
    loaded = machine.load(path=Path("other.toml"))
    server = loaded.config.server
    assert (server.port, server.log_format) == (2048, "json")
    assert (server.max_body_bytes, server.max_retry_attempts) == (33_554_432, 3)
    assert loaded.origin("server.port") == Origin("option", "other.toml", 2)
    assert [source.layer for source in loaded.sources] == ["system", "option"]


def test_the_file_of_an_option_has_to_be_there(machine: Machine):
    with pytest.raises(ConfigError, match=r"^there is no file 'none.toml'$"):
        machine.load(path=Path("none.toml"))


def test_a_file_with_one_section_is_enough(machine: Machine):
    machine.project("[streaming]\nmode = 'never'")
    assert machine.load().config.streaming.mode == "never"


def test_a_socket_option_listens_there_and_nowhere_else(machine: Machine):
    machine.project("[server]\nport = 3000")
    loaded = machine.load(listen("unix:/s"))
    assert [str(address) for address in loaded.config.addresses] == ["unix:/s"]
    assert str(loaded.origin("server.listen")) == "option --listen"


def test_a_port_of_the_environment_replaces_the_listeners_of_a_file(machine: Machine):
    machine.project("[server]\nlisten = ['127.0.0.1:3000']")
    machine.environ[PORT] = "8080"
    addresses = machine.load().config.addresses
    assert [str(address) for address in addresses] == ["127.0.0.1:8080"]


def test_files_that_cannot_be_read_are_all_told(machine: Machine):
    machine.system("a =")
    machine.user("b =")
    with pytest.raises(ConfigError) as caught:
        machine.load()
    assert len(caught.value.problems) == 2


def test_a_broken_file_is_never_passed_over(machine: Machine):
    machine.user("[server\n")
    machine.project("[server]\nport = 1024")
    with pytest.raises(ConfigError):
        machine.load()


def test_only_what_counts_is_expanded(machine: Machine):
    machine.system("[server]\nlog_level = '${NOT_SET}'")
    machine.project("[server]\nlog_level = 'debug'")
    assert machine.load().config.server.log_level == "debug"


def test_variables_that_are_not_set_and_wrong_keys_are_told_together(machine: Machine):
    problems = machine.problems("[server]\nlog_level = '${NOT_SET}'\nprot = 1")
    assert len(problems) == 2


def test_dotenv_is_seen_by_variables_of_files(machine: Machine):
    (machine.folder / ".env").write_text("TEAM_KEY=0123456789abcdef\n")
    machine.project("[[keys]]\nname = 'a'\nsecret = '${TEAM_KEY}'")
    assert machine.load().config.keys[0].secret == "0123456789abcdef"


def test_providers_are_found_only_where_none_is_named(machine: Machine):
    machine.environ["OPENAI_API_KEY"] = "sk-0123456789"
    found = machine.load()
    assert [provider.name for provider in found.config.providers] == ["openai"]
    assert str(found.origin("providers[0].api_key")) == "found by OPENAI_API_KEY"
    assert not found.is_configured
    machine.project("[[providers]]\nname = 'a'\ntype = 'ollama'")
    assert [provider.name for provider in machine.load().config.providers] == ["a"]


def test_what_is_found_lies_below_what_is_said_of_other_things(machine: Machine):
    machine.environ["OPENAI_API_KEY"] = "sk-0123456789"
    machine.project("[[models]]\nname = 'fast'\ntargets = ['openai/gpt']")
    loaded = machine.load()
    assert loaded.config.models[0].target_names == ("openai/gpt",)
    assert loaded.is_configured


def test_nothing_is_probed_where_providers_are_named(machine: Machine):
    machine.project("[[providers]]\nname = 'a'\ntype = 'ollama'")
    machine.load()
    assert machine.probed == []


def test_a_local_ollama_is_used(machine: Machine):
    machine.listening.add(("127.0.0.1", 11434))
    assert [provider.type for provider in machine.load().config.providers] == ["ollama"]


def test_a_variable_makes_a_configuration(machine: Machine):
    machine.environ[PORT] = "8080"
    assert machine.load().is_configured


def test_an_error_about_a_key_found_later_names_its_place(machine: Machine):
    machine.project("[[providers]]\nname = 'a'\ntype = 'openai'\napi_key = 'x'")
    loaded = machine.load()
    said = loaded.error(("providers", 0, "type"), "no", hint="yes")
    assert (said.message, said.hint) == ("modelmux.toml:3: providers[0].type: no", "yes")
    not_said = loaded.error(("providers", 0, "region"), "no")
    assert not_said.message == "modelmux.toml:1: providers[0].region: no"
    assert loaded.error(("routing", "default"), "no").message == "routing.default: no"


def test_the_surroundings_of_a_process_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    around = surroundings(lambda _host, _port: False)
    assert around.folder == tmp_path
    assert around.directories.user_file == tmp_path / "xdg/modelmux/config.toml"


# Laws over layers: every key of a table that is not bound to another, with values that fit it.
VALUES: dict[str, st.SearchStrategy[object]] = {
    "server.log_level": st.sampled_from(["trace", "debug", "info", "warn", "error"]),
    "server.log_format": st.sampled_from(["text", "json"]),
    "server.enable_retries": st.booleans(),
    "server.max_retry_attempts": st.integers(1, 9),
    "server.max_body_bytes": st.integers(1, 99),
    "server.drain_timeout_s": st.integers(0, 99),
    "streaming.mode": st.sampled_from(["auto", "never", "standard", "buffered", "always"]),
    "streaming.buffer_size": st.integers(1024, 9999),
    "routing.fallback.enabled": st.booleans(),
    "routing.fallback.max_retries": st.integers(0, 9),
    "vertex.publisher": st.sampled_from(["anthropic", "google"]),
}
said_by_a_layer = st.fixed_dictionaries({}, optional=VALUES)


def as_toml(said: dict[str, object]) -> str:
    return "".join(
        f"{key} = {msgspec.json.encode(value).decode()}\n" for key, value in said.items()
    )


def as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(said_by_a_layer, said_by_a_layer, said_by_a_layer, said_by_a_layer, said_by_a_layer)
def test_the_highest_layer_that_says_a_key_decides_it_and_is_its_origin(
    system: dict[str, object],
    user: dict[str, object],
    project: dict[str, object],
    environment: dict[str, object],
    command_line: dict[str, object],
):
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        defaults = {row.key: row.value for row in rows(machine.load())}
        machine.system(as_toml(system))
        machine.user(as_toml(user))
        machine.project(as_toml(project))
        machine.environ = {
            f"MODELMUX_{key.replace('.', '_').upper()}": as_text(value)
            for key, value in environment.items()
        }
        overrides = [
            Override(tuple(key.split(".")), value, "--x")
            for key, value in command_line.items()
            if isinstance(value, str | int)
        ]
        loaded = machine.load(*overrides)
    layers = {
        "system": system,
        "user": user,
        "project": project,
        "environment": environment,
        "command line": command_line,
    }
    shown = {row.key: row for row in rows(loaded)}
    for key in VALUES:
        value, layer = defaults[key], "default"
        for name, said in layers.items():
            if key in said:
                value, layer = said[key], name
        assert (shown[key].value, shown[key].origin.layer) == (value, layer)
        if layer in {"system", "user", "project"}:
            assert shown[key].origin.line == list(layers[layer]).index(key) + 1


SENTINEL = "s3ntinel"
secrets = st.text("abcXYZ019-_./+\"'\\\n é", min_size=2, max_size=12).map(
    lambda text: f"{SENTINEL}{text}{SENTINEL}"
)
PLACES = [
    '[[providers]]\nname = "p"\ntype = "openai"\napi_key = {}',
    '[[providers]]\nname = "p"\ntype = "openai"\napi_keys = [{}, {}]',
    '[[providers]]\nname = "p"\ntype = "openai"\napi_key = [{}]',
    '[[providers]]\nname = "p"\ntype = "openai"\napi_keys = {}',
    '[[providers]]\nname = "p"\ntype = "openai"\nheaders = {{ Authorization = {} }}',
    '[[providers]]\nname = "p"\ntype = "openai"\nheaders = {}',
    '[[providers]]\nname = "p"\ntype = "openai"\nservice_account_json = {}',
    '[[keys]]\nname = "k"\nsecret = {}',
    '[[keys]]\nname = "k"\nsha256 = {}',
    '[[keys]]\nname = "k"\nsecret = {}\nsha256 = {}',
    '[[keys]]\nname = "k"\nsecret = {}\n[[keys]]\nname = "l"\nsecret = {}',
    "[auth]\nservice_account_json = {}",
]
EXPANDED = [
    *PLACES,
    "[server]\nport = {}",
    "[server]\nlog_level = {}",
    "[server]\nlisten = [{}]",
    '[[providers]]\nname = "p"\ntype = {}',
    "[[providers]]\nname = {}\ntype = 'openai'",
    '[[providers]]\nname = "p"\ntype = "openai"\nbase_url = {}',
    '[[providers]]\nname = "p"\ntype = "openai"\nheaders = {{ x = {} }}',
    '[[providers]]\nname = "p"\ntype = "openai"\nca_file = {}',
    '[[models]]\nname = "m"\ntargets = [{}]',
    "[routing]\ndefault = {}",
]


def everything_said(machine: Machine) -> str:
    """All that a load can put before anybody's eyes: messages, warnings, `show`."""
    try:
        loaded = machine.load()
    except ConfigError as exc:
        return repr([(each.message, each.hint, each.param) for each in exc.problems])
    shown = [(row.key, row.value, str(row.origin)) for row in rows(loaded)]
    return repr((shown, loaded.warnings))


@given(st.sampled_from(PLACES), secrets)
def test_a_secret_of_a_file_is_never_shown(place: str, secret: str):
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        quoted = msgspec.json.encode(secret).decode()
        machine.project(place.format(quoted, quoted))
        machine.project_file.chmod(0o644)
        assert SENTINEL not in everything_said(machine)


@given(st.sampled_from(EXPANDED), secrets)
def test_a_secret_of_a_variable_is_never_shown(place: str, secret: str):
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        machine.environ["SOME_API_KEY"] = secret
        machine.project(place.format('"${SOME_API_KEY}"', '"x${SOME_API_KEY}"'))
        assert SENTINEL not in everything_said(machine)


@given(st.sampled_from(PLACES), st.text("abcXYZ019-_", min_size=2, max_size=12))
def test_a_secret_of_another_file_is_never_shown(place: str, text: str):
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        (machine.folder / "key").write_text(f"{SENTINEL}{text}\n")
        machine.project(place.format('"file:key"', '"file:key"'))
        assert SENTINEL not in everything_said(machine)
