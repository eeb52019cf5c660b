from modelmux.store.turn import Turn


def test_a_turn_knows_about_how_much_it_takes():
    small, large = Turn("r", "", 0), Turn("r", "", 0, items=bytes(1000), answer=bytes(500))
    assert large.size - small.size == 1500 - len(b"[]")
    assert small.size > 100
