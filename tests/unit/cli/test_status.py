from datetime import UTC, datetime, timedelta

import pytest

from modelmux.cli.status import ago
from tests.unit.cli.conftest import STATUS, Cli, running


def test_the_status_is_told_in_a_few_lines(cli: Cli):
    with running():
        ran = cli("status")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].startswith("modelmux 1.2.3, pid 4711, serving for ")
    assert lines[1:] == [
        "  listens  127.0.0.1:3000",
        "  config   /etc/modelmux/config.toml",
        "  calls    2 under way, 40 in all, 3 failed",
        "  provider openai: 1 of 2 keys usable",
    ]


def test_a_gateway_that_stops_says_so(cli: Cli):
    with running() as gateway:
        gateway.says("/control/status", {**STATUS, "draining": True})
        assert "stopping: no new calls" in cli("status").out


def test_json_is_what_the_gateway_said(cli: Cli):
    with running():
        assert cli("status", "--json").json() == {
            **STATUS,
            "started_at": "2026-11-20T08:00:00Z",
            "loaded_at": "2026-11-20T08:00:00Z",
            "workers": [],
            "targets": [],
        }


def test_without_a_gateway_the_exit_code_is_1(cli: Cli):
    assert cli("status").code == 1


def test_of_several_gateways_one_has_to_be_chosen(cli: Cli):
    with running(1), running(2) as two:
        assert cli("status").code == 2
        assert ", pid 2, " in cli("status", "--control", str(two.socket)).out


def test_watching_ends_when_the_gateway_does(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    with running() as gateway:
        monkeypatch.setattr("modelmux.cli.status.REFRESH_S", 0)
        monkeypatch.setattr("modelmux.cli.status.click.clear", gateway.close)
        ran = cli("status", "--watch")
    assert ran.code == 1
    assert ran.out.count("modelmux 1.2.3") >= 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_661, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (86_400, "1 d"),
        (-5, "0 s"),
    ],
)
def test_a_time_ago_has_two_units(seconds: float, text: str):
    start = datetime(2026, 11, 20, tzinfo=UTC)
    assert ago(start, start + timedelta(seconds=seconds)) == text


def test_a_reload_and_one_that_failed_are_told(cli: Cli):
    status = {**STATUS, "loaded_at": "2026-11-20T09:00:00+00:00", "reload_failure": "port: wrong"}
    with running() as gateway:
        gateway.says("/control/status", status)
        lines = cli("status").out.splitlines()
    assert lines[2].startswith("  config   /etc/modelmux/config.toml, reloaded ")
    assert lines[3] == "  reload   failed, nothing has changed: port: wrong"


def test_each_worker_has_a_line(cli: Cli):
    workers = [
        {"pid": 1, "in_flight": 2, "requests_total": 3, "restarts": 0},
        {"pid": 4, "in_flight": 0, "requests_total": 0, "restarts": 5},
    ]
    with running() as gateway:
        gateway.says("/control/status", {**STATUS, "workers": workers})
        lines = cli("status").out.splitlines()
    assert lines[4:6] == [
        "  worker   pid 1: 2 under way, 3 in all",
        "  worker   pid 4: 0 under way, 0 in all, started again 5 times",
    ]


def test_targets_in_trouble_are_told(cli: Cli):
    broken = {
        "name": "openai/gpt",
        "state": "open",
        "next_try_in_s": 3.5,
        "error_rate": 0.75,
        "in_flight": 1,
        "latency_ms": 20.0,
    }
    well = {**broken, "name": "x/y", "state": "closed", "next_try_in_s": 0.0, "error_rate": 0.0}
    with running() as gateway:
        gateway.says("/control/status", {**STATUS, "targets": [broken, well]})
        lines = cli("status").out.splitlines()
    assert lines[-1] == (
        "  target   openai/gpt: breaker open, next try in 3.5 s, 75% of the last calls failed"
    )
