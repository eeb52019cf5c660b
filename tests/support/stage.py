"""A scripted upstream that outlives the tests which use it, as the gateway in front of it does.

    stage.play([http1.answer(503)], http1.stream(b"data: [DONE]\\n\\n"))   # first this, then that
    ...                                                                   # ask the gateway
    assert stage.requests[0].json() == {...}

Each test says what is played from then on, and sees only the requests that have come since.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager

from tests.support.http1 import Request
from tests.support.upstream import Part, Script, Upstream


class Stage:
    """What the tests see of the upstream."""

    def __init__(self) -> None:
        self.upstream = Upstream(self._answer)
        self._script: Script = _in_turn(())
        self._first = 0

    @property
    def base_url(self) -> str:
        return self.upstream.base_url

    @property
    def requests(self) -> list[Request]:
        """What has arrived since the test said what to play."""
        return self.upstream.requests[self._first :]

    @property
    def request(self) -> Request:
        """The only one that has."""
        (only,) = self.requests
        return only

    def play(self, *answers: Sequence[Part]) -> None:
        """Answer each request with one of `answers`, in order; the last one again and again."""
        self.run(_in_turn(answers))

    def run(self, script: Script) -> None:
        """Answer each request with what `script` makes of it."""
        self._first = len(self.upstream.requests)
        self._script = script

    def wait_for_requests(self, count: int) -> list[Request]:
        """Block until so many have arrived since the test said what to play."""
        self.upstream.wait_for_requests(self._first + count)
        return self.requests

    def _answer(self, request: Request) -> Iterable[Part]:
        return self._script(request)


@contextmanager
def running() -> Generator[Stage, None, None]:
    """A stage on a free port of the loopback."""
    stage = Stage()
    with stage.upstream:
        yield stage


def _in_turn(answers: Sequence[Sequence[Part]]) -> Script:
    left = list(answers)

    def script(request: Request) -> Sequence[Part]:
        assert left, f"a request came where none was expected: {request.method} {request.target}"
        return left.pop(0) if len(left) > 1 else left[0]

    return script
