import sys
from math import cos, sin

import pytest

from modelmux.errors import ConfigError
from modelmux.store import vectors as module
from modelmux.store.vectors import Near, Vectors


def at(angle: float, length: float = 1.0) -> list[float]:
    return [length * cos(angle), length * sin(angle), 0.0]


def test_the_nearest_by_direction_is_found_whatever_its_length():
    vectors = Vectors(100)
    for number in range(10):
        vectors.add("g", at(number / 10, 5.0), f"k{number}")
    near = vectors.nearest("g", at(0.32, 0.001))
    assert near is not None
    assert near.key == "k3"
    assert near.similarity == pytest.approx(cos(0.02), abs=1e-6)


def test_groups_are_apart():
    vectors = Vectors(100)
    vectors.add("g", at(0.0), "a")
    assert vectors.nearest("h", at(0.0)) is None
    vectors.add("h", at(1.0), "b")
    assert vectors.nearest("g", at(1.0)) == Near("a", pytest.approx(cos(1.0)))


def test_a_key_has_one_vector():
    vectors = Vectors(100)
    vectors.add("g", at(0.0), "a")
    vectors.add("g", at(1.0), "a")
    assert vectors.count == 1
    assert vectors.nearest("g", at(1.0)) == Near("a", pytest.approx(1.0))


def test_no_more_are_held_than_allowed_and_the_group_unused_longest_goes_first():
    vectors = Vectors(6)
    for group in "abc":
        vectors.add(group, at(0.0), f"{group}1")
        vectors.add(group, at(1.0), f"{group}2")
    vectors.nearest("a", at(0.0))
    vectors.add("d", at(0.0), "d1")
    assert vectors.nearest("b", at(0.0)) is None
    assert [vectors.nearest(group, at(0.0)) is not None for group in "acd"] == [True] * 3
    assert vectors.count == 5


def test_a_full_group_replaces_its_oldest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_IN_GROUP", 5)
    vectors = Vectors(100)
    for number in range(7):
        vectors.add("g", at(number / 10), f"k{number}")
    found = {near.key for n in range(7) if (near := vectors.nearest("g", at(n / 10))) is not None}
    assert found == {"k2", "k3", "k4", "k5", "k6"}
    assert vectors.count == 5


@pytest.mark.parametrize("vector", [[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0], []])
def test_what_has_no_direction_is_near_to_nothing(vector: list[float]):
    vectors = Vectors(100)
    vectors.add("g", vector, "a")
    assert vectors.count == 0
    vectors.add("g", [1.0, 0.0], "b")
    assert vectors.nearest("g", vector) is None


def test_another_model_with_longer_vectors_starts_anew():
    vectors = Vectors(100)
    vectors.add("g", [1.0, 0.0], "a")
    assert vectors.nearest("g", [1.0, 0.0, 0.0]) is None
    vectors.add("g", [1.0, 0.0, 0.0], "b")
    assert vectors.nearest("g", [1.0, 0.0, 0.0]) == Near("b", pytest.approx(1.0))
    assert vectors.count == 1


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ConfigError, match="is not installed") as raised:
        Vectors(1)
    assert raised.value.hint == "pip install 'modelmux[semantic]'"
