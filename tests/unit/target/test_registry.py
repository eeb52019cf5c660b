from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from modelmux.errors import ConfigError, PermissionDenied, UnknownModel
from modelmux.target.base import Target
from modelmux.target.call import ANONYMOUS, Call, Caller
from modelmux.target.facts import World
from modelmux.target.registry import MAX_NAME_CHARS, MAX_ROUTES, Entry, Plan, Registry, Role, allows
from modelmux.target.reply import Reply
from modelmux.target.rules import compile_condition
from modelmux.target.steer import Rule, Steering
from tests.support import linewire
from tests.support.linewire import LineWire


class Leaf:
    """A target that nobody asks."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def send(self, call: Call) -> Reply:
        raise AssertionError(f"{self.name} was asked")


class Several(Leaf):
    """What `combine` makes; `targets` are the names of those it was given."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.name)
        self.plan = plan
        self.targets = [member.target.name for member in plan.targets]


class Shop:
    """A provider."""

    def __init__(
        self,
        name: str,
        *models: str,
        priority: int = 1,
        globs: Sequence[str] = (),
        takes_any: bool = False,
        ignores_case: bool = False,
    ) -> None:
        self.name = name
        self.priority = priority
        self.weight = 1.0
        self.models = models
        self.takes_any = takes_any
        self._globs = globs
        self._ignores_case = ignores_case

    def exact(self, model: str) -> str | None:
        if self._ignores_case:
            return next((each for each in self.models if each.lower() == model.lower()), None)
        return model if model in self.models else None

    def matches(self, model: str) -> bool:
        return any(fnmatchcase(model, glob) for glob in self._globs)

    def target(self, model: str) -> Target:
        return Leaf(f"{self.name}/{model}")


class Nickname(Struct, frozen=True):
    name: str
    targets: tuple[str, ...]
    others: Mapping[Role, Sequence[Entry]] = {}
    is_plain: bool = True

    @property
    def entries(self) -> Mapping[Role, Sequence[Entry]]:
        return {"target": [Entry(name) for name in self.targets], **self.others}


OPENAI = Shop("openai", "gpt-5", "gpt-5-mini", priority=1)
AZURE = Shop("azure", "gpt-5", priority=2)
CLAUDE = Shop("anthropic", "claude-opus", priority=1, takes_any=True)


def registry(
    *offers: Shop,
    aliases: Sequence[Nickname] = (),
    default: str = "",
    built_in: bool = False,
) -> Registry:
    own: dict[str, Target] = {"modelmux/echo": Leaf("modelmux/echo")} if built_in else {}
    return Registry(offers, aliases, Several, built_in=own, default=default)


def names(found: Target) -> list[str]:
    assert isinstance(found, Several)
    return found.targets


def resolved(made: Registry, model: str, *models: str) -> list[str]:
    """Who answers `model` for a key that allows `models`."""
    return names(made.resolve(model, Caller("key", models)))


def caller(*models: str, name: str = "key") -> Caller:
    return Caller(name, models)


# Order


def test_a_listed_model_is_answered_by_its_provider():
    assert resolved(registry(OPENAI, CLAUDE), "gpt-5-mini") == ["openai/gpt-5-mini"]


def test_several_providers_of_a_model_answer_in_the_order_of_priority_and_not_of_the_file():
    assert resolved(registry(AZURE, OPENAI), "gpt-5") == ["openai/gpt-5", "azure/gpt-5"]


def test_equal_priorities_keep_the_order_of_the_file():
    first, second = Shop("b", "m"), Shop("a", "m")
    assert resolved(registry(first, second), "m") == ["b/m", "a/m"]


def test_provider_and_model_ask_that_provider_alone():
    assert resolved(registry(OPENAI, AZURE), "azure/gpt-5") == ["azure/gpt-5"]


def test_an_alias_wins_over_a_model_of_that_name():
    made = registry(OPENAI, CLAUDE, aliases=[Nickname("gpt-5", ("anthropic/claude-opus",))])
    assert resolved(made, "gpt-5") == ["anthropic/claude-opus"]


def test_an_alias_wins_over_provider_and_model():
    alias = Nickname("openai/gpt-5", ("azure/gpt-5",))
    assert resolved(registry(OPENAI, AZURE, aliases=[alias]), "openai/gpt-5") == ["azure/gpt-5"]


def test_a_listed_name_wins_over_a_glob_of_a_preferred_provider():
    taker = Shop("local", priority=0, globs=["*"])
    assert resolved(registry(taker, OPENAI), "gpt-5") == ["openai/gpt-5"]


def test_a_glob_takes_what_nobody_lists():
    taker = Shop("local", globs=["llama*"])
    assert resolved(registry(OPENAI, taker), "llama-9") == ["local/llama-9"]


def test_several_globs_answer_in_the_order_of_priority():
    last, first = Shop("b", globs=["*"], priority=2), Shop("a", globs=["l*"], priority=1)
    assert resolved(registry(last, first), "llama") == ["a/llama", "b/llama"]


def test_a_provider_that_takes_any_is_asked_for_a_model_it_does_not_list():
    assert resolved(registry(CLAUDE), "anthropic/claude-next") == ["anthropic/claude-next"]


def test_taking_any_does_not_make_a_provider_answer_bare_names():
    with pytest.raises(UnknownModel):
        registry(CLAUDE).resolve("claude-next", ANONYMOUS)


def test_a_model_with_a_slash_in_its_name_is_found_where_it_is_listed():
    router = Shop("router", "openai/gpt-9")
    assert resolved(registry(OPENAI, router), "openai/gpt-9") == ["router/openai/gpt-9"]


def test_a_listed_name_is_told_to_the_provider_as_it_is_listed():
    vertex = Shop("vertex", "Claude", ignores_case=True)
    assert resolved(registry(vertex), "cLAUDE") == ["vertex/Claude"]
    assert resolved(registry(vertex), "vertex/CLAUDE") == ["vertex/Claude"]


@pytest.mark.parametrize("prefix", ["modelplex-", "modelmux-"])
@pytest.mark.parametrize("model", ["gpt-5", "fast", "azure/gpt-5"])
def test_a_prefix_of_ours_is_taken_off(prefix: str, model: str):
    made = registry(OPENAI, AZURE, aliases=[Nickname("fast", ("openai/gpt-5-mini",))])
    assert resolved(made, prefix + model) == resolved(made, model)


def test_a_listed_name_with_a_prefix_wins_over_the_name_without():
    made = registry(Shop("a", "modelplex-x"), Shop("b", "x"))
    assert resolved(made, "modelplex-x") == ["a/modelplex-x"]


def test_one_prefix_is_taken_off_and_no_more():
    with pytest.raises(UnknownModel):
        registry(OPENAI).resolve("modelplex-modelmux-gpt-5", ANONYMOUS)


@pytest.mark.parametrize("model", ["", "modelplex-", "modelmux-"])
def test_no_name_is_nobodys_even_where_a_glob_takes_all(model: str):
    made = registry(Shop("local", globs=["*"] if not model else [""]))
    with pytest.raises(UnknownModel):
        made.resolve(model, ANONYMOUS)


@pytest.mark.parametrize("model", ["anthropic/", "anthropic", "/", "/claude-opus"])
def test_a_provider_without_a_model_is_nobodys_even_if_it_takes_any(model: str):
    with pytest.raises(UnknownModel):
        registry(CLAUDE).resolve(model, ANONYMOUS)


def test_a_built_in_target_is_found_by_its_full_name():
    assert resolved(registry(OPENAI, built_in=True), "modelmux/echo") == ["modelmux/echo"]


def test_the_default_answers_for_a_model_nobody_offers():
    made = registry(OPENAI, CLAUDE, default="claude-opus")
    assert resolved(made, "nothing-such") == ["anthropic/claude-opus"]
    assert resolved(made, "gpt-5-mini") == ["openai/gpt-5-mini"]


def test_the_default_may_be_an_alias():
    made = registry(OPENAI, aliases=[Nickname("fast", ("openai/gpt-5-mini",))], default="fast")
    assert resolved(made, "nothing-such") == ["openai/gpt-5-mini"]


def test_a_default_that_nobody_offers_is_refused():
    with pytest.raises(ConfigError, match=r"routing\.default.*'gpt-55'"):
        registry(OPENAI, default="gpt-55")


# Aliases


def test_the_targets_of_an_alias_answer_in_the_order_written():
    alias = Nickname("fast", ("azure/gpt-5", "openai/gpt-5-mini"))
    assert resolved(registry(OPENAI, AZURE, aliases=[alias]), "fast") == list(alias.targets)


def test_an_alias_may_name_a_model_and_so_all_of_its_providers():
    made = registry(OPENAI, AZURE, aliases=[Nickname("big", ("gpt-5",))])
    assert resolved(made, "big") == ["openai/gpt-5", "azure/gpt-5"]


def test_an_alias_may_name_an_alias():
    aliases = [Nickname("a", ("b", "azure/gpt-5")), Nickname("b", ("openai/gpt-5",))]
    assert resolved(registry(OPENAI, AZURE, aliases=aliases), "a") == [
        "openai/gpt-5",
        "azure/gpt-5",
    ]


def test_a_target_that_an_alias_reaches_twice_answers_once():
    aliases = [Nickname("a", ("b", "openai/gpt-5", "b")), Nickname("b", ("gpt-5",))]
    assert resolved(registry(OPENAI, AZURE, aliases=aliases), "a") == [
        "openai/gpt-5",
        "azure/gpt-5",
    ]


def test_aliases_of_aliases_are_looked_through_once():
    """Each doubles what is behind it; without memory this would never end."""
    aliases = [Nickname(f"a{i}", (f"a{i + 1}", f"a{i + 1}")) for i in range(40)]
    made = registry(OPENAI, aliases=[*aliases, Nickname("a40", ("openai/gpt-5",))])
    assert resolved(made, "a0") == ["openai/gpt-5"]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_an_alias_that_leads_back_to_itself_is_refused_with_the_way(size: int):
    ring = [Nickname(f"a{i}", ("openai/gpt-5", f"a{(i + 1) % size}")) for i in range(size)]
    with pytest.raises(ConfigError, match=r"a0 -> .*leads back to itself"):
        registry(OPENAI, aliases=ring)


def test_an_alias_to_nobody_is_refused_with_the_nearest_names():
    with pytest.raises(ConfigError, match=r"models\.fast.*'openai/gpt-6'.*nearest: openai/gpt-5"):
        registry(OPENAI, aliases=[Nickname("fast", ("openai/gpt-6",))])


def test_an_alias_without_targets_is_refused():
    with pytest.raises(ConfigError, match=r"models\.fast: expected at least one target"):
        registry(OPENAI, aliases=[Nickname("fast", ())])


# Permission


def test_a_key_without_models_allows_all():
    assert resolved(registry(OPENAI, AZURE), "gpt-5") == ["openai/gpt-5", "azure/gpt-5"]


def test_a_key_that_allows_a_name_allows_everybody_behind_it():
    assert resolved(registry(OPENAI, AZURE), "gpt-5", "gpt-5") == ["openai/gpt-5", "azure/gpt-5"]


def test_a_key_that_allows_a_provider_gets_that_provider_only():
    assert resolved(registry(OPENAI, AZURE), "gpt-5", "azure/*") == ["azure/gpt-5"]


def test_a_model_that_the_key_does_not_allow_is_denied_and_not_unknown():
    with pytest.raises(PermissionDenied) as caught:
        registry(OPENAI, CLAUDE).resolve("claude-opus", caller("gpt-*", "fast", name="team-a"))
    assert caught.value.status == 403
    assert caught.value.param == "model"
    assert "'team-a'" in caught.value.message
    assert "gpt-*, fast" in caught.value.message


def test_a_key_that_allows_a_model_does_not_allow_to_choose_its_provider():
    with pytest.raises(PermissionDenied):
        registry(OPENAI, AZURE).resolve("azure/gpt-5", caller("gpt-5"))


def test_a_key_that_allows_an_alias_allows_its_targets_by_that_name_only():
    made = registry(OPENAI, aliases=[Nickname("fast", ("openai/gpt-5-mini",))])
    assert resolved(made, "fast", "fast") == ["openai/gpt-5-mini"]
    with pytest.raises(PermissionDenied):
        made.resolve("gpt-5-mini", caller("fast"))


def test_an_alias_that_the_key_does_not_allow_gives_the_targets_that_it_does():
    made = registry(OPENAI, AZURE, aliases=[Nickname("fast", ("openai/gpt-5", "azure/gpt-5"))])
    assert resolved(made, "fast", "azure/*") == ["azure/gpt-5"]


@pytest.mark.parametrize("asked", ["modelplex-gpt-5", "modelmux-gpt-5"])
def test_a_prefix_of_ours_makes_no_difference_to_a_key(asked: str):
    made = registry(OPENAI)
    assert resolved(made, asked, "gpt-5") == ["openai/gpt-5"]
    with pytest.raises(PermissionDenied):
        made.resolve(asked, caller("gpt-5-mini"))


def test_case_that_the_provider_ignores_makes_no_difference_to_a_key():
    vertex = Shop("vertex", "claude", ignores_case=True)
    assert resolved(registry(vertex), "CLAUDE", "claude") == ["vertex/claude"]


def test_a_pattern_for_names_nobody_offers_does_not_allow_the_default():
    made = registry(OPENAI, CLAUDE, default="claude-opus")
    with pytest.raises(UnknownModel):
        made.resolve("gpt-nonsense", caller("gpt-*"))


@pytest.mark.parametrize("allowed", ["fast", "openai/*"])
def test_the_default_answers_a_key_that_allows_it(allowed: str):
    made = registry(OPENAI, aliases=[Nickname("fast", ("openai/gpt-5-mini",))], default="fast")
    assert resolved(made, "gpt-nonsense", allowed) == ["openai/gpt-5-mini"]


def test_patterns_are_globs_of_the_whole_name_with_case():
    assert allows(caller("gpt-*"), "gpt-5")
    assert not allows(caller("gpt"), "gpt-5")
    assert not allows(caller("GPT-*"), "gpt-5")
    assert not allows(caller("pt-*"), "gpt-5")


# What is said of models nobody offers


def test_a_model_nobody_offers_is_unknown_with_the_nearest_names():
    with pytest.raises(UnknownModel) as caught:
        registry(OPENAI, CLAUDE).resolve("gpt-5-minni", ANONYMOUS)
    assert caught.value.status == 404
    assert caught.value.code == "model_not_found"
    assert "nearest: gpt-5-mini" in caught.value.message


def test_the_nearest_names_are_only_those_that_the_key_allows():
    with pytest.raises(UnknownModel) as caught:
        registry(OPENAI, AZURE).resolve("gpt-55", caller("azure/*"))
    assert "openai" not in caught.value.message
    assert "gpt-5-mini" not in caught.value.message


def test_a_name_too_long_to_be_one_is_nobodys_and_is_not_repeated():
    made = registry(Shop("local", globs=["*"]))
    with pytest.raises(UnknownModel) as caught:
        made.resolve("x" * (MAX_NAME_CHARS + 1), ANONYMOUS)
    assert len(caught.value.message) < 300
    assert resolved(made, "x" * MAX_NAME_CHARS) == ["local/" + "x" * MAX_NAME_CHARS]


# Lists


def test_the_list_has_every_name_once_with_those_who_answer_it():
    alias = Nickname("fast", ("openai/gpt-5-mini", "azure/gpt-5"))
    made = registry(AZURE, OPENAI, aliases=[alias], built_in=True)
    assert made.models(ANONYMOUS) == [
        ("fast", ["openai/gpt-5-mini", "azure/gpt-5"]),
        ("gpt-5", ["openai/gpt-5", "azure/gpt-5"]),
        ("gpt-5-mini", ["openai/gpt-5-mini"]),
        ("modelmux/echo", ["modelmux/echo"]),
    ]


def test_the_list_shows_a_key_only_what_it_allows():
    alias = Nickname("fast", ("openai/gpt-5-mini", "azure/gpt-5"))
    made = registry(OPENAI, AZURE, aliases=[alias], built_in=True)
    assert made.models(caller("azure/*")) == [("fast", ["azure/gpt-5"]), ("gpt-5", ["azure/gpt-5"])]


def test_the_list_shows_the_targets_of_an_alias_that_hides_a_model():
    made = registry(OPENAI, CLAUDE, aliases=[Nickname("gpt-5", ("anthropic/claude-opus",))])
    assert dict(made.models(ANONYMOUS))["gpt-5"] == ["anthropic/claude-opus"]


def test_the_list_shows_targets_and_not_the_aliases_that_lead_to_them():
    aliases = [Nickname("smart", ("fast",)), Nickname("fast", ("gpt-5",))]
    made = registry(OPENAI, AZURE, aliases=aliases)
    assert dict(made.models(ANONYMOUS))["smart"] == ["openai/gpt-5", "azure/gpt-5"]
    assert [name for name, _ in made.models(caller("fast"))] == ["fast"]


def test_those_who_offer_a_model_are_told_without_the_default():
    made = registry(OPENAI, AZURE, Shop("local", globs=["l*"]), default="gpt-5-mini")
    assert made.targets("gpt-5", ANONYMOUS) == ["openai/gpt-5", "azure/gpt-5"]
    assert made.targets("azure/gpt-5", ANONYMOUS) == ["azure/gpt-5"]
    assert made.targets("llama", ANONYMOUS) == ["local/llama"]
    assert made.targets("gpt-5", caller("azure/*")) == ["azure/gpt-5"]
    assert made.targets("gpt-5", caller("llama")) == []
    assert made.targets("nobody", ANONYMOUS) == []


# The cache


def test_a_name_is_put_together_once():
    made = registry(OPENAI)
    assert made.resolve("gpt-5", ANONYMOUS) is made.resolve("gpt-5", ANONYMOUS)


def test_callers_of_one_name_who_may_do_different_things_share_nothing():
    made = registry(OPENAI, AZURE)
    assert resolved(made, "gpt-5") == ["openai/gpt-5", "azure/gpt-5"]
    assert resolved(made, "gpt-5", "azure/*") == ["azure/gpt-5"]
    with pytest.raises(PermissionDenied):
        made.resolve("gpt-5", caller("claude-*"))


def test_callers_without_names_share_nothing_but_what_both_may_do():
    made = registry(OPENAI, AZURE)
    assert names(made.resolve("gpt-5", ANONYMOUS)) == ["openai/gpt-5", "azure/gpt-5"]
    assert names(made.resolve("gpt-5", caller("azure/*", name=""))) == ["azure/gpt-5"]


def test_the_cache_has_an_end_and_forgetting_changes_nothing():
    made = registry(Shop("local", globs=["*"]))
    first = made.resolve("m", ANONYMOUS)
    for number in range(MAX_ROUTES + 1):
        made.resolve(f"m-{number}", ANONYMOUS)
        assert len(made._routes) <= MAX_ROUTES
    assert names(made.resolve("m", ANONYMOUS)) == names(first)


def test_a_refusal_is_not_kept():
    made = registry(OPENAI)
    for number in range(10):
        with pytest.raises(UnknownModel):
            made.resolve(f"nobody-{number}", ANONYMOUS)
    assert made._routes == {}


# Laws

NAMES = st.sampled_from(["m", "n", "a/m", "b", "M", "modelplex-m"])
PATTERNS = st.sampled_from(
    ["m", "n", "a/*", "*/m", "b/n", "?", "x*", "modelplex-*", "alias", "[mn]"]
)
SHOPS = st.lists(
    st.builds(
        lambda name, models, globs, priority, takes_any, ignores_case: Shop(
            name,
            *models,
            globs=globs,
            priority=priority,
            takes_any=takes_any,
            ignores_case=ignores_case,
        ),
        st.sampled_from(["a", "b", "c"]),
        st.lists(NAMES, max_size=3, unique=True),
        st.lists(st.sampled_from(["*", "m*", "?"]), max_size=1),
        st.integers(0, 2),
        st.booleans(),
        st.booleans(),
    ),
    max_size=3,
    unique_by=lambda shop: shop.name,
)
ASKED = st.sampled_from(
    ["m", "n", "M", "a/m", "b/n", "a/z", "z", "alias", "modelplex-m", "modelmux-alias", "x"]
)


def made_of(shops: list[Shop], *, default: bool) -> tuple[Registry, dict[str, set[str]]]:
    """A registry, and the aliases under which callers know each target."""
    offered = [f"{shop.name}/{model}" for shop in shops for model in shop.models]
    aliases = [Nickname("alias", tuple(offered))] if offered else []
    made = registry(
        *shops, aliases=aliases, default="alias" if default and offered else "", built_in=True
    )
    return made, {target: {"alias"} for target in offered}


def known_as(target: str, aliases: dict[str, set[str]]) -> set[str]:
    return {target, target.partition("/")[2]} | aliases.get(target, set())


@given(SHOPS, ASKED, st.lists(PATTERNS, max_size=3), st.booleans())
def test_nobody_reaches_a_target_that_has_no_name_the_key_allows(
    shops: list[Shop], asked: str, patterns: list[str], default: bool
):
    made, aliases = made_of(shops, default=default)
    key = caller(*patterns)
    try:
        found = names(made.resolve(asked, key))
    except (UnknownModel, PermissionDenied):
        return
    assert found
    for target in found:
        assert any(allows(key, name) for name in known_as(target, aliases)), target


@given(SHOPS, st.lists(PATTERNS, max_size=3), st.booleans())
def test_what_the_list_shows_is_what_answers(shops: list[Shop], patterns: list[str], default: bool):
    made, _ = made_of(shops, default=default)
    key = caller(*patterns)
    for name, targets in made.models(key):
        assert names(made.resolve(name, key)) == targets


@given(SHOPS, ASKED, st.lists(st.lists(PATTERNS, max_size=2), min_size=2, max_size=4))
def test_who_asked_before_makes_no_difference(shops: list[Shop], asked: str, keys: list[list[str]]):
    def answer(made: Registry, patterns: list[str]) -> list[str] | str:
        try:
            return names(made.resolve(asked, caller(*patterns)))
        except (UnknownModel, PermissionDenied) as exc:
            return type(exc).__name__

    shared, _ = made_of(shops, default=False)
    for patterns, _round in product(keys, range(2)):
        fresh, _ = made_of(shops, default=False)
        assert answer(shared, patterns) == answer(fresh, patterns)


@given(SHOPS, ASKED)
def test_a_key_that_allows_everything_is_as_good_as_no_limit(shops: list[Shop], asked: str):
    made, _ = made_of(shops, default=True)
    try:
        everything = names(made.resolve(asked, ANONYMOUS))
    except UnknownModel:
        with pytest.raises(UnknownModel):
            made.resolve(asked, caller("*"))
    else:
        assert resolved(made, asked, "*") == everything


# Roles and nested choices


def member_names(plan: Plan, role: Role) -> list[str]:
    return [member.target.name for member in plan.members[role]]


def test_a_plan_says_who_is_there_for_what():
    others: Mapping[Role, Sequence[Entry]] = {
        "content_policy": [Entry("anthropic/claude-opus")],
        "mirror": [Entry("azure/gpt-5", share=0.5)],
    }
    alias = Nickname("fast", ("openai/gpt-5-mini",), others)
    plan = registry(OPENAI, AZURE, CLAUDE, aliases=[alias]).plan("fast", ANONYMOUS)
    assert plan.alias is alias
    assert member_names(plan, "target") == ["openai/gpt-5-mini"]
    assert member_names(plan, "content_policy") == ["anthropic/claude-opus"]
    assert [member.entry.share for member in plan.members["mirror"]] == [0.5]


def test_whom_the_operator_copies_to_is_no_callers_matter():
    others: Mapping[Role, Sequence[Entry]] = {
        "content_policy": [Entry("anthropic/claude-opus")],
        "mirror": [Entry("azure/gpt-5")],
    }
    alias = Nickname("fast", ("openai/gpt-5-mini",), others)
    made = registry(OPENAI, AZURE, CLAUDE, aliases=[alias])
    plan = made.plan("fast", caller("openai/*"))
    assert member_names(plan, "target") == ["openai/gpt-5-mini"]
    assert member_names(plan, "content_policy") == []
    assert member_names(plan, "mirror") == ["azure/gpt-5"]


def test_an_alias_that_is_more_than_a_list_stays_one():
    aliases = [
        Nickname("outer", ("inner", "azure/gpt-5")),
        Nickname("inner", ("openai/gpt-5", "openai/gpt-5-mini"), is_plain=False),
    ]
    made = registry(OPENAI, AZURE, aliases=aliases)
    assert resolved(made, "outer") == ["inner", "azure/gpt-5"]
    assert made.targets("outer", ANONYMOUS) == ["openai/gpt-5", "openai/gpt-5-mini", "azure/gpt-5"]
    inner = made.plan("outer", ANONYMOUS).targets[0].target
    assert isinstance(inner, Several)
    assert inner.plan.is_nested
    assert inner.targets == ["openai/gpt-5", "openai/gpt-5-mini"]


def test_a_nested_choice_has_only_whom_the_key_allows():
    aliases = [
        Nickname("outer", ("inner", "azure/gpt-5")),
        Nickname("inner", ("openai/gpt-5", "openai/gpt-5-mini"), is_plain=False),
    ]
    made = registry(OPENAI, AZURE, aliases=aliases)
    assert made.targets("outer", caller("openai/gpt-5", "azure/*")) == [
        "openai/gpt-5",
        "azure/gpt-5",
    ]
    assert resolved(made, "outer", "azure/*") == ["azure/gpt-5"]


def test_providers_of_one_priority_are_in_one_tier():
    first, second, third = Shop("a", "m", priority=5), Shop("b", "m", priority=5), Shop("c", "m")
    plan = registry(first, second, third).plan("m", ANONYMOUS)
    assert [(each.target.name, each.entry.tier) for each in plan.targets] == [
        ("c/m", 0),
        ("a/m", 1),
        ("b/m", 1),
    ]


# Rules


def steered(*rules: Rule) -> Registry:
    world = World(hour=lambda: 12)
    return Registry(
        [OPENAI, AZURE, CLAUDE],
        [Nickname("fast", ("openai/gpt-5-mini",))],
        Several,
        steering=Steering(rules, world, lambda _name: None),
    )


def rule(when: str, **leads: str) -> Rule:
    return Rule(compile_condition(when), **leads)


def asked_for(model: str, *allowed: str) -> Call:
    wire = LineWire()
    body = linewire.request_body(model=model)
    return Call(wire, body, wire.envelope(body), caller=caller(*allowed))


def test_the_first_rule_that_holds_decides():
    made = steered(rule("stream", target="azure/gpt-5"), rule('model == "gpt-5"', provider="azure"))
    assert names(made.route(asked_for("gpt-5"))) == ["azure/gpt-5"]
    assert names(made.route(asked_for("gpt-5-mini"))) == ["openai/gpt-5-mini"]


def test_a_rule_may_answer_for_a_model_that_nobody_offers():
    made = steered(rule('model == "gpt-4"', model="fast"))
    assert names(made.route(asked_for("gpt-4"))) == ["openai/gpt-5-mini"]
    with pytest.raises(UnknownModel):
        made.route(asked_for("gpt-3"))


def test_a_rule_that_leads_to_nobody_is_passed_over():
    made = steered(rule("true", provider="azure"), rule("true", target="anthropic/claude-opus"))
    assert names(made.route(asked_for("gpt-5-mini"))) == ["anthropic/claude-opus"]


def test_who_may_ask_for_a_model_may_have_what_a_rule_makes_of_it():
    made = steered(rule("true", target="azure/gpt-5"))
    assert names(made.route(asked_for("gpt-5-mini", "gpt-5-mini"))) == ["azure/gpt-5"]
    assert names(made.route(asked_for("x", "azure/*"))) == ["azure/gpt-5"]
    with pytest.raises(PermissionDenied):
        made.route(asked_for("gpt-5-mini", "claude-*"))


def test_a_rule_opens_no_way_for_who_asks_for_something_else():
    made = steered(rule("true", target="azure/gpt-5"))
    assert names(made.route(asked_for("gpt-5-mini", "gpt-5-mini"))) == ["azure/gpt-5"]
    with pytest.raises(PermissionDenied):
        made.route(asked_for("claude-opus", "gpt-5-mini"))


@pytest.mark.parametrize("leads", [{"target": "azure/gpt-6"}, {"model": "slow"}])
def test_a_rule_to_nobody_is_a_mistake(leads: dict[str, str]):
    with pytest.raises(ConfigError, match=r"routing.rules\[0\]"):
        steered(rule("true", **leads))
