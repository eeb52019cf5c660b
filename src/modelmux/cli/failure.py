"""What a command says when it cannot do what it was asked, and its exit code."""

import sys

OK, FAILURE, USAGE = 0, 1, 2
"""Exit codes; there are no others."""


class CommandFailed(Exception):
    """The command failed; exit code 1.

    Attributes:
        message: What was expected and what came, in one line.
        hint: What to do about it.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Misused(CommandFailed):
    """The command line makes no sense; exit code 2."""


def complain(message: str, hint: str = "", code: int = FAILURE) -> int:
    """Tell a failure on stderr in one line, and what to do in another; `code` again."""
    sys.stderr.write(f"modelmux: {message}\n")
    if hint:
        sys.stderr.write(f"  hint: {hint}\n")
    return code
