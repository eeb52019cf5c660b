import openai

from modelmux.client.openai import AsyncOpenAI, OpenAI


def test_it_is_the_sdks_class_also_with_a_url():
    client = OpenAI(base_url="http://127.0.0.1:3000/v1", api_key="k")
    assert isinstance(client, openai.OpenAI)
    assert str(client.base_url) == "http://127.0.0.1:3000/v1/"
    assert isinstance(AsyncOpenAI(base_url="unix:/run/a.sock"), openai.AsyncOpenAI)
