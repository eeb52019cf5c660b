import msgspec

from modelmux.wire.gemini import schema


def test_names_are_the_api_s() -> None:
    said = msgspec.json.encode(schema.GenerationConfig(max_output_tokens=3, top_k=1.0))
    assert b'"maxOutputTokens":3' in said
    assert schema.NAME == "gemini"


def test_an_answer_is_read_by_the_names_of_the_api() -> None:
    body = b'{"responseId":"r","modelVersion":"m","usageMetadata":{"promptTokenCount":1}}'
    answer = msgspec.json.decode(body, type=schema.GenerateContentResponse)
    assert (answer.response_id, answer.model_version) == ("r", "m")
