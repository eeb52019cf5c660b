import httpx2
import pytest

from modelmux.client.base_url import UNUSED_KEY, fill

VARIABLES = ("SOME_BASE_URL", "SOME_API_KEY")


def filled(*, asynchronous: bool = False, **options: object) -> dict[str, object]:
    fill(options, variables=VARIABLES, path="/v1", asynchronous=asynchronous)
    return options


def test_a_socket_becomes_a_client_and_a_url():
    options = filled(base_url="unix:/run/a.sock")
    assert options["base_url"] == "http://modelmux/v1"
    assert isinstance(options["http_client"], httpx2.Client)
    assert options["api_key"] == UNUSED_KEY
    options = filled(base_url="unix:/run/a.sock:/models/v1", api_key="sk-1", asynchronous=True)
    assert options["base_url"] == "http://modelmux/models/v1"
    assert isinstance(options["http_client"], httpx2.AsyncClient)
    assert options["api_key"] == "sk-1"


def test_an_address_in_the_environment_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOME_BASE_URL", "unix:/run/a.sock")
    monkeypatch.setenv("SOME_API_KEY", "sk-2")
    options = filled()
    assert options["base_url"] == "http://modelmux/v1"
    assert "api_key" not in options


@pytest.mark.parametrize("base_url", [None, "http://127.0.0.1:3000/v1", httpx2.URL("http://x")])
def test_anything_else_is_left_as_it_is(base_url: object):
    assert filled(base_url=base_url) == {"base_url": base_url}


def test_what_would_not_reach_the_socket_is_refused():
    with pytest.raises(TypeError, match="got both"):
        filled(base_url="unix:/run/a.sock", http_client=httpx2.Client())
    with pytest.raises(ValueError, match="expected unix:/path"):
        filled(base_url="unix:relative")
