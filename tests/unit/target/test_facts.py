import msgspec
import pytest

from modelmux.target.call import Call, Caller, Peer
from modelmux.target.facts import OF_CANDIDATE, SAMPLES, Facts, World
from modelmux.wire import anthropic_messages, openai_chat
from modelmux.wire.base import Wire

WORLD = World(
    hour=lambda: 14, region=lambda call: call.tags.get("region", ""), cost_usd=lambda _, n: n / 1000
)


def call_of(body: object, wire: Wire = openai_chat.WIRE) -> Call:
    raw = msgspec.json.encode(body)
    return Call(wire, raw, wire.envelope(raw))


def chat(content: object = "Hello!", **more: object) -> Call:
    return call_of({"model": "m", "messages": [{"role": "user", "content": content}], **more})


def fact(name: str, call: Call) -> object:
    return Facts(call, WORLD).named([name])[name]


def test_what_stands_in_the_envelope_does_not_decode_the_body():
    call = call_of({"model": "m", "stream": True, "messages": "no list"})
    found = Facts(call, WORLD).named(["model", "wire", "stream", "key", "hour", "operation"])
    assert found == {
        "model": "m",
        "wire": "openai.chat",
        "stream": True,
        "key": "",
        "hour": 14,
        "operation": "chat",
    }


def test_a_body_that_cannot_be_read_says_nothing_and_is_weighed():
    call = call_of({"model": "m", "messages": "x" * 4000})
    names = ["has_images", "has_tools", "has_code", "language", "user", "deterministic"]
    assert not any(Facts(call, WORLD).named(names).values())
    assert 1000 <= int(str(fact("tokens", call))) < 1100


def test_facts_of_the_prompt():
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    call = chat(
        [{"type": "text", "text": "Wie heißt das hier, und was zeigt es?"}, image],
        tools=[tool],
        user="u1",
        temperature=0,
    )
    found = Facts(call, WORLD).named(
        ["has_images", "has_tools", "has_code", "language", "user", "deterministic"]
    )
    assert found == {
        "has_images": True,
        "has_tools": True,
        "has_code": False,
        "language": "de",
        "user": "u1",
        "deterministic": True,
    }


def test_tokens_and_what_they_may_cost_are_estimates():
    call = chat("x" * 4000)
    assert fact("tokens", call) == 1004
    assert fact("cost_estimate", call) == pytest.approx(1.004)


def test_each_fact_is_found_out_once():
    asked: list[int] = []

    def hour() -> int:
        asked.append(1)
        return 3

    facts = Facts(chat(), World(hour=hour))
    facts.named(["hour"])
    facts.named(["hour"])
    assert len(asked) == 1


def test_headers_are_those_that_came_without_secrets():
    call = chat()
    call.fields = [
        (b"x-team", b"a"),
        (b"x-team", b"b"),
        (b"authorization", b"Bearer s"),
        (b"x-api-key", b"s"),
        (b"cookie", b"s"),
    ]
    assert fact("headers", call) == {"x-team": "a, b"}


def test_who_calls_and_from_where():
    call = chat()
    call.caller = Caller("team-a")
    call.tags = {"region": "eu"}
    assert Facts(call, WORLD).named(["key", "tags", "region"]) == {
        "key": "team-a",
        "tags": {"region": "eu"},
        "region": "eu",
    }


class Candidate:
    latency_ms = 120.0
    error_rate = 0.25
    in_flight = 3
    price = 2.5


def test_facts_of_a_candidate_are_its_own_and_the_others_are_shared():
    asked: list[int] = []

    def hour() -> int:
        asked.append(1)
        return 3

    facts = Facts(chat(), World(hour=hour))
    facts.named(["hour"])
    found = facts.about(Candidate()).named(["hour", *sorted(OF_CANDIDATE)])
    assert found == {
        "hour": 3,
        "latency_ms": 120.0,
        "error_rate": 0.25,
        "in_flight": 3,
        "price": 2.5,
    }
    assert len(asked) == 1


def test_without_a_candidate_its_facts_are_nothing():
    assert not any(Facts(chat(), WORLD).named(sorted(OF_CANDIDATE)).values())


@pytest.mark.parametrize("name", sorted(SAMPLES))
@pytest.mark.parametrize("wire", [openai_chat.WIRE, anthropic_messages.WIRE], ids=lambda w: w.name)
def test_a_fact_is_of_the_type_that_its_sample_is(name: str, wire: Wire):
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    assert type(fact(name, call_of(body, wire))) is type(SAMPLES[name][0])


def test_the_system_says_where_a_call_came_in_and_from_whom():
    call = chat()
    call.peer = Peer("unix:/a", "eu", uid=1000, gid=100)
    names = ["listener", "peer_host", "peer_uid", "peer_gid", "peer_pid", "peer_cid"]
    assert list(Facts(call, WORLD).named(names).values()) == ["unix:/a", "", 1000, 100, -1, -1]
    assert Facts(call, World(hour=lambda: 0)).named(["region"]) == {"region": "eu"}
