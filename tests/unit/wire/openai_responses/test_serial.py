import pytest

from modelmux.errors import ProtocolViolation
from modelmux.ir import events as ev
from modelmux.ir.parts import Text, ToolCall
from modelmux.wire.openai_responses import serial
from modelmux.wire.openai_responses.serial import Serial
from tests.support.cases import case


def test_what_comes_in_order_is_passed_on_at_once():
    line, out = Serial(), []
    slot = line.add(Text(), out)
    line.text(slot, "a", out)
    line.done(slot, out)
    assert out == [ev.PartStart(0, Text()), ev.PartDelta(0, "a"), ev.PartEnd(0)]


@case(24)
def test_what_grows_at_the_same_time_waits():
    line, out = Serial(), []
    first, second = line.add(ToolCall("a", "f"), out), line.add(ToolCall("b", "f"), out)
    line.text(second, "2", out)
    line.text(first, "1", out)
    line.done(second, out)
    assert [type(event) for event in out] == [ev.PartStart, ev.PartDelta]
    line.done(first, out)
    assert out[2:] == [
        ev.PartEnd(0),
        ev.PartStart(1, ToolCall("b", "f")),
        ev.PartDelta(1, "2"),
        ev.PartEnd(1),
    ]


def test_what_comes_whole_comes_in_its_turn():
    line, out = Serial(), []
    whole, text = line.add(None, out), line.add(Text("a"), out)
    line.done(text, out)
    assert out == []
    line.done(whole, out, Text("w"))
    assert [event.part for event in out if isinstance(event, ev.PartStart)] == [
        Text("w"),
        Text("a"),
    ]


def test_what_never_came_is_passed_over():
    line, out = Serial(), []
    line.add(None, out)
    line.add(Text("a"), out)
    line.finish(out)
    assert out == [ev.PartStart(0, Text("a")), ev.PartEnd(0)]


def test_a_part_that_is_done_takes_nothing_more():
    line, out = Serial(), []
    slot = line.add(Text(), out)
    line.done(slot, out)
    line.text(slot, "late", out)
    assert len(out) == 2


def test_what_waits_has_a_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(serial, "MAX_HELD", 100)
    line, out = Serial(), []
    line.add(Text(), out)
    other = line.add(Text(), out)
    with pytest.raises(ProtocolViolation, match="interleaved"):
        line.text(other, "x" * 101, out)
