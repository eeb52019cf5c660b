from msgspec import Raw

from modelmux.ir.parts import Extra
from modelmux.wire.openai_responses import notes
from modelmux.wire.openai_responses.schema import NAME

ID = {"id": Raw(b'"msg_1"')}


def test_a_note_is_read_as_it_was_kept():
    kept = notes.keep("/input/0", {"/x": Raw(b"1")}, item=ID)
    assert kept is not None
    assert notes.read(kept, notes.ITEM) == ID
    assert notes.read(kept, notes.PART) is None
    assert kept.fields["/x"] == Raw(b"1")
    assert notes.has(kept, notes.ITEM)


def test_without_anything_to_keep_there_is_no_extra():
    assert notes.keep("", {}, item=None) is None


def test_notes_of_another_wire_are_not_read():
    assert notes.read(Extra("other", {notes.ITEM: Raw(b"{}")}), notes.ITEM) is None
    assert not notes.has(None, notes.ITEM)


def test_one_more_note_leaves_what_there_was():
    kept = notes.with_note(Extra(NAME, {"/x": Raw(b"1")}, "/a"), notes.MORE, {})
    assert kept.fields == {"/x": Raw(b"1"), notes.MORE: Raw(b"{}")}
    assert kept.at == "/a"


def test_fields_are_said_noted_or_unknown():
    fields = {"id": Raw(b"1"), "role": Raw(b"2"), "a/b": Raw(b"3"), "null": Raw(b"null")}
    assert notes.sort(fields, frozenset({"role"})) == ({"id": Raw(b"1")}, {"/a~1b": Raw(b"3")})
