"""What a command says when it cannot do what it was asked."""


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
