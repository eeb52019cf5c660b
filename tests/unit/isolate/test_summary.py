import io

import msgspec

from modelmux.isolate.summary import Summary


def call(**said: object) -> dict[str, object]:
    return {"call": {"model": "m", "target": "p/m", "outcome": "ok", "status": 200, **said}}


def test_nothing_is_told_of_nothing():
    assert Summary().lines() == ["0 calls"]


def test_figures_add_up():
    summary = Summary()
    for each in (
        call(input_tokens=3, output_tokens=4, cost_usd="0.25"),
        call(input_tokens=1, cost_usd="0.5", target="q/n"),
        call(outcome="error", target=""),
    ):
        assert not summary.told(each)
    assert summary.told({"done": True, "left_out": 2})
    summary.name("telemetry.example")
    assert summary.lines() == [
        "3 calls, 1 failed; 4 tokens in, 4 out; $0.750000 and 1 calls whose price is not known",
        "2 more calls are in the gateway's log only",
        "models: p/m x1, q/n x1, m x1",
        "tried to reach: telemetry.example",
    ]


def test_a_cost_that_nobody_knows_is_not_nothing():
    summary = Summary()
    summary.told(call())
    assert summary.lines()[0] == "1 call; 0 tokens in, 0 out; cost not known"


def test_long_lists_are_cut():
    summary = Summary()
    for at in range(20):
        summary.name(f"n{at}")
    assert summary.lines()[1].endswith("n11 and 8 more")


def test_a_log_has_a_line_for_each_thing():
    log = io.BytesIO()
    summary = Summary(log)
    summary.name("x.example")
    summary.told(call(ended_at_s=5))
    summary.end(3)
    name, told, end = (
        msgspec.json.decode(line, type=dict[str, object]) for line in log.getvalue().splitlines()
    )
    assert name["name"] == "x.example"
    assert told["time"] == 5
    assert (end["exit"], end["calls"], end["names"]) == (3, 1, ["x.example"])
