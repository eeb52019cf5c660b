from hypothesis import given
from hypothesis import strategies as st

from modelmux.target.passage import Spliced

places = st.integers(0, 30)


@given(st.binary(max_size=20), places, places, st.binary(max_size=8), places, places)
def test_a_spliced_payload_is_as_if_its_bytes_had_been_joined(
    payload: bytes, start: int, length: int, middle: bytes, first: int, last: int
):
    start = min(start, len(payload))
    end = min(start + length, len(payload))
    joined = payload[:start] + middle + payload[end:]
    spliced = Spliced(payload, start, end, middle)
    assert len(spliced) == len(joined)
    assert spliced[first:last] == joined[first:last]
    assert spliced[:] == joined
