from modelmux.cli.failure import CommandFailed, Misused


def test_a_failure_says_what_happened_and_what_to_do():
    failure = CommandFailed("no", hint="yes")
    assert (str(failure), failure.message, failure.hint) == ("no", "no", "yes")


def test_misuse_is_a_failure_too():
    assert isinstance(Misused("no"), CommandFailed)
