import msgspec
import pytest
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Text
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Envelope, Message, Request
from modelmux.target.call import ANONYMOUS, Call, Caller, Priority
from modelmux.wire import anthropic_messages, gemini, openai_chat
from modelmux.wire.base import Operation
from tests.support import linewire, targets
from tests.support.cases import case
from tests.support.linewire import LineWire

OURS = LineWire("ours")
THEIRS = LineWire("theirs")


def values(call: Call) -> dict[str, object]:
    return {name: getattr(call, name) for name in Call.__slots__}


def full_call() -> Call:
    """A call in which no attribute has its default."""
    call = targets.call(OURS)
    call.caller = replace(ANONYMOUS, name="team-a")
    call.parent_id = "c0"
    call.deadline = 5.0
    call.headers = {"anthropic-beta": "x"}
    call.tags = {"a": "b"}
    call.may_wait = False
    assert call.request.model == "m"
    return call


def test_a_copy_has_everything_of_the_original():
    call = full_call()
    assert values(call._copy()) == values(call)


def test_a_renamed_call_differs_in_its_model_only():
    call = full_call()
    renamed = call.with_model("n")
    assert (call.model, renamed.model) == ("m", "n")
    assert values(renamed) == values(call) | {"model": "n"}


def test_a_step_of_a_call_has_its_own_id_and_keeps_the_callers_meter():
    call = full_call()
    step = call.step()
    assert (step.id, step.parent_id) == ("c1.1", "c1")
    assert step.meter is call.meter
    assert (call.id, call.parent_id) == ("c1", "c0")


def test_a_sooner_deadline_stays():
    call = targets.call(OURS).with_deadline(5.0)
    assert call.with_deadline(9.0) is call
    assert call.with_deadline(3.0).deadline == 3.0
    assert call.deadline == 5.0


def test_a_body_goes_to_its_own_wire_as_it_came_but_for_the_model():
    wire = LineWire()
    odd = b'{ "model":"m",   "text":"a\\u0062c"}'
    call = Call(wire, odd, wire.envelope(odd))
    assert call.with_model("other").encode(wire).body == odd.replace(b'"m"', b'"other"')


def test_a_request_whose_path_names_the_model_is_read_with_what_the_path_says():
    class InPath(LineWire):
        @property
        def in_path(self) -> bool:
            return True

    call = Call(InPath(), b'{"model":"","text":"hi"}', Envelope("m", stream=True))
    assert (call.request.model, call.request.stream) == ("m", True)


@pytest.mark.parametrize("held", [b"modelmux/x:s:y", b"bW9kZWxtdXgveDpzOnk="])
def test_a_body_that_holds_what_is_another_target_s_is_not_passed_on_as_bytes(held):
    wire = LineWire()
    body = b'{"model":"m",  "text":"%b"}' % held
    call = Call(wire, body, wire.envelope(body))
    assert call.encode(wire).body == linewire.request_body(held.decode())


@case(60)
def test_signatures_in_ids_go_only_to_the_wire_that_wrote_them():
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant",'
        b'"tool_calls":[{"id":"gem_r_0__thought_c2ln","type":"function","function":{"name":"f",'
        b'"arguments":"{}"}}]},{"role":"tool","tool_call_id":"gem_r_0__thought_c2ln",'
        b'"content":"ok"}]}'
    )
    chat = openai_chat.WIRE
    call = Call(chat, body, chat.envelope(body))
    for wire in (chat, anthropic_messages.WIRE):
        sent = call.encode(wire).body
        assert b"__thought" not in sent
        assert sent.count(b'"gem_r_0"') == 2
    assert b'"thoughtSignature":"c2ln"' in call.encode(gemini.WIRE).body


def test_a_body_is_decoded_once_and_only_when_read():
    class Counting(LineWire):
        decoded = 0

        def decode_request(self, body: bytes, operation: Operation = "chat") -> Request:
            self.decoded += 1
            return super().decode_request(body, operation)

    wire = Counting()
    call = targets.call(wire)
    call.encode(wire)
    assert wire.decoded == 0
    assert call.request is call.request
    assert call.with_model("n").request is call.request
    assert wire.decoded == 1


def test_a_body_that_is_no_request_is_refused_when_read():
    call = Call(OURS, b'{"model":1}', Envelope("m"))
    with pytest.raises(InvalidRequest):
        assert call.request


def test_a_body_for_another_wire_is_encoded_under_the_targets_name():
    encoded = targets.call(OURS).with_model("n").encode(THEIRS)
    assert encoded == Encoded(linewire.request_body(model="n"))


def test_a_call_that_needs_no_change_is_encoded_as_it_is():
    assert targets.call(OURS).encode(THEIRS).body == linewire.request_body()


def test_the_envelope_says_whether_a_stream_is_asked_for():
    call = targets.call(OURS)
    call.envelope = replace(call.envelope, stream=True)
    assert call.encode(THEIRS).body == linewire.request_body(stream=True)


def test_changed_content_is_encoded_anew_even_on_the_same_wire():
    call = targets.call(OURS)
    message = Message("user", (Text("changed"),))
    changed = call.with_request(replace(call.request, messages=(message,)))
    assert changed.encode(OURS).body == linewire.request_body("changed")
    assert call.encode(OURS).body == linewire.request_body("hello")


def test_changed_content_has_no_size_of_its_own():
    call = targets.call(OURS)
    assert call.body_bytes == len(linewire.request_body())
    assert call.with_request(call.request).body_bytes == 0


def test_a_changed_request_brings_its_model():
    call = targets.call(OURS)
    assert call.with_request(replace(call.request, model="n")).model == "n"


def test_the_profile_decides_whether_usage_is_asked_for():
    class Asking(LineWire):
        asked: bool | None = None

        def readdress(self, body: bytes, envelope: Envelope, model: str, ask_usage: bool) -> bytes:
            self.asked = ask_usage
            return body

    wire = Asking()
    call = targets.call(wire)
    call.encode(wire)
    assert wire.asked is True
    call.encode(wire, Profile(stream_usage=False))
    assert wire.asked is False


def test_reasoning_of_another_wires_target_does_not_go_to_this_ones():
    block = {"type": "thinking", "thinking": "t", "signature": "modelmux/other:s:x"}
    said = {"role": "assistant", "content": [block, {"type": "text", "text": "a"}]}
    ask = {"role": "user", "content": "q"}
    body = msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": [ask, said, ask]})
    wire = anthropic_messages.WIRE
    encoded = Call(wire, body, wire.envelope(body)).encode(wire)
    assert b"modelmux" not in encoded.body
    assert [loss.path for loss in encoded.losses] == ["/messages/1/parts/0"]


def test_tools_of_free_text_are_functions_where_the_model_knows_no_others():
    tool = {"type": "custom", "custom": {"name": "patch"}}
    ask = {"role": "user", "content": "q"}
    body = msgspec.json.encode({"model": "m", "messages": [ask], "tools": [tool]})
    wire = openai_chat.WIRE
    call = Call(wire, body, wire.envelope(body))
    encoded = call.encode(anthropic_messages.WIRE)
    (said,) = msgspec.json.decode(encoded.body)["tools"]
    assert said["input_schema"]["required"] == ["input"]
    assert encoded.restore is not None
    assert encoded.restore.custom_tools == {"patch"}
    native = call.with_request(call.request).encode(wire, Profile(custom_tools=True))
    assert msgspec.json.decode(native.body)["tools"] == [tool]


@pytest.mark.parametrize(
    ("own", "tag", "priority"),
    [
        ("normal", None, "normal"),
        ("high", None, "high"),
        ("high", "low", "low"),
        ("normal", "low", "low"),
        ("normal", "high", "normal"),
        ("low", "normal", "low"),
        ("high", "urgent", "high"),
    ],
)
def test_a_tag_can_lower_a_calls_class_and_never_raise_it(
    own: Priority, tag: str | None, priority: Priority
):
    call = targets.call(OURS)
    call.caller = Caller("k", priority=own)
    call.tags = {"priority": tag} if tag is not None else {}
    assert call.priority == priority


def test_a_step_of_a_call_that_may_not_wait_may_not_either():
    call = targets.call(OURS)
    assert call.step().may_wait
    impatient = call.step(may_wait=False)
    assert not impatient.may_wait
    assert not impatient.step().may_wait
    assert call.may_wait


def test_another_body_is_the_same_call():
    call = full_call()
    changed = call.with_body(b"say other")
    assert values(changed) == {**values(call), "_raw": b"say other", "_request": None}
