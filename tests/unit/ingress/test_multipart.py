import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import InvalidRequest
from modelmux.ingress import multipart
from modelmux.ingress.multipart import MAX_VALUE_BYTES, SLICE_BYTES, Field

TYPE = 'multipart/form-data; boundary="edge"'


def form(*parts: tuple[str, bytes]) -> bytes:
    """Parts by what stands behind `form-data; `."""
    joined = [
        b"--edge\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body + b"\r\n"
        for head, body in parts
    ]
    return b"".join(joined) + b"--edge--\r\n"


def find(body: bytes, content_type: str = TYPE) -> Field | None:
    return asyncio.run(multipart.find(body, content_type, "model"))


@given(
    st.binary(max_size=100), st.sampled_from([0, SLICE_BYTES - 60, SLICE_BYTES, SLICE_BYTES * 2])
)
def test_a_field_is_found_wherever_it_stands(noise: bytes, size: int):
    noise = noise.replace(b"--edge", b"")
    file = ('name="file"; filename="a"', noise + b"x" * size)
    body = form(file, ('name="model"', b"whisper"), ('name="other"', b"y"))
    found = find(body)
    assert found is not None
    assert found.value == "whisper"
    assert body[found.start : found.end] == b"whisper"


def test_the_first_of_several_counts():
    found = find(form(('name="model"', b"one"), ('name="model"', b"two")))
    assert found is not None
    assert found.value == "one"


@pytest.mark.parametrize(
    "body", [form(('name="models"', b"x")), form(('name="model"; filename="f"', b"x")), b""]
)
def test_what_is_not_there_is_not_found(body: bytes):
    assert find(body) is None


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "multipart/mixed", ""])
def test_what_is_no_form_is_refused(kind: str):
    with pytest.raises(InvalidRequest, match="expected a form"):
        find(b"x", kind)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"no boundary here at all", "cannot be read"),
        (form(('name="model"', b"\xff")), "UTF-8"),
        (form(('name="model"', b"m" * (MAX_VALUE_BYTES + 1))), "at most"),
    ],
)
def test_a_broken_form_is_refused(body: bytes, said: str):
    with pytest.raises(InvalidRequest, match=said):
        find(body)


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail_in_another_way(body: bytes):
    try:
        find(b"--edge\r\n" + body)
    except InvalidRequest:
        return
