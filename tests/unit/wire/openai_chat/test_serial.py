import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import ProtocolViolation
from modelmux.ir import events as ev
from modelmux.ir.parts import Blob, Citation, Reasoning, Text, ToolCall
from modelmux.wire.openai_chat import serial
from modelmux.wire.openai_chat.schema import NAME
from modelmux.wire.openai_chat.serial import Serial, Slot
from tests.support.cases import case

START = ev.Start("r", "m")


class Stage:
    """A `Serial` and the events that came out of it."""

    def __init__(self) -> None:
        self.serial = Serial()
        self.out: list[ev.Event] = []

    def say(self, text: str, what: serial.Said = "text") -> None:
        self.serial.say(what, text, self.out)

    def call(self, call_id: str, arguments: str = "", name: str = "f") -> Slot:
        slot = self.serial.begin(self.out)
        slot.identify(call_id, name, custom=False)
        self.serial.advance(self.out)
        if arguments:
            self.extend(slot, arguments)
        return slot

    def extend(self, slot: Slot, text: str) -> None:
        self.serial.extend(slot, text, self.out)

    def parts(self) -> tuple[object, ...]:
        """Close everything; the parts of the whole."""
        self.serial.advance(self.out, end=True)
        events = [START, *self.out, ev.Finish("stop")]
        ev.check(events)
        return ev.fold(events).parts

    def opened(self) -> list[object]:
        return [event.part for event in self.out if isinstance(event, ev.PartStart)]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_text_goes_out_as_it_comes(stage: Stage) -> None:
    stage.say("a")
    assert stage.out == [ev.PartStart(0, Text()), ev.PartDelta(0, "a")]
    stage.say("b")
    assert stage.out[2:] == [ev.PartDelta(0, "b")]
    assert stage.parts() == (Text("ab"),)


def test_something_else_ends_what_was_being_said(stage: Stage) -> None:
    stage.say("why", "reasoning")
    stage.say("so")
    stage.say("no", "refusal")
    stage.say("so")
    assert [type(part).__name__ for part in stage.parts()] == [
        "Reasoning",
        "Text",
        "Refusal",
        "Text",
    ]


@case(24)
def test_a_call_goes_out_as_it_comes(stage: Stage) -> None:
    slot = stage.call("c1")
    stage.extend(slot, '{"a"')
    assert stage.out == [ev.PartStart(0, ToolCall("c1", "f")), ev.PartDelta(0, '{"a"')]


@case(24)
def test_a_call_that_is_complete_ends_when_another_begins(stage: Stage) -> None:
    stage.call("c1", '{"a":1}')
    stage.call("c2", "{")
    assert stage.opened() == [ToolCall("c1", "f"), ToolCall("c2", "f")]


@case(24)
def test_calls_that_grow_in_turn_come_out_one_after_the_other(stage: Stage) -> None:
    first = stage.call("c1", '{"a"')
    second = stage.call("c2", '{"b"')
    assert stage.opened() == [ToolCall("c1", "f")]
    stage.extend(first, ":1}")
    stage.extend(second, ":2}")
    assert stage.opened() == [ToolCall("c1", "f"), ToolCall("c2", "f")]
    assert stage.parts() == (ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "f", '{"b":2}'))


def test_text_between_the_pieces_of_a_call_waits(stage: Stage) -> None:
    slot = stage.call("c1", '{"a"')
    stage.say("so")
    stage.say(" be it")
    stage.extend(slot, ":1}")
    assert stage.opened() == [ToolCall("c1", "f")]
    stage.say("!")
    assert stage.parts() == (ToolCall("c1", "f", '{"a":1}'), Text("so be it!"))


def test_several_parts_that_wait_keep_their_order(stage: Stage) -> None:
    first = stage.call("c1", "{")
    stage.call("c2", "{}")
    stage.call("c3", "{}")
    stage.extend(first, "}")
    stage.say("so")
    assert stage.parts() == (
        ToolCall("c1", "f", "{}"),
        ToolCall("c2", "f", "{}"),
        ToolCall("c3", "f", "{}"),
        Text("so"),
    )


def test_a_call_that_stays_incomplete_ends_with_the_stream(stage: Stage) -> None:
    stage.call("c1", "{")
    stage.call("c2", "{}")
    assert stage.parts() == (ToolCall("c1", "f", "{"), ToolCall("c2", "f", "{}"))


def test_a_call_that_goes_on_after_it_was_passed_on_breaks_the_wire(stage: Stage) -> None:
    first = stage.call("c1", "{}")
    stage.call("c2", "{}")
    stage.extend(first, " \n")
    with pytest.raises(ProtocolViolation, match="went on"):
        stage.extend(first, "{}")


def test_a_custom_call_may_always_grow(stage: Stage) -> None:
    slot = stage.serial.begin(stage.out)
    slot.identify("c1", "sh", custom=True)
    stage.extend(slot, "{}")
    stage.say("so")
    stage.extend(slot, " ls")
    assert stage.parts() == (ToolCall("c1", "sh", "{} ls", custom=True), Text("so"))


@case(23)
def test_a_call_opens_when_its_name_has_come(stage: Stage) -> None:
    slot = stage.serial.begin(stage.out)
    slot.identify("c1", "", custom=False)
    stage.serial.advance(stage.out)
    stage.extend(slot, "{")
    assert stage.out == []
    slot.identify("", "f", custom=False)
    stage.serial.advance(stage.out)
    assert stage.out == [ev.PartStart(0, ToolCall("c1", "f")), ev.PartDelta(0, "{")]


@case(23)
def test_what_is_repeated_of_a_call_changes_nothing(stage: Stage) -> None:
    slot = stage.call("c1", "{}")
    slot.identify("c1", "other", custom=True)
    assert stage.parts() == (ToolCall("c1", "f", "{}"),)


def test_a_call_whose_name_never_comes_opens_at_the_end(stage: Stage) -> None:
    slot = stage.serial.begin(stage.out)
    stage.extend(slot, "{}")
    assert stage.parts() == (ToolCall("", "", "{}"),)


@case(78)
def test_sources_belong_to_the_text(stage: Stage) -> None:
    source = Citation("https://a.example")
    stage.say("so")
    stage.serial.cite(source, stage.out)
    stage.call("c1", "{}")
    stage.serial.cite(source, stage.out)
    assert stage.parts() == (
        Text("so", (source,)),
        ToolCall("c1", "f", "{}"),
        Text("", (source,)),
    )


@case(57)
def test_a_signature_belongs_to_the_reasoning_before_it(stage: Stage) -> None:
    stage.say("why", "reasoning")
    stage.serial.sign(Reasoning("why", "sig", origin="other"), stage.out)
    stage.say("more", "reasoning")
    assert stage.parts() == (Reasoning("why", "sig", origin=NAME), Reasoning("more", origin=NAME))


@case(56)
def test_reasoning_that_only_its_origin_can_read_is_a_part(stage: Stage) -> None:
    hidden = Reasoning(encrypted="e", origin="other")
    stage.say("why", "reasoning")
    stage.serial.sign(hidden, stage.out)
    alone = Reasoning("x", "sig", origin="other")
    stage.serial.sign(alone, stage.out)
    assert stage.parts() == (Reasoning("why", origin=NAME), hidden, alone)


def test_a_part_that_comes_whole_is_one(stage: Stage) -> None:
    image = Blob("image", "image/png", "AA==")
    stage.serial.add(image, stage.out)
    stage.say("so")
    assert stage.parts() == (image, Text("so"))


def test_what_waits_is_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial, "MAX_HELD", 1000)
    stage.call("c1", "{")
    with pytest.raises(ProtocolViolation, match="1000 characters"):
        for _ in range(100):
            stage.say("x" * 100)


def test_what_no_longer_waits_makes_room(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial, "MAX_HELD", 500)
    for _ in range(50):
        slot = stage.call("c1", "{")
        stage.say("x" * 100)
        stage.extend(slot, "}")
        stage.say("x" * 100)
    assert len(stage.parts()) == 100


def test_arguments_too_long_to_be_tried_end_with_the_stream(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial, "MAX_HELD", 1000)
    stage.call("c1", '{"a":"' + "x" * 1000 + '"}')
    stage.say("so")
    assert len(stage.opened()) == 1
    assert len(stage.parts()) == 2


def test_unfinished_arguments_are_not_tried_without_end(stage: Stage) -> None:
    first = stage.call("c1", "{")
    for _ in range(serial.MAX_CHECKS):
        stage.extend(first, " ")
        stage.say("x")
    stage.extend(first, "}")
    stage.say("y")
    assert stage.opened() == [ToolCall("c1", "f")]
    assert len(stage.parts()) == 2


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from(["text", "reasoning", "refusal"])),
        st.tuples(st.just("call"), st.integers(0, 3)),
        st.tuples(st.just("extend"), st.integers(0, 3)),
    ),
    max_size=30,
)


@case(24)
@given(STEPS)
def test_nothing_is_lost_and_the_grammar_holds_in_any_order(
    steps: list[tuple[str, object]],
) -> None:
    stage = Stage()
    slots: list[Slot] = []
    written: dict[int, str] = {}
    said = 0
    for step, what in steps:
        match step, what:
            case "say", str():
                stage.say("x", what)
                said += 1
            case "call", int():
                written[len(slots)] = "{" * what
                slots.append(stage.call(f"c{len(slots)}", "{" * what))
            case "extend", int() if what < len(slots):
                written[what] += "{"  # never complete, so never passed on too early
                stage.extend(slots[what], "{")
            case _:
                pass
    parts = stage.parts()
    calls = [part for part in parts if isinstance(part, ToolCall)]
    assert [call.arguments for call in calls] == list(written.values())
    assert sum(len(part.text) for part in parts if not isinstance(part, ToolCall)) == said
