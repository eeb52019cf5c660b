from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.ingress.upload import MEMORY_BYTES, Upload


@given(st.lists(st.integers(0, MEMORY_BYTES), max_size=4), st.integers(0, 900_000), st.integers(0))
def test_a_body_reads_as_it_was_added_wherever_it_lies(sizes: list[int], start: int, length: int):
    pieces = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    upload = Upload()
    for piece in pieces:
        upload.add(piece)
    whole = b"".join(pieces)
    assert len(upload) == len(whole)
    assert upload[start : start + length] == whole[start : start + length]
    upload.close()


def test_a_large_body_is_in_a_file_that_has_no_name():
    upload = Upload()
    upload.add(b"x" * (MEMORY_BYTES + 1))
    (file,) = [each for each in Path("/proc/self/fd").iterdir() if _is_nameless(each)]
    upload.close()
    assert not _is_nameless(file)


def _is_nameless(file: Path) -> bool:
    try:
        return str(file.readlink()).endswith("(deleted)") and file.stat().st_size > MEMORY_BYTES
    except OSError:
        return False


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere-at-all")
    upload = Upload()
    with pytest.raises(OSError, match="nowhere"):
        upload.add(b"x" * (MEMORY_BYTES + 1))
