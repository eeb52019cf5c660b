import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Loss, ReasoningOptions, Request, Sampling
from modelmux.wire.anthropic_messages import options
from modelmux.wire.anthropic_messages.options import MIN_BUDGET_TOKENS, Thinking
from tests.support import foreign
from tests.support.cases import case

REQUEST = foreign.request(foreign.user())
BUDGET, ADAPTIVE = Profile(reasoning="budget"), Profile(reasoning="adaptive")
ON = {"type": "adaptive"}


def request(**fields: object) -> Request:
    return replace(REQUEST, **fields)


def thinking(asked: ReasoningOptions, profile: Profile, limit: int = 32_000):
    losses: list[Loss] = []
    return options.thinking(asked, profile, limit, losses), [loss.path for loss in losses]


def budget(tokens: int) -> dict[str, object]:
    return {"type": "enabled", "budget_tokens": tokens}


@case(43)
@pytest.mark.parametrize(
    ("profile", "limit"),
    [
        (Profile(max_output_tokens=64_000), 64_000),
        (UNKNOWN, options.DEFAULT_MAX_TOKENS),
        (Profile(context_tokens=16_000), 8_000),
        (Profile(context_tokens=1_000_000), options.DEFAULT_MAX_TOKENS),
    ],
)
def test_the_models_own_maximum_is_asked_for_where_the_caller_asks_nothing(profile, limit):
    losses: list[Loss] = []
    assert options.max_tokens(REQUEST, profile, losses) == limit
    assert losses == []


@case(43, 44)
def test_the_callers_limit_stands_within_the_models():
    losses: list[Loss] = []
    profile = Profile(max_output_tokens=8_000)
    assert options.max_tokens(request(max_tokens=100), profile, losses) == 100
    assert losses == []
    assert options.max_tokens(request(max_tokens=9_000), profile, losses) == 8_000
    assert [loss.path for loss in losses] == ["/max_tokens"]


@pytest.mark.parametrize("asked", [None, ReasoningOptions()])
def test_a_caller_who_asks_nothing_leaves_thinking_to_the_model(asked):
    assert options.thinking(asked, UNKNOWN, 9, []) == Thinking(9)


@case(51)
@pytest.mark.parametrize(
    "asked",
    [
        ReasoningOptions("disabled"),
        ReasoningOptions(effort="none"),
        ReasoningOptions(budget_tokens=0),
    ],
)
def test_thinking_can_be_turned_off(asked):
    off = Thinking(32_000, {"type": "disabled"})
    assert not off.on
    for profile in (UNKNOWN, BUDGET, ADAPTIVE, Profile(reasoning="effort")):
        assert thinking(asked, profile) == (off, [])
    assert thinking(asked, Profile(reasoning="none")) == (Thinking(32_000), [])


@case(51)
def test_a_model_that_always_thinks_is_asked_to_think_little():
    profile = Profile(reasoning="adaptive", thinks_always=True)
    assert thinking(ReasoningOptions(effort="none"), profile) == (
        Thinking(32_000, None, "low"),
        ["/reasoning"],
    )


@case(45, 51)
@pytest.mark.parametrize(
    ("effort", "said", "lost"),
    [
        ("minimal", "low", ["/reasoning/effort"]),
        ("low", "low", []),
        ("medium", "medium", []),
        ("high", "high", []),
        ("xhigh", "xhigh", []),
        ("max", "max", []),
        ("enormous", None, ["/reasoning/effort"]),
    ],
)
def test_effort_is_a_word_for_models_that_choose_how_long_to_think(effort, said, lost):
    asked = ReasoningOptions(effort=effort)
    on = ON if said else None
    assert thinking(asked, ADAPTIVE) == (Thinking(32_000, on, said), lost)
    assert thinking(asked, UNKNOWN) == (Thinking(32_000, on, said), lost)
    assert thinking(asked, Profile(reasoning="effort")) == (Thinking(32_000, None, said), lost)


@case(45, 51)
@pytest.mark.parametrize(
    ("effort", "tokens"),
    [("low", 2_048), ("medium", 8_192), ("high", 16_384), ("xhigh", 24_000), ("max", 24_000)],
)
def test_effort_is_a_budget_for_models_that_are_told_one(effort, tokens):
    made, lost = thinking(ReasoningOptions(effort=effort), BUDGET)
    assert made == Thinking(32_000, budget(tokens))
    assert made.on
    assert made.budgeted
    assert lost == []


def test_thinking_without_a_word_of_how_much_is_of_the_usual_budget():
    assert thinking(ReasoningOptions("enabled"), BUDGET)[0] == Thinking(32_000, budget(8_192))


@case(45)
@pytest.mark.parametrize(
    ("asked", "limit", "expected", "lost"),
    [
        (5_000, 32_000, (5_000, 32_000), []),
        (100, 32_000, (1_024, 32_000), ["/reasoning/budget_tokens"]),
        (5_000, 5_000, (4_999, 5_000), ["/reasoning/budget_tokens"]),
        (5_000, 1_025, (1_024, 1_025), ["/reasoning/budget_tokens"]),
        (5_000, 1_024, (1_024, 2_048), ["/max_tokens", "/reasoning/budget_tokens"]),
        (1_024, 10, (1_024, 1_034), ["/max_tokens"]),
    ],
)
def test_a_budget_stays_within_the_apis_bounds(asked, limit, expected, lost):
    tokens, raised = expected
    made = thinking(ReasoningOptions(budget_tokens=asked), BUDGET, limit)
    assert made == (Thinking(raised, budget(tokens)), lost)


@case(45)
def test_a_model_without_room_to_think_does_not():
    profile = Profile(reasoning="budget", max_output_tokens=1_500)
    assert thinking(ReasoningOptions(effort="low"), profile, 600) == (
        Thinking(600),
        ["/reasoning"],
    )


@case(45)
@given(
    asked=st.one_of(
        st.builds(ReasoningOptions, effort=st.sampled_from([*options.BUDGETS, "minimal"])),
        st.builds(ReasoningOptions, budget_tokens=st.integers(1, 100_000)),
    ),
    limit=st.integers(1, 100_000),
    ceiling=st.sampled_from([0, 4_096, 64_000]),
)
def test_no_budget_is_one_that_the_api_refuses(asked, limit, ceiling):
    limit = min(limit, ceiling or limit)
    made, _ = thinking(asked, Profile(reasoning="budget", max_output_tokens=ceiling), limit)
    if made.config is not None:
        tokens = made.config["budget_tokens"]
        assert isinstance(tokens, int)
        assert MIN_BUDGET_TOKENS <= tokens < made.max_tokens
        assert made.max_tokens <= (ceiling or made.max_tokens)


@case(45)
def test_a_budget_cannot_be_told_to_a_model_that_chooses_by_itself():
    assert thinking(ReasoningOptions("enabled", None, 2_000), ADAPTIVE) == (
        Thinking(32_000, ON),
        ["/reasoning/budget_tokens"],
    )


@case(45)
def test_a_budget_is_told_to_a_model_that_nobody_knows():
    made, lost = thinking(ReasoningOptions(budget_tokens=2_000), UNKNOWN)
    assert made == Thinking(32_000, budget(2_000))
    assert lost == []


@case(51)
def test_a_model_that_does_not_think_is_not_told_to():
    asked = ReasoningOptions(effort="high")
    assert thinking(asked, Profile(reasoning="none")) == (Thinking(32_000), ["/reasoning"])


def sampling(asked: Sampling, profile: Profile = UNKNOWN, on: bool = False, **fields: object):
    losses: list[Loss] = []
    made = options.sampling(request(sampling=asked, **fields), profile, on, losses)
    return made, [loss.path for loss in losses]


def test_sampling_is_passed_on():
    assert sampling(Sampling(0.5, 0.9, 40, stop=("END",))) == (
        {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "stop_sequences": ["END"]},
        [],
    )
    assert sampling(Sampling()) == ({}, [])


@case(46)
def test_sampling_is_left_out_while_thinking():
    assert sampling(Sampling(0.5, 0.9, 40, stop=("END",)), on=True) == (
        {"stop_sequences": ["END"]},
        ["/sampling/temperature", "/sampling/top_p", "/sampling/top_k"],
    )


@case(46)
def test_what_is_so_anyway_is_no_loss():
    assert sampling(Sampling(1.0, 1.0, 1), on=True) == ({}, ["/sampling/top_k"])


@case(46)
def test_what_the_model_refuses_is_left_out():
    profile = Profile(refuses=frozenset({"top_k", "stop"}))
    assert sampling(Sampling(0.5, None, 40, stop=("END",)), profile) == (
        {"temperature": 0.5},
        ["/sampling/top_k", "/sampling/stop"],
    )


@case(47)
@pytest.mark.parametrize(("asked", "said"), [(0.0, 0.0), (1.0, 1.0), (1.3, 1.0), (2, 1.0)])
def test_temperature_is_at_most_one(asked, said):
    made, lost = sampling(Sampling(asked))
    assert made == {"temperature": said}
    assert lost == (["/sampling/temperature"] if asked > 1 else [])


@case(47)
@pytest.mark.parametrize(("top_p", "lost"), [(0.9, ["/sampling/top_p"]), (1.0, [])])
def test_some_models_take_temperature_or_top_p(top_p, lost):
    profile = Profile(temperature_or_top_p=True)
    assert sampling(Sampling(0.5, top_p), profile) == ({"temperature": 0.5}, lost)
    assert sampling(Sampling(None, top_p), profile) == ({"top_p": top_p}, [])


@case(48)
def test_stop_sequences_of_white_space_are_left_out():
    assert sampling(Sampling(stop=("\n", "END", " "))) == (
        {"stop_sequences": ["END"]},
        ["/sampling/stop/0", "/sampling/stop/2"],
    )
    assert sampling(Sampling(stop=("\n\n",))) == ({}, ["/sampling/stop/0"])


@case(50)
def test_what_the_wire_has_no_word_for_is_lost():
    asked = Sampling(
        seed=0,
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        logit_bias=Raw(b'{"50256":-100}'),
        logprobs=True,
        top_logprobs=5,
    )
    made, lost = sampling(asked, metadata={"a/b": "c"})
    assert made == {}
    assert lost == [
        "/sampling/seed",
        "/sampling/presence_penalty",
        "/sampling/frequency_penalty",
        "/sampling/logit_bias",
        "/sampling/logprobs",
        "/sampling/top_logprobs",
        "/metadata/a~1b",
    ]


@case(50)
def test_asking_for_nothing_of_it_is_no_loss():
    asked = Sampling(
        presence_penalty=0, frequency_penalty=0.0, logit_bias=Raw(b"{}"), logprobs=False
    )
    assert sampling(asked) == ({}, [])
