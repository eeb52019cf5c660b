import pytest

from tests.support import http1, plain, stage
from tests.support.http1 import Request


def statuses(played: stage.Stage, count: int) -> list[int]:
    return [plain.get(played.base_url, "/").status for _ in range(count)]


def test_answers_are_played_in_order_and_the_last_again_and_again():
    with stage.running() as played:
        played.play([http1.answer(500)], [http1.answer(200)])
        assert statuses(played, 3) == [500, 200, 200]


def test_a_test_sees_only_what_came_since_it_said_what_to_play():
    with stage.running() as played:
        played.play([http1.answer(200)])
        plain.get(played.base_url, "/before")
        played.play([http1.answer(200)])
        plain.get(played.base_url, "/after")
        assert played.request.target == "/after"
        assert [each.target for each in played.wait_for_requests(1)] == ["/after"]


def test_a_script_answers_by_what_is_asked():
    def script(request: Request) -> list[bytes]:
        return [http1.answer(404 if request.target == "/no" else 200)]

    with stage.running() as played:
        played.run(script)
        found = [plain.get(played.base_url, path).status for path in ("/no", "/yes")]
        assert found == [404, 200]


def test_a_request_that_nobody_expects_fails_the_tests():
    running = stage.running()
    played = running.__enter__()
    with pytest.raises(OSError):
        plain.get(played.base_url, "/")
    with pytest.raises(AssertionError, match="where none was expected: GET /"):
        running.__exit__(None, None, None)
