import pytest

from modelmux.config.schema import Vertex, VertexModel
from modelmux.config.vertex import is_used, missing, names

URL = "https://h/v1/projects/p/locations/l/publishers/anthropic/models/claude-x@2025:rawPredict"


def test_vertex_is_used_once_anything_is_said_of_it():
    assert not is_used(Vertex())
    assert is_used(Vertex(project="p"))
    assert is_used(Vertex(models=(VertexModel(name="a"),)))


@pytest.mark.parametrize(
    ("vertex", "expected"),
    [
        (Vertex(model="claude-x@2025"), ["claude-x"]),
        (Vertex(url=URL), ["claude-x"]),
        (Vertex(model="m", models=(VertexModel(name="A"), VertexModel(name="B"))), ["m", "A", "B"]),
        (Vertex(project="p"), []),
    ],
)
def test_models_have_the_names_callers_ask_for(vertex: Vertex, expected: list[str]):
    assert [name for _, name in names(vertex)] == expected


@pytest.mark.parametrize(
    ("vertex", "entry", "expected"),
    [
        (Vertex(), None, ["project", "region", "model"]),
        (Vertex(project="p", region="r", model="m"), None, []),
        (Vertex(project="p", location="l", model="m"), None, []),
        (Vertex(url=URL), None, []),
        (Vertex(project="p"), VertexModel(name="n", region="r"), ["model"]),
        (Vertex(project="p", region="r"), VertexModel(name="n", model="m"), []),
        (Vertex(), VertexModel(name="n", url=URL), []),
        (Vertex(url=URL), VertexModel(name="n"), []),
    ],
)
def test_what_is_missing_is_what_neither_table_says(
    vertex: Vertex, entry: VertexModel | None, expected: list[str]
):
    assert missing(vertex, entry) == expected
