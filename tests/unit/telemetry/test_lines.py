from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.ir.response import Usage
from modelmux.target.record import CallRecord
from modelmux.telemetry.lines import MAX_NAMES, JsonLines, TextLines, level_of
from modelmux.telemetry.redact import Redactor

AT_S = 1_763_629_200.25  # 2025-11-20 09:00:00.250 UTC
FULL = CallRecord(
    id="c1.1",
    parent_id="c1",
    composite=True,
    started_at_s=AT_S,
    caller="team-a",
    wire="openai.chat",
    operation="chat",
    model="fast",
    target="openai/gpt-5.4-mini",
    attempts=2,
    status=200,
    outcome="ok",
    reason="stop",
    usage=Usage(
        1200,
        350,
        cache_read_input_tokens=800,
        cache_creation_input_tokens=100,
        cache_creation_1h_input_tokens=40,
        reasoning_output_tokens=50,
        estimated=True,
    ),
    cost_usd=Decimal("0.00412500"),
    stream=True,
    first_s=0.21,
    duration_s=1.5,
    overhead_s=0.0004,
    losses=1,
    upstream_id="req_9",
    tags={"beta": "", "team": "a b"},
    body_bytes=512,
)
FAILED = CallRecord(
    id="c2",
    started_at_s=AT_S,
    wire="anthropic.messages",
    model="fast",
    target="openai/gpt-5.4-mini",
    attempts=3,
    status=502,
    outcome="error",
    error_kind="unavailable",
    error_code="unreachable",
    error="connection refused\nby peer",
    upstream_id="req_8",
    duration_s=0.0125,
)


def text() -> TextLines:
    return TextLines(Redactor())


def as_json(record: CallRecord) -> dict[str, object]:
    return msgspec.json.decode(JsonLines(Redactor()).call(record), type=dict[str, object])


def test_a_line_for_people_says_who_asked_what_of_whom_and_how_it_went():
    assert text().call(FULL) == (
        "2025-11-20T09:00:01.750Z info  c1.1 team-a openai.chat fast -> openai/gpt-5.4-mini "
        "200 x2 in=~1200 out=~350 cached=800 cache_write=100 cost=$0.004125 first=210ms "
        'took=1.500s parent=c1 losses=1 tags="beta,team:a b"'
    )


def test_a_line_for_people_says_why_a_call_failed():
    assert text().call(FAILED) == (
        "2025-11-20T09:00:00.262Z warn  c2 - anthropic.messages fast -> openai/gpt-5.4-mini "
        "502 x3 took=0.013s upstream=req_8 unreachable: connection refused\\nby peer"
    )


def test_a_line_for_people_says_that_the_caller_left():
    record = CallRecord("c3", started_at_s=AT_S, outcome="cancelled", status=499)
    assert text().call(record).endswith("- -> - 499 x1 took=0.000s the caller left")


def test_a_line_for_programs_has_opentelemetrys_names():
    assert as_json(FULL) == {
        "time": "2025-11-20T09:00:01.750Z",
        "level": "info",
        "message": "call",
        "modelmux.id": "c1.1",
        "modelmux.parent_id": "c1",
        "modelmux.composite": True,
        "modelmux.caller": "team-a",
        "modelmux.wire": "openai.chat",
        "modelmux.target": "openai/gpt-5.4-mini",
        "modelmux.attempts": 2,
        "modelmux.outcome": "ok",
        "modelmux.duration_s": 1.5,
        "modelmux.overhead_s": 0.0004,
        "modelmux.losses": 1,
        "modelmux.tags": {"beta": "", "team": "a b"},
        "modelmux.upstream_id": "req_9",
        "modelmux.cost_usd": 0.004125,
        "modelmux.usage.estimated": True,
        "modelmux.usage.cache_write_1h.input_tokens": 40,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "fast",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "gpt-5.4-mini",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.21,
        "gen_ai.usage.input_tokens": 1200,
        "gen_ai.usage.output_tokens": 350,
        "gen_ai.usage.cache_read.input_tokens": 800,
        "gen_ai.usage.cache_write.input_tokens": 100,
        "gen_ai.usage.reasoning.output_tokens": 50,
        "http.request.body.size": 512,
        "http.response.status_code": 200,
    }


def test_a_line_for_programs_leaves_out_what_says_nothing():
    fields = as_json(FAILED)
    assert fields["error.type"] == "unreachable"
    assert fields["exception.message"] == "connection refused\nby peer"
    assert "modelmux.cost_usd" not in fields
    assert "gen_ai.response.time_to_first_chunk" not in fields
    assert "gen_ai.usage.cache_read.input_tokens" not in fields


@pytest.mark.parametrize("cost", ["0.0000000123", "12.5", "0.00412500", "0"])
def test_a_cost_is_written_exactly(cost: str):
    line = JsonLines(Redactor()).call(CallRecord("c", cost_usd=Decimal(cost)))
    raw = msgspec.json.decode(line, type=dict[str, msgspec.Raw])["modelmux.cost_usd"]
    assert Decimal(bytes(raw).decode()) == Decimal(cost)


@pytest.mark.parametrize(
    ("outcome", "level"), [("ok", "info"), ("cancelled", "info"), ("error", "warn")]
)
def test_a_failed_call_is_told_louder(outcome: str, level: str):
    assert level_of(CallRecord("c", outcome=outcome)) == level  # type: ignore[arg-type]


def test_an_event_for_people_names_its_fields():
    line = text().event(
        "info", AT_S, "ready", {"port": 3000, "path": "/a b", "none": None, "quote": 'a"b', "e": ""}
    )
    assert line == ('2025-11-20T09:00:00.250Z info  ready port=3000 path="/a b" quote="a\\"b" e=""')


def test_an_event_for_programs_is_an_object():
    line = JsonLines(Redactor()).event("warn", AT_S, "slow", {"seconds": 1.5, "none": None})
    assert msgspec.json.decode(line) == {
        "time": "2025-11-20T09:00:00.250Z",
        "level": "warn",
        "message": "slow",
        "seconds": 1.5,
    }


@pytest.mark.parametrize("lines", [TextLines, JsonLines])
def test_names_are_masked(lines: type[TextLines | JsonLines]):
    redactor = Redactor(["my-secret-key"])
    line = lines(redactor).call(
        CallRecord("c", caller="a", model="my-secret-key", target="p/my-secret-key")
    )
    assert "my-secret-key" not in line


@pytest.mark.parametrize("lines", [TextLines, JsonLines])
def test_names_kept_ready_are_masked_when_a_secret_becomes_known(
    lines: type[TextLines | JsonLines],
):
    redactor = Redactor()
    form = lines(redactor)
    record = CallRecord("c", model="my-secret-key")
    assert "my-secret-key" in form.call(record)
    redactor.register(["my-secret-key"])
    assert "my-secret-key" not in form.call(record)


def test_callers_cannot_fill_the_memory_with_names():
    form = text()
    for number in range(MAX_NAMES + 10):
        form.call(CallRecord("c", model=f"m{number}"))
    assert len(form._names._kept) <= MAX_NAMES


@given(
    id=st.text(max_size=10),
    model=st.text(max_size=10),
    error=st.text(max_size=10),
    tag=st.text(max_size=10),
)
def test_nothing_a_caller_says_breaks_a_line(id: str, model: str, error: str, tag: str):
    record = CallRecord(
        id,
        parent_id=id,
        model=model,
        error=error,
        outcome="error",
        upstream_id=tag,
        tags={tag: tag},
    )
    for form in (text(), JsonLines(Redactor())):
        assert "\n" not in form.call(record)
        assert "\n" not in form.event("info", AT_S, error, {"x": tag})
    assert text().call(record).isprintable()


@given(st.floats(0, 4e9))
def test_times_are_whole_and_in_order(at_s: float):
    form = text()
    earlier = form.event("info", at_s, "", {})
    later = form.event("info", at_s + 0.0015, "", {})
    assert len(earlier.split()[0]) == len("2025-11-20T09:00:00.250Z")
    assert earlier < later
