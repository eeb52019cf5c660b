from modelmux.ir.response import NO_USAGE, Failure, Response, Summary, Usage


def test_no_usage_is_nothing_counted_and_no_estimate():
    assert Usage() == NO_USAGE
    assert (NO_USAGE.input_tokens, NO_USAGE.output_tokens, NO_USAGE.estimated) == (0, 0, False)


def test_an_answer_that_says_nothing_of_its_usage_has_none():
    assert Response("i", "m", (), "stop").usage is NO_USAGE


def test_a_failure_that_says_no_status_is_an_internal_error():
    assert Failure("internal", "?").status == 500


def test_a_summary_of_nothing_is_no_failure():
    assert Summary() == Summary(usage=None, reason=None, failure=None)
