from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.provider.limit_headers import Said, said

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC).timestamp()


def heard(fields: dict[str, str]) -> list[Said]:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
    return said(headers, NOW)


def test_openais_fields_tell_of_requests_and_tokens():
    assert heard(
        {
            "content-type": "application/json",
            "x-ratelimit-limit-requests": "5000",
            "x-ratelimit-remaining-requests": "4999",
            "x-ratelimit-reset-requests": "12ms",
            "x-ratelimit-limit-tokens": "160000",
            "x-ratelimit-remaining-tokens": "159976",
            "x-ratelimit-reset-tokens": "6m0s",
        }
    ) == [Said("requests", 4999, 5000, 0.012), Said("tokens", 159976, 160000, 360.0)]


def test_anthropics_tokens_are_those_of_prompt_and_answer_where_these_are_told():
    def three(kind: str, limit: int, remaining: int) -> dict[str, str]:
        name = f"anthropic-ratelimit-{kind}"
        return {
            f"{name}-limit": str(limit),
            f"{name}-remaining": str(remaining),
            f"{name}-reset": "2026-11-20T12:00:30Z",
        }

    summary = three("tokens", 80_000, 16_000)
    parts = three("input-tokens", 400_000, 390_000) | three("output-tokens", 80_000, 16_000)
    assert [each.kind for each in heard(summary)] == ["tokens"]
    assert heard(three("requests", 50, 49) | summary | parts) == [
        Said("requests", 49, 50, 30.0, imprecision_s=1.0),
        Said("input_tokens", 390_000, 400_000, 30.0, imprecision_s=1.0),
        Said("output_tokens", 16_000, 80_000, 30.0, imprecision_s=1.0),
    ]


@pytest.mark.parametrize(
    ("fields", "limits"),
    [
        (
            {"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'},
            [("requests", 50.0, 100.0, 30.0)],
        ),
        (
            {
                "ratelimit": '"minute";r=5;t=10, "day";r=900;t=3600',
                "ratelimit-policy": '"minute";q=60;w=60, "day";q=1000;w=86400;qu="tokens"',
            },
            [("requests", 5.0, 60.0, 10.0), ("tokens", 900.0, 1000.0, 3600.0)],
        ),
        ({"ratelimit": "limit=100, remaining=50, reset=5"}, [("requests", 50.0, 100.0, 5.0)]),
        (
            {"ratelimit-limit": "100", "ratelimit-remaining": "50", "ratelimit-reset": "5"},
            [("requests", 50.0, 100.0, 5.0)],
        ),
        ({"ratelimit": '"bytes";r=5;t=10', "ratelimit-policy": '"bytes";qu="content-bytes"'}, []),
        ({"ratelimit": '"mine";r=5;pk=:abc:'}, []),
    ],
)
def test_the_ietfs_fields_are_fixed_windows(
    fields: dict[str, str], limits: list[tuple[str, float, float, float]]
):
    found = heard(fields)
    assert [(each.kind, each.remaining, each.limit, each.reset_s) for each in found] == limits
    assert all(each.is_window for each in found)


def test_fields_without_a_kind_are_a_window_of_requests():
    fields = {
        "x-ratelimit-limit": "20",
        "x-ratelimit-remaining": "3",
        "x-ratelimit-reset": str(int((NOW + 40) * 1000)),
    }
    assert heard(fields) == [Said("requests", 3, 20, 40.0, is_window=True, imprecision_s=1.0)]


@pytest.mark.parametrize("value", ["-1", "", "many", "nan", "inf", "1e300"])
def test_what_is_no_amount_is_not_believed(value: str):
    # Azure says -1 where it does not know.
    fields = {"x-ratelimit-limit-tokens": "10", "x-ratelimit-remaining-tokens": value}
    assert heard(fields) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"x-ratelimit-remaining-requests": "0"},
        {"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0"},
    ],
)
def test_what_cannot_be_kept_to_is_no_limit(fields: dict[str, str]):
    # Some say 0 of 0 where there is no limit: nobody could ever be asked again.
    assert heard(fields) == []


def test_a_limit_without_a_total_is_a_window():
    fields = {"x-ratelimit-remaining-requests": "7", "x-ratelimit-reset-requests": "20s"}
    assert heard(fields) == [Said("requests", 7, None, 20.0, is_window=True)]


@pytest.mark.parametrize("reset", ["2026-11-20T12:05:30Z", str(int(NOW) + 330)])
def test_times_are_those_of_the_providers_clock(reset: str):
    # Which is five minutes before ours.
    fields = {
        "date": "Fri, 20 Nov 2026 12:05:00 GMT",
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": reset,
    }
    assert [each.reset_s for each in heard(fields)] == [30.0]
    assert [each.reset_s for each in heard(fields | {"date": "soon"})] == [330.0]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b"ratelimit",
                    b"ratelimit-policy",
                    b"ratelimit-reset",
                    b"x-ratelimit-remaining-requests",
                    b"x-ratelimit-reset-tokens",
                    b"anthropic-ratelimit-tokens-remaining",
                    b"x-ratelimit-unheard-of",
                ]
            ),
            st.binary(max_size=40),
        )
    )
)
def test_no_header_field_is_ever_an_error(headers: list[tuple[bytes, bytes]]):
    for each in said(headers, NOW):
        assert each.remaining >= 0
