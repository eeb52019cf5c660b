import pytest

from tests.unit.config.conftest import Machine

PROVIDERS = """
[[providers]]
name = "a"
type = "openai_compatible"
base_url = "http://127.0.0.1:1/v1"
models = ["m", "n"]

[[providers]]
name = "b"
type = "openai_compatible"
base_url = "http://127.0.0.1:2/v1"
models = ["m"]
"""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[[routing.rules]]\nwhen = "model = 3"\ntarget = "a/m"',
            "modelmux.toml:15: routing.rules[0].when: column 7: `=` compares nothing",
        ),
        (
            '[[routing.rules]]\nwhen = "true"',
            "routing.rules[0]: expected target, provider or model, got none of them",
        ),
        (
            '[[routing.rules]]\nwhen = "true"\ntarget = "a/m"\nmodel = "m"',
            "expected target, provider or model, got target and model",
        ),
        ('[[routing.rules]]\nwhen = "true"\ntarget = "c/m"', "'c/m': there is no such provider"),
        ('[[routing.rules]]\nwhen = "true"\nmodel = "zzz"', "nobody offers 'zzz'"),
        ('[[routing.rules]]\nwhen = "true"\nprovider = "aa"', "there is no provider 'aa'"),
        (
            '[[models]]\nname = "x"\ntargets = [{ target = "a/m", when = "hours > 3" }]',
            "models[0].targets[0].when: column 1: there is no fact 'hours'",
        ),
        (
            '[[models]]\nname = "x"\ntargets = ["a/m"]\n'
            'mirror = [{ target = "b/m", when = "stream &&" }]',
            "models[0].mirror[0].when: column 10: expected more",
        ),
        (
            '[[models]]\nname = "x"\ntargets = ["a/m"]\nmirror = ["c/m"]',
            "models[0].mirror[0]: 'c/m': there is no such provider",
        ),
        (
            '[[models]]\nname = "x"\ntargets = ["a/m"]\n'
            'fallback_for = { content_policy = ["c/m"] }',
            "models[0].fallback_for.content_policy[0]: 'c/m'",
        ),
        (
            '[[models]]\nname = "x"\ntargets = ["a/m"]\nfallback_for = { capability = ["x"] }',
            "leads back to itself",
        ),
        (
            '[[models]]\nname = "x"\ntargets = ["a/m"]\nstrategy = "custom"',
            "models[0].custom: required by the strategy 'custom'",
        ),
        (
            '[routing]\nstrategy = "custom"\ncustom = "nowhere:X"',
            "routing.custom: there is no strategy 'nowhere:X'",
        ),
        ('[[regions]]\nname = "eu"\nproviders = ["c"]', "regions[0].providers[0]: there is no"),
        ('[[regions]]\nname = "eu"\nnear = ["us"]', "regions[0].near[0]: there is no region 'us'"),
        (
            '[[regions]]\nname = "us"\nproviders = ["b"]\n[routing]\ndata_residency = "enforced"\n'
            '[cache]\nenabled = true\nscope = "all"',
            "routing.data_residency: 'enforced' and a cache of the scope 'all'",
        ),
        (
            '[routing]\ndata_residency = "enforced"',
            "routing.data_residency: 'enforced' needs to know where providers are",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(machine: Machine, text: str, problem: str):
    found = machine.problems(f"{PROVIDERS}\n{text}\n")
    assert any(problem in each for each in found), found


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            '[[models]]\nname = "x"\ntargets = [{ target = "a/m", weight = 2 }]',
            "models[0].targets[0].weight: has no effect with the strategy 'priority'",
        ),
        (
            '[[models]]\nname = "x"\ntargets = ["a/m"]\nhedge = { enabled = true }',
            "models[0].hedge: has no effect with one target",
        ),
        (
            '[[models]]\nname = "x"\ntargets = ["a/m"]\nthen = "cost"',
            "models[0].then: has no effect with the strategy 'priority'",
        ),
        (
            '[[models]]\nname = "x"\ntargets = ["a/m"]\nstrategy = "hybrid"',
            "'hybrid' takes the targets first whose `when` fits, and none has one",
        ),
        (
            '[[models]]\nname = "x"\ntargets = ["a/m"]\ncustom = "x:y"',
            "models[0].custom: has no effect with the strategy 'priority'",
        ),
        ("[routing]\ngeographic = true", "routing.geographic: has no effect"),
        ('[routing]\nstrategy = "geographic"', "routing.strategy: has no effect"),
    ],
)
def test_what_is_unwise_is_a_warning(machine: Machine, text: str, warning: str):
    found = machine.warnings(f"{PROVIDERS}\n{text}\n")
    assert any(warning in each for each in found), found


@pytest.mark.parametrize(
    "text",
    [
        '[[models]]\nname = "x"\nstrategy = "weighted"\n'
        'targets = [{ target = "a/m", weight = 2 }, "b/m"]',
        '[[models]]\nname = "x"\naffinity = "session"\n'
        'targets = [{ target = "a/m", weight = 2 }, "b/m"]',
        '[[regions]]\nname = "eu"\nproviders = ["a"]\nnear = ["us"]\n'
        '[[regions]]\nname = "us"\nproviders = ["b"]\n[routing]\ndata_residency = "enforced"',
        '[[routing.rules]]\nwhen = "has_code && tokens < 900"\nprovider = "b"\n'
        '[[routing.rules]]\nwhen = "hour < 8"\nmodel = "m"',
    ],
)
def test_what_is_sound_is_neither(machine: Machine, text: str):
    assert machine.warnings(f"{PROVIDERS}\n{text}\n") == ()


def test_a_region_is_there_once(machine: Machine):
    machine.project('[[regions]]\nname = "eu"\n[[regions]]\nname = "eu"\n')
    (problem,) = machine.problems('[[regions]]\nname = "eu"\n[[regions]]\nname = "eu"\n')
    assert "twice" in problem
