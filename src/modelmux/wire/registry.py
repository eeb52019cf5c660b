"""Every wire there is, by name. A wire joins, and comes under the laws, by standing here."""

from modelmux.wire import (
    anthropic_messages,
    bedrock_converse,
    cohere_chat,
    gemini,
    ollama_chat,
    openai_chat,
    openai_completions,
    openai_responses,
)
from modelmux.wire.base import Wire

WIRES: tuple[Wire, ...] = (
    openai_chat.WIRE,
    anthropic_messages.WIRE,
    gemini.WIRE,
    ollama_chat.WIRE,
    ollama_chat.GENERATE_WIRE,
    bedrock_converse.WIRE,
    cohere_chat.WIRE,
    openai_responses.WIRE,
    openai_completions.WIRE,
)

BY_NAME = {wire.name: wire for wire in WIRES}
