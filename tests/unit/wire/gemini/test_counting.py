import pytest

from modelmux.errors import ProtocolViolation
from modelmux.wire.gemini import counting


def test_a_count_is_read_and_written() -> None:
    assert counting.decode_answer(counting.encode_answer(31)) == 31


def test_what_is_no_count_is_refused() -> None:
    with pytest.raises(ProtocolViolation, match="totalTokens"):
        counting.decode_answer(b"{}")
