"""Why a program is not run: isolation that cannot be had is no reason to run it without."""

CANNOT = 125
"""Exit code when the program was not run, as `docker run` and `env` have it; then 126: it cannot be
executed; 127: there is no such program."""


class Refused(Exception):
    """The program is not run.

    Attributes:
        message: What was expected and what came, in one line.
        hint: What to change.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
