from collections import Counter

import msgspec
import pytest

from modelmux.target import affinity
from modelmux.target.affinity import Affinity
from modelmux.target.call import Call, Caller
from modelmux.target.strategy import Priority
from modelmux.wire import openai_chat
from tests.support.choices import House
from tests.support.targets import Fake

WIRE = openai_chat.WIRE


def chat(*contents: str, session: str = "", caller: str = "", **more: object) -> Call:
    roles = ("system", "user", "assistant", "user")
    messages = [
        {"role": role, "content": content} for role, content in zip(roles, contents, strict=False)
    ]
    raw = msgspec.json.encode({"model": "m", "messages": messages, **more})
    call = Call(WIRE, raw, WIRE.envelope(raw), caller=Caller(caller))
    if session:
        call.fields = [(b"x-modelmux-session", session.encode())]
    return call


def home(call: Call, *, without: str = "") -> str:
    house = House()
    among = [house.candidate(Fake(name=f"{name}/m")) for name in "abcd" if name != without]
    return Affinity(affinity.session, Priority()).choose(call, among).name[0]


def test_calls_of_a_session_go_to_the_same_target():
    assert len({home(chat("s", "u", session="x")) for _ in range(10)}) == 1


def test_sessions_are_spread():
    counts = Counter(home(chat("s", "u", session=str(n))) for n in range(400))
    assert set(counts) == set("abcd")
    assert min(counts.values()) > 60


def test_when_a_target_goes_only_its_sessions_move():
    for number in range(100):
        call = chat("s", "u", session=str(number))
        before = home(call)
        after = home(call, without="b")
        assert before in {after, "b"}


def test_without_a_session_the_other_strategy_decides():
    assert home(chat("s", "u")) == "a"


def test_heavy_targets_have_more_sessions():
    house = House()
    among = [house.candidate(Fake(name="a/m")), house.candidate(Fake(name="b/m"), weight=3.0)]
    chosen = Affinity(affinity.session, Priority())
    counts = Counter(
        chosen.choose(chat("s", "u", session=str(n)), among).name[0] for n in range(400)
    )
    assert 2.2 < counts["b"] / counts["a"] < 4.2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (chat("s", "u", session="x"), chat("t", "v", session="x"), True),
        (chat("s", "u", session="x"), chat("s", "u", session="y"), False),
        (chat("s", "u", session="x", caller="k"), chat("s", "u", session="x"), False),
        (chat("s", "u", user="x"), chat("t", "v", user="x"), True),
    ],
)
def test_a_session_is_what_the_caller_says(one: Call, other: Call, same: bool):
    assert (affinity.session(one) == affinity.session(other)) is same


def test_turns_of_a_conversation_have_the_same_prompt():
    first, later = chat("s", "u"), chat("s", "u", "answer", "more")
    assert affinity.prompt(first) == affinity.prompt(later)
    assert affinity.prompt(first) != affinity.prompt(chat("t", "u"))


def test_a_body_that_cannot_be_read_belongs_to_no_others():
    raw = b'{"model":"m","messages":"none"}'
    call = Call(WIRE, raw, WIRE.envelope(raw))
    assert affinity.prompt(call) == affinity.session(call) == ""
