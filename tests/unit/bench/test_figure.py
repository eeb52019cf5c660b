from bench.figure import Figure, Ledger, Spread, spread

CPU = Figure(key="cpu", title="CPU per request", unit="µs", section="Whole answers")
RSS = Figure(key="rss", title="memory", unit="MB", section="Memory", compared="value")


def ledger(nginx: list[float], gateway: list[float], figure: Figure = CPU) -> Ledger:
    filled = Ledger()
    for server, values in (("nginx", nginx), ("gateway", gateway)):
        for value in values:
            filled.note(figure, server, value)
    return filled


def test_a_ratio_is_taken_within_a_round_and_not_between_medians():
    # The machine was three times slower in the second round: both servers felt it.
    (row,) = ledger(nginx=[10, 30, 10], gateway=[20, 66, 21]).rows()
    assert row.ratio == Spread(2.1, 2.0, 2.2, 3)
    assert row.compared() == row.ratio


def test_a_round_that_nginx_alone_has_finished_counts_for_nginx_alone():
    (row,) = ledger(nginx=[10, 20], gateway=[30]).rows()
    assert row.by_server["nginx"].count == 2
    assert row.ratio == Spread(3, 3, 3, 1)


def test_there_is_no_ratio_to_nothing():
    (row,) = ledger(nginx=[0], gateway=[1]).rows()
    assert row.ratio is None


def test_a_figure_of_its_own_is_compared_by_its_value():
    (row,) = ledger(nginx=[10], gateway=[50, 70], figure=RSS).rows()
    assert row.ratio is None
    assert row.compared() == Spread(60, 50, 70, 2)


def test_a_figure_without_the_gateway_compares_nothing():
    (row,) = ledger(nginx=[10], gateway=[], figure=RSS).rows()
    assert row.compared() is None


def test_a_spread_is_median_and_range():
    assert spread([3, 1, 2]) == Spread(2, 1, 3, 3)
