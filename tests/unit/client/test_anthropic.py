import anthropic

from modelmux.client.anthropic import Anthropic, AsyncAnthropic


def test_it_is_the_sdks_class_also_with_a_url():
    client = Anthropic(base_url="http://127.0.0.1:3000", api_key="k")
    assert isinstance(client, anthropic.Anthropic)
    assert str(client.base_url).rstrip("/") == "http://127.0.0.1:3000"
    assert isinstance(AsyncAnthropic(base_url="unix:/run/a.sock"), anthropic.AsyncAnthropic)
