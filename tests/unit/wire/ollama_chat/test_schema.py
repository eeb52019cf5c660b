import msgspec

from modelmux.wire.ollama_chat import schema


def test_names_are_the_api_s() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"options":{"num_predict":3}}'
    request = msgspec.json.decode(body, type=schema.ChatRequest)
    assert request.options is not None
    assert request.options.num_predict == 3
    assert (schema.CHAT, schema.GENERATE) == ("ollama.chat", "ollama.generate")
