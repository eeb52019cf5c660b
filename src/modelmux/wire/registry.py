"""Every wire there is, by name. A wire joins, and comes under the laws, by standing here."""

from modelmux.wire import anthropic_messages, bedrock_converse, cohere_chat, gemini, openai_chat
from modelmux.wire.base import Wire

WIRES: tuple[Wire, ...] = (
    openai_chat.WIRE,
    anthropic_messages.WIRE,
    gemini.WIRE,
    bedrock_converse.WIRE,
    cohere_chat.WIRE,
)

BY_NAME = {wire.name: wire for wire in WIRES}
