import msgspec

from bench import report
from bench.figure import Figure, Ledger, Spread
from bench.report import Report, Settings
from bench.session import Window


def window(
    scenario: str, *, others: float = 0.0, server: float = 1.0, driver: float = 0.5
) -> Window:
    return Window(
        scenario=scenario,
        server="gateway",
        server_busy=server,
        driver_busy=driver,
        server_others=others,
        driver_others=0,
        joined=1,
        attempts=1,
    )


def made() -> Report:
    ledger = Ledger()
    cpu = Figure(key="cpu", title="CPU", unit="µs", section="Whole", goal=2.5)
    start = Figure(
        key="start", title="start", unit="s", section="Rest", compared="value", digits=3, goal=0.5
    )
    for server, values in (("gateway", [30.0, 31.0]), ("nginx", [10.0, 10.0])):
        for value in values:
            ledger.note(cpu, server, value)
    ledger.note(start, "gateway", 0.25)
    settings = Settings(rounds=2, quick=True, server_core=0, driver_core=1, seconds=12)
    return Report(
        machine={"cpu": "a test"},
        settings=settings,
        rows=ledger.rows(),
        windows=[window("cpu", others=0.2), window("burst", server=0.5, driver=0.99)],
        notes=["something"],
    )


def test_a_cell_gives_the_range_when_there_is_one():
    assert report.cell(Spread(1234.5, 1000, 2000, 3), 0) == "1,234 [1,000 to 2,000]"
    assert report.cell(Spread(1.25, 1.25, 1.25, 1), 2) == "1.25"
    assert report.cell(None, 2) == "-"


def test_goals_are_judged_on_what_is_compared():
    cpu, start = made().rows
    assert report.goal(cpu.figure, cpu) == "≤ 2.50 missed"
    assert report.goal(start.figure, start) == "≤ 0.500 ok"


def test_nginx_comes_before_the_gateway():
    assert report.servers(made().rows) == ["nginx", "gateway"]


def test_both_tables_tell_every_figure_and_note():
    for text in (report.to_text(made()), report.to_markdown(made())):
        for part in (
            "a test",
            "CPU (µs)",
            "3.05 [3.00 to 3.10]",
            "start (s)",
            "0.250",
            "something",
        ):
            assert part in text


def test_disturbed_and_limited_windows_are_told():
    text = report.to_text(made())
    assert "others used at most 20% of the server's core" in text
    assert "1 windows were not quiet" in text
    assert "not by the server: burst (gateway)" in text


def test_json_comes_back_as_it_went():
    assert msgspec.json.decode(report.to_json(made()), type=Report) == made()
