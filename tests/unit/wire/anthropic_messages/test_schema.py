import msgspec
import pytest
from anthropic.types import RawMessageStreamEvent
from anthropic.types.beta import BetaMessage
from anthropic.types.beta.message_create_params import MessageCreateParamsNonStreaming

from modelmux.wire.anthropic_messages import schema


def test_every_field_of_a_request_that_is_named_is_one_of_the_sdks():
    # What the SDK no longer names, because newer models refuse it, older ones still take.
    older = {"temperature", "top_p", "top_k", "output_format"}
    named = set(schema.MessageCreateParams.__struct_fields__) - older
    sdk = set(MessageCreateParamsNonStreaming.__annotations__)
    for base in MessageCreateParamsNonStreaming.__mro__:
        sdk |= set(getattr(base, "__annotations__", {}))
    assert named <= sdk


def test_every_field_of_an_answer_that_is_named_is_one_of_the_sdks():
    assert set(schema.Message.__struct_fields__) <= set(BetaMessage.model_fields)
    usage = BetaMessage.model_fields["usage"].annotation
    assert set(schema.Usage.__struct_fields__) <= set(usage.model_fields)


def test_every_event_of_the_sdks_is_known():
    events = RawMessageStreamEvent.__origin__.__args__
    sdk = {event.model_fields["type"].annotation.__args__[0] for event in events}
    known = {str(event.__struct_config__.tag) for event in schema.Event.__args__}
    assert known == sdk | {"ping", "error"}


@pytest.mark.parametrize("struct", schema.Block.__args__, ids=lambda struct: struct.__name__)
def test_blocks_keep_what_they_do_not_name(struct):
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        body = b'{"zzz":1,"type":"%s"}' % struct.__struct_config__.tag.encode()
        msgspec.json.decode(body, type=struct)
