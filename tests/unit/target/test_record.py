from modelmux.target.record import CallRecord


def test_a_target_has_a_provider_and_a_model():
    record = CallRecord("c1", target="openrouter/meta/llama")
    assert (record.provider, record.target_model) == ("openrouter", "meta/llama")


def test_a_name_of_the_configuration_has_no_provider():
    record = CallRecord("c1", target="fast")
    assert (record.provider, record.target_model) == ("", "fast")


def test_a_call_that_came_to_nobody_has_neither():
    record = CallRecord("c1")
    assert (record.provider, record.target_model) == ("", "")
