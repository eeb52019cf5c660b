from pathlib import Path

from bench import baseline
from bench.figure import Figure, Ledger
from bench.report import Report, Settings

CPU = Figure(key="cpu", title="CPU per request", unit="µs", section="Whole")


def made(gateway: list[float], cpu: str = "one kind") -> Report:
    ledger = Ledger()
    for value in gateway:
        ledger.note(CPU, "nginx", 10)
        ledger.note(CPU, "gateway", value)
    settings = Settings(rounds=2, quick=True, server_core=0, driver_core=1, seconds=1)
    return Report(machine={"cpu": cpu}, settings=settings, rows=ledger.rows(), windows=[], notes=[])


def recorded(tmp_path: Path, report: Report) -> baseline.Baseline:
    path = tmp_path / "baseline.json"
    baseline.record(report, path)
    read = baseline.read(path)
    assert read is not None
    return read


def test_there_may_be_no_recorded_run(tmp_path: Path):
    assert baseline.read(tmp_path / "baseline.json") is None


def test_a_change_is_told_with_both_ranges(tmp_path: Path):
    before = recorded(tmp_path, made([20, 22]))
    first, line = baseline.changes(made([30, 31]), before)
    assert "this kind of machine" in first
    assert "2.10 [2.00 to 2.20]" in line
    assert "3.05 [3.00 to 3.10]" in line
    assert "+45.2%" in line
    assert line.endswith("higher than every earlier round")


def test_ranges_that_overlap_are_noise(tmp_path: Path):
    before = recorded(tmp_path, made([20, 22]))
    assert list(baseline.changes(made([21, 23]), before))[1].endswith("within noise")


def test_what_got_better_is_told_too(tmp_path: Path):
    before = recorded(tmp_path, made([20, 22]))
    assert list(baseline.changes(made([10, 11]), before))[1].endswith(
        "lower than every earlier round"
    )


def test_one_round_says_nothing_about_noise(tmp_path: Path):
    before = recorded(tmp_path, made([20]))
    assert list(baseline.changes(made([40]), before))[1].endswith("%")


def test_another_machine_is_named(tmp_path: Path):
    before = recorded(tmp_path, made([20], cpu="another kind"))
    assert "another kind of machine" in next(baseline.changes(made([20]), before))
