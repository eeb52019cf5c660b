from modelmux.transport.base import Timeouts


def test_a_model_may_think_for_two_minutes_but_a_connection_comes_in_seconds():
    assert Timeouts() == Timeouts(connect_s=5.0, first_byte_s=120.0, idle_s=120.0)
