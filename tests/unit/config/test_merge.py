from hypothesis import given
from hypothesis import strategies as st

from modelmux.config.document import parse
from modelmux.config.merge import canonical, merge
from modelmux.config.origin import Branch, Items, Leaf, Node, Origin
from modelmux.config.problem import Report
from modelmux.config.shape import config_shape

SHAPE = config_shape()


def merged(*texts: str) -> Node:
    root: Node = parse("", "system", "0")
    for number, text in enumerate(texts, start=1):
        root = merge(root, parse(text, "project", str(number)), SHAPE)
    return root


def plain(node: Node) -> object:
    match node:
        case Branch():
            return {key: plain(each) for key, each in node.children.items()}
        case Items():
            return [plain(each) for each in node.items]
        case Leaf():
            return node.value


def test_a_layer_changes_only_what_it_says():
    root = merged("[server]\nlog_level = 'debug'\nworkers = 1", "[server]\nworkers = 1")
    assert plain(root) == {"server": {"log_level": "debug", "workers": 1}}


def test_a_value_equal_to_the_default_overrides_a_lower_layer():
    root = merged("[server]\nport = 8080", "[server]\nport = 3000")
    assert plain(root) == {"server": {"port": 3000}}


def test_entries_of_the_same_name_are_merged_and_others_appended():
    root = merged(
        "[[providers]]\nname='a'\ntype='x'\nheaders={k='1'}\n[[providers]]\nname='b'",
        "[[providers]]\nname='c'\n[[providers]]\nname='a'\nregion='eu'\nheaders={l='2'}",
    )
    assert plain(root) == {
        "providers": [
            {"name": "a", "type": "x", "headers": {"k": "1", "l": "2"}, "region": "eu"},
            {"name": "b"},
            {"name": "c"},
        ]
    }


def test_two_entries_of_one_layer_are_never_merged():
    root = merged("[[keys]]\nname='a'", "[[keys]]\nname='a'\n[[keys]]\nname='a'")
    assert plain(root) == {"keys": [{"name": "a"}, {"name": "a"}]}


def test_entries_without_a_name_are_kept_for_the_errors_they_cause():
    assert plain(merged("[[keys]]\nsecret='1'", "[[keys]]\nsecret='2'")) == {
        "keys": [{"secret": "1"}, {"secret": "2"}]
    }


def test_plain_arrays_are_replaced():
    root = merged("[[keys]]\nname='a'\nmodels=['x','y']", "[[keys]]\nname='a'\nmodels=['z']")
    assert plain(root) == {"keys": [{"name": "a", "models": ["z"]}]}


def test_models_of_vertex_are_merged_by_name_too():
    root = merged(
        "[[vertex.models]]\nname='a'\nmodel='m'", "[[vertex.models]]\nname='a'\nregion='r'"
    )
    assert plain(root) == {"vertex": {"models": [{"name": "a", "model": "m", "region": "r"}]}}


def test_port_takes_back_a_lower_listen_and_the_other_way_round():
    assert plain(merged("[server]\nlisten=[':1']", "[server]\nport=2")) == {"server": {"port": 2}}
    assert plain(merged("[server]\nport=2", "[server]\nlisten=[':1']")) == {
        "server": {"listen": [":1"]}
    }


def test_port_and_listen_of_one_layer_are_both_kept():
    assert plain(merged("[server]\nport=2\nlisten=[':1']")) == {
        "server": {"port": 2, "listen": [":1"]}
    }


def test_several_keys_take_back_a_lower_single_key():
    root = merged("[[providers]]\nname='a'\napi_key='1'", "[[providers]]\nname='a'\napi_keys=['2']")
    assert plain(root) == {"providers": [{"name": "a", "api_keys": ["2"]}]}


def test_what_has_another_form_above_is_replaced():
    assert plain(merged("server = 1", "[server]\nport = 2")) == {"server": {"port": 2}}
    assert plain(merged("[unknown]\na = 1", "[unknown]\nb = 2")) == {"unknown": {"a": 1, "b": 2}}


trees = st.recursive(
    st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
).filter(lambda tree: isinstance(tree, dict))


def as_node(tree: object, name: str) -> Node:
    origin = Origin("project", name)
    if isinstance(tree, dict):
        return Branch({key: as_node(each, name) for key, each in tree.items()}, origin)
    return Leaf(tree, origin)


def expected(lower: object, upper: object) -> object:
    if isinstance(lower, dict) and isinstance(upper, dict):
        both = {key: expected(lower[key], upper[key]) for key in lower.keys() & upper.keys()}
        return {**lower, **upper, **both}
    return upper


@given(trees, trees)
def test_merging_tables_is_by_key_path(lower: object, upper: object):
    assert plain(merge(as_node(lower, "1"), as_node(upper, "2"), None)) == expected(lower, upper)


# A key is a value everywhere or a table everywhere.
alike = st.recursive(
    st.fixed_dictionaries({}, optional={"a": st.integers(0, 9), "b": st.integers(0, 9)}),
    lambda inner: st.fixed_dictionaries({}, optional={"a": st.integers(0, 9), "c": inner}),
    max_leaves=4,
)


@given(alike, alike, alike)
def test_merging_is_associative(one: object, two: object, three: object):
    a, b, c = as_node(one, "1"), as_node(two, "2"), as_node(three, "3")
    left = merge(merge(a, b, None), c, None)
    assert plain(left) == plain(merge(a, merge(b, c, None), None))


def test_another_name_of_a_key_is_put_under_its_own():
    report = Report()
    root = parse("[vertex]\nproject_id='p'\n[[vertex.models]]\nname='n'\nmodel_id='m'", "user", "f")
    found = canonical(root, SHAPE, report)
    assert plain(found) == {"vertex": {"project": "p", "models": [{"name": "n", "model": "m"}]}}
    assert report.errors == []


def test_a_key_under_both_its_names_is_an_error():
    report = Report()
    canonical(parse("[vertex]\nproject='p'\nproject_id='q'", "user", "f"), SHAPE, report)
    assert [each.message for each in report.errors] == [
        "f:3: vertex.project_id: expected once, is another name of 'project'"
    ]
