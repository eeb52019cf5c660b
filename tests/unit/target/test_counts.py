from modelmux.target.counts import ChoiceCounts


def test_counts_begin_at_nothing():
    counts = ChoiceCounts()
    assert (counts.hedges, counts.hedges_won, counts.mirrored, counts.mirrors_dropped) == (0,) * 4
