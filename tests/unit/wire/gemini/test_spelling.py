import msgspec
from msgspec import Raw

from modelmux.wire.gemini import spelling


def test_names_with_underscores_are_read_too() -> None:
    body = (
        b'{"system_instruction":{"parts":[{"text":"top_p"}]},"contents":[{"parts":[{"inline_data":'
        b'{"mime_type":"image/png","data":"eA=="}},{"function_call":{"name":"f","args":{"a_b":1}}}'
        b']}],"generation_config":{"max_output_tokens":3,"response_schema":{"x_y":1}}}'
    )
    assert msgspec.json.decode(spelling.camel(body)) == {
        "systemInstruction": {"parts": [{"text": "top_p"}]},
        "contents": [
            {
                "parts": [
                    {"inlineData": {"mimeType": "image/png", "data": "eA=="}},
                    {"functionCall": {"name": "f", "args": {"a_b": 1}}},
                ]
            }
        ],
        "generationConfig": {"maxOutputTokens": 3, "responseSchema": {"x_y": 1}},
    }


def test_the_usual_spelling_is_left_as_the_bytes_that_came() -> None:
    body = b'{"contents":[{"parts":[{"text":"function_call:"}]}] }'
    assert spelling.camel(body) is body
    assert spelling.camel(b'{"top_p": 1') == b'{"top_p": 1'


def test_schemas_in_google_s_dialect_go_there_and_back() -> None:
    dialect = {
        "type": "OBJECT",
        "properties": {"a": {"type": "STRING", "nullable": True}, "type": {"type": "INTEGER"}},
        "items": {"anyOf": [{"type": "NUMBER"}]},
    }
    raw = Raw(msgspec.json.encode(dialect))
    standard = spelling.json_schema(raw)
    assert msgspec.json.decode(standard) == {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}, "type": {"type": "integer"}},
        "items": {"anyOf": [{"type": "number"}]},
    }
    assert msgspec.json.decode(spelling.openapi_schema(standard)) == dialect


def test_json_schema_is_left_verbatim() -> None:
    raw = Raw(b'{ "type":"object" }')
    assert spelling.json_schema(raw) is raw
