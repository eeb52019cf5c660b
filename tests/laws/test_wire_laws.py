"""Laws that every wire obeys, over every golden. A wire joins by standing in the registry."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from modelmux.errors import GatewayError
from modelmux.ir import events as ev
from modelmux.ir.request import Envelope
from modelmux.ir.response import NO_USAGE, Failure
from modelmux.wire.base import Wire
from modelmux.wire.registry import WIRES
from tests.support.cases import case
from tests.support.goldens import Golden, goldens, normal

LINE_ENDS = (b"\n", b"\r\n", b"\r")

requests = pytest.mark.parametrize("golden", goldens("request.json"), ids=str)
responses = pytest.mark.parametrize("golden", goldens("response.json"), ids=str)
streams = pytest.mark.parametrize("golden", goldens("stream.txt"), ids=str)
wires = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)


def decode(wire: Wire, chunks: list[bytes]) -> list[ev.Event]:
    decoder = wire.decoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.finish()


def encode(wire: Wire, events: list[ev.Event], envelope: Envelope) -> bytes:
    encoder = wire.encoder(envelope)
    return b"".join(encoder.encode(event) for event in events)


def bytewise(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def with_line_end(golden: Golden, end: bytes) -> bytes:
    data = golden.read()
    if golden.is_binary:  # frames have no lines
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\n", end)


def relayed(golden: Golden, chunks: list[bytes], rename: str | None = None) -> bytes:
    relay = golden.wire.relay(replace(golden.envelope(), include_usage=True), rename)
    return b"".join([relay.feed(chunk) for chunk in chunks]) + relay.finish()


@requests
@case(53, 54, 64)
def test_a_request_comes_back_from_the_neutral_model_as_it_went_in(golden: Golden) -> None:
    body = golden.read()
    encoded = golden.wire.encode_request(golden.wire.decode_request(body))
    assert encoded.losses == ()
    expected, got = normal(body), normal(encoded.body)
    assert isinstance(expected, dict)
    assert isinstance(got, dict)
    if golden.wire_name == "openai.chat" and got.get("stream"):
        # The option that asks the target for usage is the gateway's own.
        expected.setdefault("stream_options", {})["include_usage"] = True
    assert got == expected


@requests
def test_decoding_what_was_encoded_gives_the_same_request(golden: Golden) -> None:
    request = golden.wire.decode_request(golden.read())
    again = golden.wire.decode_request(golden.wire.encode_request(request).body)
    assert replace(again, include_usage=request.include_usage) == request


@requests
@case(114)
def test_an_untouched_request_leaves_as_the_bytes_that_came(golden: Golden) -> None:
    body = golden.read()
    envelope = golden.wire.envelope(body)
    assert golden.wire.readdress(body, envelope, envelope.model, ask_usage=False) == body


@requests
@case(108)
def test_another_name_for_the_model_is_all_that_changes(golden: Golden) -> None:
    body = golden.read()
    envelope = golden.wire.envelope(body)
    renamed = golden.wire.readdress(body, envelope, "another-name", ask_usage=False)
    if golden.wire.in_path:
        assert renamed == body
        return
    value = msgspec.json.decode(body)
    assert msgspec.json.decode(renamed) == value | {"model": "another-name"}
    old, new = (msgspec.json.encode(name) for name in (envelope.model, "another-name"))
    if body.count(b'"model"') == 1:
        assert renamed == body.replace(old, new, 1)


@requests
def test_asking_for_usage_changes_nothing_else(golden: Golden) -> None:
    body = golden.read()
    envelope = golden.wire.envelope(body)
    asked = golden.wire.readdress(body, envelope, envelope.model, ask_usage=True)
    value, got = msgspec.json.decode(body), msgspec.json.decode(asked)
    if golden.wire_name == "openai.chat" and envelope.stream and not envelope.include_usage:
        assert got.pop("stream_options")["include_usage"] is True
        value.pop("stream_options", None)
    assert got == value


@responses
def test_a_response_comes_back_from_the_neutral_model_as_it_went_in(golden: Golden) -> None:
    body = golden.read()
    response = golden.wire.decode_response(body)
    assert normal(golden.wire.encode_response(response, Envelope(""))) == normal(body)


@responses
def test_a_response_summary_agrees_with_the_whole(golden: Golden) -> None:
    body = golden.read()
    response, summary = golden.wire.decode_response(body), golden.wire.summarise(body)
    assert summary.failure is None
    assert summary.reason == response.reason
    assert summary.usage == response.usage


@responses
def test_unfolding_and_folding_a_response_changes_nothing(golden: Golden) -> None:
    response = golden.wire.decode_response(golden.read())
    events = list(ev.unfold(response))
    ev.check(events)
    assert ev.fold(events) == response


@streams
@case(88, 89, 90)
@pytest.mark.parametrize("end", LINE_ENDS, ids=repr)
def test_any_split_and_any_line_end_give_the_same_events(golden: Golden, end: bytes) -> None:
    data = golden.read()
    whole = decode(golden.wire, [data])
    ev.check(whole)
    data = with_line_end(golden, end)
    assert decode(golden.wire, [data]) == whole
    assert decode(golden.wire, bytewise(data)) == whole


@streams
@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 1 << 16), max_size=12))
def test_random_splits_give_the_same_events(golden: Golden, cuts: list[int]) -> None:
    data = golden.read()
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    chunks = [data[a:b] for a, b in pairwise(places)]
    assert decode(golden.wire, chunks) == decode(golden.wire, [data])


@streams
@case(92, 93)
def test_a_stream_cut_anywhere_never_looks_finished(golden: Golden) -> None:
    data = golden.read()
    whole = decode(golden.wire, [data])
    for end in range(len(data)):
        events = decode(golden.wire, [data[:end]])
        ev.check(events)
        if isinstance(events[-1], ev.Finish):
            # All that was left unsaid is the terminator, or usage after the finish reason.
            assert _without_usage(events) == _without_usage(whole)


@streams
@case(92, 93)
def test_a_relayed_stream_cut_anywhere_never_looks_finished(golden: Golden) -> None:
    data = golden.read()
    for end in range(len(data)):
        relay = golden.wire.relay(replace(golden.envelope(), include_usage=True), None)
        sent = relay.feed(data[:end]) + relay.finish()
        seen, direct = decode(golden.wire, [sent]), decode(golden.wire, [data[:end]])
        assert type(seen[-1]) is type(direct[-1])
        if isinstance(seen[-1], ev.Fail):
            assert relay.summary.failure is not None


@streams
def test_a_relayed_stream_is_the_bytes_that_came(golden: Golden) -> None:
    data = golden.read()
    assert relayed(golden, [data]).startswith(data)
    assert relayed(golden, bytewise(data)) == relayed(golden, [data])
    events = decode(golden.wire, [data])
    if isinstance(events[-1], ev.Finish):
        assert relayed(golden, [data]) == data


@streams
@pytest.mark.parametrize("end", LINE_ENDS, ids=repr)
def test_a_relay_counts_what_the_decoder_counts(golden: Golden, end: bytes) -> None:
    data = with_line_end(golden, end)
    relay = golden.wire.relay(golden.envelope(), None)
    for chunk in bytewise(data):
        relay.feed(chunk)
    relay.finish()
    last = decode(golden.wire, [data])[-1]
    if isinstance(last, ev.Finish):
        assert (relay.summary.usage or NO_USAGE) == last.usage
        assert relay.summary.reason == last.reason
    else:
        assert isinstance(last, ev.Fail)
        assert relay.summary.failure is not None
        assert relay.summary.failure.code == last.failure.code


@streams
@case(108)
def test_a_renamed_stream_differs_in_the_name_only(golden: Golden) -> None:
    data = golden.read()
    before = decode(golden.wire, [data])
    after = decode(golden.wire, [relayed(golden, bytewise(data), "the-asked-name")])
    renamed = [
        replace(event, model="the-asked-name")
        if isinstance(event, ev.Start) and event.model  # some wires do not name it
        else event
        for event in before
    ]
    assert after == renamed


@streams
@case(79)
def test_usage_that_was_not_asked_for_is_not_sent(golden: Golden) -> None:
    data = golden.read()
    relay = golden.wire.relay(replace(golden.envelope(), include_usage=False), None)
    sent = relay.feed(data) + relay.finish()
    before, after = decode(golden.wire, [data]), decode(golden.wire, [sent])
    assert _without_usage(after) == _without_usage(before)
    if golden.wire_name == "openai.chat":
        assert b'"choices":[],"usage":{' not in sent.replace(b" ", b"")


@streams
def test_a_stream_encoded_again_says_the_same(golden: Golden) -> None:
    events = decode(golden.wire, [golden.read()])
    again = decode(golden.wire, [encode(golden.wire, events, Envelope("", stream=True))])
    ev.check(again)
    assert _said(again) == _said(events)


@streams
@case(24, 92, 95, 97)
@pytest.mark.parametrize("other", WIRES, ids=lambda wire: wire.name)
def test_a_stream_on_another_wire_keeps_the_grammar_and_the_ending(
    golden: Golden, other: Wire
) -> None:
    events = decode(golden.wire, [golden.read()])
    again = decode(other, [encode(other, events, Envelope("m", stream=True))])
    ev.check(again)
    assert type(again[-1]) is type(events[-1])
    if isinstance(events[-1], ev.Finish):
        assert isinstance(again[-1], ev.Finish)
        assert again[-1].usage.input_tokens == events[-1].usage.input_tokens
        assert again[-1].usage.output_tokens == events[-1].usage.output_tokens


@streams
@settings(max_examples=30)
@given(change=st.tuples(st.integers(0, 1 << 16), st.binary(max_size=8)))
def test_a_damaged_stream_raises_nothing(golden: Golden, change: tuple[int, bytes]) -> None:
    data = golden.read()
    at = change[0] % len(data)
    damaged = data[:at] + change[1] + data[at + 1 :]
    events = decode(golden.wire, [damaged])
    ev.check(events)
    relay = golden.wire.relay(golden.envelope(), None)
    relay.feed(damaged)
    relay.finish()


@wires
@settings(max_examples=200)
@given(data=st.binary(max_size=200))
def test_noise_raises_nothing_but_our_errors(wire: Wire, data: bytes) -> None:
    ev.check(decode(wire, [data]))
    wire.decode_error(500, data)
    for read in (wire.envelope, wire.decode_request, wire.decode_response, wire.summarise):
        try:
            read(data)
        except GatewayError as exc:
            assert exc.message


@requests
@settings(max_examples=30)
@given(change=st.tuples(st.integers(0, 1 << 16), st.binary(max_size=8)))
def test_a_damaged_request_is_refused_or_read(golden: Golden, change: tuple[int, bytes]) -> None:
    body = golden.read()
    at = change[0] % len(body)
    damaged = body[:at] + change[1] + body[at + 1 :]
    try:
        request = golden.wire.decode_request(damaged)
        for wire in WIRES:
            wire.encode_request(request)
    except GatewayError as exc:
        assert 400 <= exc.status < 500


@wires
@case(102)
def test_a_failure_survives_its_own_wire(wire: Wire) -> None:
    failure = Failure("rate_limit", "slow down", "rate_limit_exceeded", None, 429)
    again = wire.decode_error(429, wire.encode_error(failure))
    assert (again.kind, again.message) == (failure.kind, failure.message)


def _without_usage(events: list[ev.Event]) -> list[ev.Event]:
    out: list[ev.Event] = []
    for event in events:
        match event:
            case ev.Finish():
                out.append(ev.Finish(event.reason))
            case ev.Start():
                out.append(ev.Start(event.id, event.model))
            case ev.Ping():
                pass
            case _:
                out.append(event)
    return out


def _said(events: list[ev.Event]) -> object:
    """What a stream says, however it was cut into deltas."""
    if isinstance(events[-1], ev.Fail):
        return events[-1].failure.message
    response = ev.fold(events)
    return replace(response, extra=None, usage=replace(response.usage, extra=None))
