import pytest

from modelmux.ir.request import Loss
from modelmux.provider import catalog
from modelmux.provider.catalog import Betas, ProviderRow
from modelmux.provider.forward import MAX_REMEMBERED, NOTHING, Forward

OPENAI = Forward(catalog.load().provider("openai"))
ANTHROPIC = Forward(catalog.load().provider("anthropic"))
VERTEX = Forward(catalog.load().provider("vertex"))


@pytest.mark.parametrize("forward", [OPENAI, ANTHROPIC, VERTEX])
def test_what_is_not_on_the_list_does_not_travel(forward):
    caller = {
        "authorization": "Bearer x",
        "x-api-key": "x",
        "openai-organization": "o",
        "openai-project": "p",
        "cookie": "c",
        "anthropic-version": "1",
    }
    assert forward.of(caller) == NOTHING


def test_a_caller_without_such_fields_costs_nothing():
    assert OPENAI.of({}) is NOTHING


def test_an_idempotency_key_travels_on():
    assert OPENAI.of({"idempotency-key": "k1"}).block == b"idempotency-key: k1\r\n"


@pytest.mark.parametrize("value", ["a\r\nauthorization: Bearer x", "a\nb", "\x00", "“"])
def test_a_value_that_would_break_the_request_stays_behind(value):
    assert OPENAI.of({"idempotency-key": value}).block == b""
    assert ANTHROPIC.of({"anthropic-beta": value}).block == b""


def test_anthropic_is_asked_for_whatever_betas_the_caller_asks_for():
    caller = {"anthropic-beta": "context-1m-2025-08-07, new-thing-2027-01-01"}
    forwarded = ANTHROPIC.of(caller)
    assert forwarded.block == b"anthropic-beta: context-1m-2025-08-07,new-thing-2027-01-01\r\n"
    assert forwarded.losses == ()


def test_a_beta_about_the_callers_own_login_does_not_travel():
    forwarded = ANTHROPIC.of({"anthropic-beta": "oauth-2025-04-20,files-api-2025-04-14"})
    assert forwarded.block == b"anthropic-beta: files-api-2025-04-14\r\n"
    assert [loss.path for loss in forwarded.losses] == ["anthropic-beta"]


def test_betas_that_google_refuses_are_left_out_and_declared_lost():
    caller = {"anthropic-beta": "effort-2025-11-24,web-search-2025-03-05"}
    forwarded = VERTEX.of(caller)
    assert forwarded.block == b"anthropic-beta: web-search-2025-03-05\r\n"
    reason = "the provider does not take 'effort-2025-11-24'"
    assert forwarded.losses == (Loss("anthropic-beta", reason),)


def test_betas_that_google_reads_in_the_body_go_there():
    forwarded = VERTEX.of({"anthropic-beta": "context-1m-2025-08-07"})
    assert forwarded.block == b""
    assert forwarded.body_betas == ("context-1m-2025-08-07",)
    assert forwarded.losses == ()


def test_a_beta_with_another_name_there_is_asked_for_by_that():
    caller = {"anthropic-beta": "advanced-tool-use-2025-11-20,tool-search-tool-2025-10-19"}
    assert VERTEX.of(caller).block == b"anthropic-beta: tool-search-tool-2025-10-19\r\n"


def test_betas_and_other_fields_travel_together():
    caller = {"anthropic-beta": "a", "idempotency-key": "k"}
    assert ANTHROPIC.of(caller).block == b"idempotency-key: k\r\nanthropic-beta: a\r\n"


def test_without_rules_for_betas_the_field_travels_as_it_is():
    row = ProviderRow(type="x", forward=("anthropic-beta",))
    assert Forward(row).of({"anthropic-beta": "a, b"}).block == b"anthropic-beta: a, b\r\n"


def test_remembered_lists_are_bounded():
    forward = Forward(ProviderRow(type="x", forward=("anthropic-beta",), betas=Betas(allow=("*",))))
    for number in range(3 * MAX_REMEMBERED):
        beta = f"b{number}"
        assert forward.of({"anthropic-beta": beta}).block == f"anthropic-beta: {beta}\r\n".encode()
    assert len(forward._remembered) <= MAX_REMEMBERED
