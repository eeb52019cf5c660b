import pytest

from modelmux.errors import ProtocolViolation
from modelmux.ir.rerank import Document, Ranked, RerankRequest, RerankResponse, joined

REQUEST = RerankRequest("m", "q", (Document("a"), Document("b")))


def test_the_one_answer_is_the_answer():
    answer = RerankResponse("m", (Ranked(1, 0.9), Ranked(0, 0.1)))
    assert joined([answer], REQUEST) is answer


@pytest.mark.parametrize("index", [-1, 2])
def test_a_document_that_was_not_sent_cannot_be_ranked(index: int):
    with pytest.raises(ProtocolViolation, match="not sent"):
        joined([RerankResponse("m", (Ranked(index, 0.9),))], REQUEST)
