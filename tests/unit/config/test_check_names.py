import pytest

from tests.unit.config.conftest import Machine

OPENAI = '[[providers]]\nname = "openai"\ntype = "openai"\napi_key = "sk-0123456789"\n'


def told(problems: list[str]) -> list[str]:
    """Problems without their hints."""
    return [problem.partition(" | ")[0] for problem in problems]


@pytest.mark.parametrize("table", ["providers", "keys", "models"])
def test_a_name_stands_once(machine: Machine, table: str):
    more = {
        "providers": 'type = "openai"\napi_key = "x"',
        "keys": 'secret = "${S%d}"',
        "models": 'targets = ["modelmux/echo"]',
    }[table]
    machine.environ = {"S0": "0123456789abcdef", "S1": "0123456789abcdeg"}
    entries = [f'[[{table}]]\nname = "a"\n{more % n if "%" in more else more}\n' for n in (0, 1)]
    problems = told(machine.problems("".join(entries)))
    assert any("name: 'a' is already at modelmux.toml:2" in problem for problem in problems)


def test_an_unknown_type_is_told_with_the_nearest_and_all_there_are(machine: Machine):
    (problem,) = machine.problems('[[providers]]\nname = "a"\ntype = "opnai"\nbase_url="http://h"')
    assert problem == (
        "modelmux.toml:3: providers[0].type: expected a provider type, got 'opnai'; "
        "did you mean 'openai'? | there are: anthropic, ollama, openai, openai_compatible, vertex"
    )


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ('name = "a/b"', "name: expected letters, digits, `.`, `_` and `-`, got 'a/b'"),
        ('name = "modelmux"', "name: 'modelmux' is the name of the built-in models"),
        ('name = "a"\nproject = "p"', "project: only for providers of type 'vertex'"),
        ('name = "a"\nbase_url = "h:80"', "base_url: expected a URL"),
        ('name = "a"\nhttp2 = true', "http2: http2 is not available in this version"),
        ('name = "a"\nproxy = "http://p"', "proxy: proxy is not available in this version"),
        ('name = "a"\nca_file = "no.pem"', "ca_file: there is no file "),
        ('name = "a"\nheaders = {"a b" = "c"}', 'headers."a b": expected the name of a header'),
        ('name = "a"\nheaders = {Host = "c"}', "headers.Host: this header is set by modelmux"),
        ('name = "a"\nheaders = {X = "a\\nb"}', "headers.X: expected a header's value"),
        ('name = "a"\nmodels = ["x", {name = "x"}]', "models[1]: the model 'x' is listed twice"),
        ('name = "a"\nmodels = [""]', "models[0]: expected the name of a model"),
        ('name = "a"\nmodels = [{name = "x*", upstream = "y"}]', "models[0].upstream: 'x*' stands"),
    ],
)
def test_a_provider_that_cannot_work_is_refused(machine: Machine, said: str, problem: str):
    text = f'[[providers]]\ntype = "openai"\napi_key = "sk-0123456789"\n{said}\n'
    (found,) = machine.problems(text)
    assert f"providers[0].{problem}" in found


def test_passthrough_has_no_key_of_its_own(machine: Machine):
    (problem,) = machine.problems(f'{OPENAI}auth = "passthrough"\n')
    assert "providers[0].auth: passthrough sends the caller's credentials" in problem


def test_a_compatible_server_has_to_be_somewhere(machine: Machine):
    (problem,) = machine.problems('[[providers]]\nname = "a"\ntype = "openai_compatible"')
    assert "providers[0].base_url: required" in problem


def test_a_provider_called_vertex_and_the_shorthand_exclude_one_another(machine: Machine):
    problems = machine.problems(
        f"{OPENAI.replace(chr(34) + 'openai' + chr(34), chr(34) + 'vertex' + chr(34), 1)}"
        '[vertex]\nproject = "p"\nregion = "r"\nmodel = "m"'
    )
    assert "'vertex' is the name of the provider that [vertex] makes" in problems[0]


@pytest.mark.parametrize(
    ("said", "warning"),
    [
        ("weight = 2", "weight: has no effect with the strategy 'priority'"),
        ("verify = false", "verify: the certificate is not checked"),
    ],
)
def test_a_provider_that_is_unwise_is_a_warning(machine: Machine, said: str, warning: str):
    (found,) = machine.warnings(f"{OPENAI}{said}\n")
    assert f"providers[0].{warning}" in found


def test_a_provider_that_needs_a_key_and_has_none_is_refused(machine: Machine):
    (found,) = machine.problems('[[providers]]\nname = "a"\ntype = "openai"')
    assert found == (
        "modelmux.toml:1: providers[0].api_key: required: 'openai' answers nobody without one"
        ' | api_key = "${OPENAI_API_KEY}"'
    )


def test_a_provider_may_pass_on_its_callers_credentials(machine: Machine):
    machine.project('[[providers]]\nname = "a"\ntype = "openai"\nauth = "passthrough"')
    assert machine.load().warnings == ()


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("", "keys[0]: expected secret or sha256, got neither"),
        (
            'secret = "0123456789abcdef"\nsha256 = "00"',
            "keys[0]: expected secret or sha256, got both",
        ),
        ('sha256 = "00"', "keys[0].sha256: expected 64 hexadecimal digits"),
    ],
)
def test_a_key_has_one_secret(machine: Machine, said: str, problem: str):
    (found,) = told(machine.problems(f'[[keys]]\nname = "k"\n{said}'))
    assert found.endswith(problem)


def test_two_keys_never_share_a_secret_however_it_is_written(machine: Machine):
    # printf 0123456789abcdef | sha256sum
    digest = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f"
    (found,) = machine.problems(
        '[[keys]]\nname = "a"\nsecret = "0123456789abcdef"\n'
        f'[[keys]]\nname = "b"\nsha256 = "{digest.upper()}"'
    )
    assert "keys[1]: has the same secret as the key 'a'" in found
    assert "0123456789abcdef" not in found


def test_a_short_secret_is_a_warning(machine: Machine):
    (found,) = machine.warnings('[[keys]]\nname = "k"\nsecret = "hunter2"')
    assert "keys[0].secret: shorter than 16 characters" in found
    assert "hunter2" not in found


def model(targets: str, more: str = "") -> str:
    return (
        f'{OPENAI}models = ["gpt-4*", "org/x"]\n[[models]]\nname = "m"\ntargets = {targets}\n{more}'
    )


@pytest.mark.parametrize("target", ["openai/anything", "gpt-4o", "org/x", "modelmux/echo", "other"])
def test_a_target_that_there_is_is_accepted(machine: Machine, target: str):
    machine.project(model(f'["{target}"]', '[[models]]\nname = "other"\ntargets = ["gpt-4"]'))
    machine.load()


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("opnai/x", "'opnai/x': there is no such provider; did you mean 'openai'?"),
        ("zzz/x", "'zzz/x': there is no such provider"),
        ("gpt-3", "nobody offers 'gpt-3'; did you mean 'gpt-4*'?"),
        ("org/y", "nobody offers 'org/y'; did you mean 'org/x'?"),
        ("", "expected a target, got nothing"),
    ],
)
def test_a_target_that_nobody_offers_is_refused(machine: Machine, target: str, problem: str):
    (found,) = told(machine.problems(model(f'["{target}"]')))
    assert found == f"modelmux.toml:8: models[0].targets[0]: {problem}"


def test_a_bare_name_is_left_to_the_catalogue_where_a_provider_lists_nothing(machine: Machine):
    machine.project(f'{OPENAI}[[models]]\nname = "m"\ntargets = ["gpt-9"]')
    machine.load()


def test_fallbacks_and_the_default_are_targets_too(machine: Machine):
    found = told(
        machine.problems(model('["gpt-4"]', 'fallback = ["zzz/a"]\n[routing]\ndefault = "zzz/b"'))
    )
    assert [line.partition(": ")[2].partition(":")[0] for line in found] == [
        "models[0].fallback[0]",
        "routing.default",
    ]


def test_a_model_without_targets_is_refused(machine: Machine):
    (found,) = machine.problems(model("[]"))
    assert "models[0].targets: expected at least one target" in found


def test_models_that_lead_in_a_ring_are_refused(machine: Machine):
    found = told(
        machine.problems(
            model('["gpt-4", "n"]', '[[models]]\nname = "n"\ntargets = ["gpt-4"]\nfallback = ["m"]')
        )
    )
    assert [line.partition("targets: ")[2] for line in found] == [
        "leads back to itself: m → n → m",
        "leads back to itself: n → m → n",
    ]


def test_a_model_that_is_its_own_target_is_a_ring(machine: Machine):
    (found,) = machine.problems(model('["m"]'))
    assert "leads back to itself: m → m | write provider/model" in found


def test_a_model_that_only_leads_into_a_ring_is_not_the_one_to_mend(machine: Machine):
    more = '[[models]]\nname = "n"\ntargets = ["o"]\n[[models]]\nname = "o"\ntargets = ["n"]'
    found = machine.problems(model('["n"]', more))
    assert not any("models[0]" in line for line in found)


def test_a_weight_without_effect_is_a_warning(machine: Machine):
    (found,) = machine.warnings(model('[{target = "gpt-4", weight = 2}]'))
    assert "models[0].targets[0].weight: has no effect" in found


def test_models_of_vertex_are_offered(machine: Machine):
    machine.project(
        '[vertex]\nproject = "p"\nregion = "r"\nmodel = "claude-x@1"\n'
        '[[models]]\nname = "a"\ntargets = ["claude-x", "vertex/other"]'
    )
    machine.load()
