import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.config.locate import key_lines
from modelmux.config.origin import KeyPath

EVERYTHING = """\
# a comment with [brackets] and "quotes"
title = "x # no comment"   # one
a.b . "c.d" = 1
'lit eral' = '''
[not.a.table]
x = 1
'''
multi = \"\"\"
key = \\"\"\" still inside
\"\"\"\"\"
when = 1979-05-27 07:32:00Z

[server]
listen = [
  "a",  # first
  'b', [ "c",
    "d" ],
  { x = 1, y.z = [ 2 ] },
]

[ "quo.ted" . sub ]
k = { a = 1, "b c" = { d = "}" } }

[[providers]]
name = "one"
[providers.headers]
"x.y" = "1"
[[providers.models]]
name = "m1"
[[providers.models]]
name = "m2"

[[providers]]
name = "two"
headers."x.z" = "2"
empty = []
none = {}
"""


def flattened(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every path of a parsed document."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, each in value.items():
            yield from flattened(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from flattened(each, (*path, index))


def test_every_key_of_a_document_has_a_line():
    assert set(key_lines(EVERYTHING)) == set(flattened(tomllib.loads(EVERYTHING)))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("a", "b", "c.d"), 3),
        (("lit eral",), 4),
        (("multi",), 8),
        (("when",), 11),
        (("server",), 13),
        (("server", "listen"), 14),
        (("server", "listen", 0), 15),
        (("server", "listen", 1), 16),
        (("server", "listen", 2, 1), 17),
        (("server", "listen", 3, "y", "z", 0), 18),
        (("quo.ted", "sub", "k", "b c", "d"), 22),
        (("providers",), 24),
        (("providers", 0, "headers", "x.y"), 27),
        (("providers", 0, "models", 1, "name"), 31),
        (("providers", 1), 33),
        (("providers", 1, "headers", "x.z"), 35),
        (("providers", 1, "none"), 37),
    ],
)
def test_a_key_stands_on_its_line(path: KeyPath, line: int):
    assert key_lines(EVERYTHING)[path] == line


def test_carriage_returns_change_no_line():
    assert key_lines(EVERYTHING.replace("\n", "\r\n")) == key_lines(EVERYTHING)


def test_what_is_no_toml_is_passed_over_and_ends():
    for text in ("= = =", "a = [1, ,", "[[[", "a = {b", '"', "x = [[[[", "a"):
        key_lines(text)


names = st.text("abc_-. \"'é\\", min_size=1, max_size=6)
simple = st.sampled_from(
    ['"""\n[x]\ny = 1\n"""', "'#'", "[1,\n2, # ]\n3]", "{a = 1}", "true", '""']
)


def quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@given(
    st.dictionaries(names, st.dictionaries(names, simple, max_size=3), max_size=4),
    st.lists(st.sampled_from(["", "# [no] = {table}", "   "]), max_size=3),
)
def test_each_key_is_found_where_it_was_written(
    tables: dict[str, dict[str, str]], blanks: list[str]
):
    lines: list[str] = []
    written: dict[KeyPath, int] = {}
    for table, keys in tables.items():
        lines += blanks
        written[table,] = len(lines) + 1
        lines.append(f"[{quoted(table)}]")
        for key, value in keys.items():
            lines += blanks
            written[table, key] = len(lines) + 1
            lines += f"{quoted(key)} = {value}".split("\n")
    text = "\n".join(lines)
    found = key_lines(text)
    assert {path: found[path] for path in written} == written
    assert set(found) == set(flattened(tomllib.loads(text)))
