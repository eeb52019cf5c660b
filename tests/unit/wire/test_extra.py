import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.parts import Extra
from modelmux.ir.request import Loss
from modelmux.wire import extra
from tests.support.cases import case


class Square(Struct, forbid_unknown_fields=True, tag_field="type", tag="square"):
    side: int


class Circle(Struct, forbid_unknown_fields=True, tag_field="type", tag="circle"):
    radius: int


class Colour(Struct, forbid_unknown_fields=True):
    name: str = "red"


class Drawing(Struct, forbid_unknown_fields=True):
    title: str
    shapes: list[Square | Circle] = []
    colour: Colour | None = None
    raw: Raw = Raw()
    alias: int = msgspec.field(default=0, name="as")


DRAWING = extra.Schema(Drawing)


def fields(unknown) -> dict[str, bytes]:
    return {pointer: bytes(raw) for pointer, raw in unknown.items()}


def test_an_object_without_unknown_fields_has_none():
    assert DRAWING.decode(b'{"title":"t","as":1}') == (Drawing("t", alias=1), {})


@case(54)
def test_unknown_fields_are_kept_at_every_level_as_they_came():
    body = b""" {"x": [1, 2.50], "title": "t", "colour": {"name": "blue", "hue" : 1e3},
        "shapes": [{"type": "square", "side": 1}, {"radius": 2, "type": "circle", "fill": null}]}"""
    drawing, unknown = DRAWING.decode(body)
    assert drawing == Drawing("t", [Square(1), Circle(2)], Colour("blue"))
    assert fields(unknown) == {"/x": b"[1, 2.50]", "/colour/hue": b"1e3", "/shapes/1/fill": b"null"}


def test_what_stands_inside_raw_json_is_not_unknown():
    drawing, unknown = DRAWING.decode(b'{"title":"t","raw":{"a":1},"x":0}')
    assert bytes(drawing.raw) == b'{"a":1}'
    assert list(unknown) == ["/x"]


def test_names_are_escaped_in_pointers():
    _, unknown = DRAWING.decode(b'{"title":"t","a/b~c":1}')
    assert fields(unknown) == {"/a~1b~0c": b"1"}


@given(st.text())
def test_unescaping_gives_back_what_was_escaped(name):
    assert extra.unescape(extra.escape(name)) == name
    assert "/" not in extra.escape(name)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"title":1}', "title"),
        (b"{}", "title"),
        (b'{"title":"t","shapes":[{"type":"square"}]}', "shapes[0].side"),
        (b'{"title":"t","shapes":[{"type":"star","x":1}]}', "shapes[0].type"),
        (b'{"title":"t","shapes":[{"type":"square","side":"s","x":1}]}', "shapes[0].side"),
        (b'{"x":1}', "title"),
        (b"[]", None),
        (b"", None),
        (b"{", None),
        (b'{"title":"\xff"}', None),
        (b'{"title":"t","x":' + b"[" * 5000, None),
    ],
    ids=repr,
)
def test_a_bad_object_is_refused_by_its_path(body, param):
    with pytest.raises(InvalidRequest) as caught:
        DRAWING.decode(body)
    assert caught.value.param == param
    assert param is None or caught.value.message.startswith(f"{param}: ")


def test_paths_begin_where_the_object_stands():
    with pytest.raises(InvalidRequest) as caught:
        DRAWING.decode(b'{"title":"t","shapes":[{"type":"square"}]}', "/pages/3")
    assert caught.value.param == "pages[3].shapes[0].side"


def test_a_schema_says_whose_mistake_a_bad_object_is():
    with pytest.raises(ProtocolViolation):
        extra.Schema(Colour, ProtocolViolation).decode(b'{"name":1}')


def test_a_schema_that_does_not_forbid_unknown_fields_is_a_mistake():
    class Lax(Struct):
        pass

    with pytest.raises(TypeError, match="must forbid"):
        extra.Schema(Lax)


@given(st.binary(max_size=40))
def test_noise_is_refused_and_raises_nothing_else(noise):
    with pytest.raises(InvalidRequest):
        DRAWING.decode(noise)


def test_fields_are_kept_only_if_there_are_any():
    assert extra.keep({}, "w") is None
    kept = extra.keep({"/a": Raw(b"1")}, "w", "/m/0")
    assert kept == Extra("w", {"/a": Raw(b"1")}, "/m/0")


def test_fields_come_back_where_they_were():
    kept = Extra("w", {"/a": Raw(b"1"), "/b~1c": Raw(b"2"), "/o/x": Raw(b"3"), "/l/1/y": Raw(b"4")})
    value = {"o": {}, "l": [{}, {}]}
    merged = extra.merge(value, kept, "w")
    assert msgspec.json.decode(msgspec.json.encode(merged)) == {
        "a": 1,
        "b/c": 2,
        "o": {"x": 3},
        "l": [{}, {"y": 4}],
    }


def test_fields_win_over_what_is_there():
    value = extra.merge({"a": 0}, Extra("w", {"/a": Raw(b"1")}), "w")
    assert msgspec.json.encode(value) == b'{"a":1}'


@pytest.mark.parametrize("value", [{}, {"o": 1}, {"o": None}, {"o": []}, {"o": ["x"]}])
def test_a_field_whose_place_is_gone_is_gone_too(value):
    before = msgspec.json.encode(value)
    extra.merge(value, Extra("w", {"/o/7/x": Raw(b"1")}), "w")
    assert msgspec.json.encode(value) == before


@pytest.mark.parametrize("kept", [None, Extra("other", {"/a": Raw(b"1")})])
def test_fields_of_another_wire_are_not_written(kept):
    assert extra.merge({}, kept, "w") == {}


@case(54)
def test_fields_are_lost_on_every_wire_but_their_own():
    kept = Extra("w", {"/a": Raw(b"1"), "/b": Raw(b"2")}, "/messages/0", frozenset({"/b"}))
    assert list(extra.losses(kept, "w")) == []
    assert list(extra.losses(None, "w")) == []
    assert list(extra.losses(kept, "v")) == [
        Loss("/messages/0/a", "v has no such field", "tuning"),
        Loss("/messages/0/b", "v has no such field", "content"),
    ]


def test_splicing_changes_only_what_it_is_told():
    body = b'{"a": {"x" : 1.50}, "b": 2, "c": 3}'
    assert extra.splice(body, {"b": "new", "d": Raw(b"[ 1 ]")}, drop=("c", "z")) == (
        b'{"a":{"x" : 1.50},"b":"new","d":[ 1 ]}'
    )


@pytest.mark.parametrize("body", [b"[]", b"", b"\xff", b'{"\xff":1}', b'{"a":' + b"[" * 5000])
def test_only_an_object_can_be_spliced(body):
    with pytest.raises(InvalidRequest):
        extra.splice(body, {"a": 1})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"old"}', b'{"model":"new"}'),
        (b'{ "a" : 1 ,\n "model" :\t"old" } ', b'{ "a" : 1 ,\n "model" :\t"new" } '),
        (b'{"t":"say \\"model\\":\\"old\\"","model":"old"}', None),
        (b'{"t":{"model":"old"},"model":"old"}', b'{"t":{"model":"old"},"model":"new"}'),
        (b'{"model":"older","model":"old"}', b'{"model":"new"}'),
        (b'{"mod\\u0065l":"old"}', b'{"model":"new"}'),
        (b'{"t":"model","model":"old"}', b'{"t":"model","model":"new"}'),
        (b'{"model":"\\u006fld"}', b'{"model":"new"}'),
        (b'{"t":"model","mod\\u0065l":"old"}', b'{"t":"model","model":"new"}'),
    ],
)
def test_a_string_at_the_top_is_replaced_and_nothing_else(body, expected):
    replaced = extra.replace_string(body, "model", "old", "new")
    assert replaced == (expected or body.replace(b'"model":"old"', b'"model":"new"'))


def test_replacing_a_string_by_itself_changes_no_byte():
    body = b'{ "model": "old" }'
    assert extra.replace_string(body, "model", "old", "old") is body


def test_a_name_written_in_another_way_is_replaced_too():
    assert extra.replace_string(b'{"model":"a\\/b"}', "model", "a/b", "c") == b'{"model":"c"}'


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4), st.text(), st.text())
def test_any_name_can_be_replaced_in_any_object(rest, old, new):
    body = msgspec.json.encode({**rest, "model": old})
    assert msgspec.json.decode(extra.replace_string(body, "model", old, new)) == {
        **rest,
        "model": new,
    }


def test_a_note_of_the_wires_own_is_neither_written_back_nor_a_loss() -> None:
    kept = Extra("w", {"item": Raw(b"1"), "/x": Raw(b"2")})
    assert extra.merge({}, kept, "w") == {"x": Raw(b"2")}
    assert [loss.path for loss in extra.losses(kept, "other")] == ["/x"]
