from collections.abc import Iterator
from pathlib import Path

import pytest

from modelmux.config.shape import (
    EitherShape,
    ListShape,
    MapShape,
    ScalarShape,
    Shape,
    TableShape,
    config_shape,
)
from tools import make_config_reference as tool
from tools.make_config_reference import BEGIN, END, Reference

TEXT = Reference().text()


def keys(shape: Shape) -> Iterator[str]:
    """Every key there is, with repetition."""
    match shape:
        case TableShape():
            for name, field in shape.fields.items():
                yield name
                yield from keys(field.shape)
        case EitherShape():
            yield from keys(shape.table)
        case ListShape():
            yield from keys(shape.item)
        case MapShape() | ScalarShape():
            pass


def rows_of(title: str) -> str:
    return TEXT.partition(f"## `{title}`\n")[2].partition("\n## ")[0]


def test_every_key_has_a_row():
    for name, field in config_shape().fields.items():
        there = [line.split("`")[1] for line in TEXT.splitlines() if line.startswith("| `")]
        assert set(keys(field.shape)) <= set(there)
        assert f"[{name}]" in TEXT


def test_a_row_has_type_default_and_meaning():
    assert (
        "| `max_retry_attempts` | an integer of at least 1 | `3` "
        "| Attempts in all, the first one included. |\n"
    ) in rows_of("[server]")
    assert "| `name` | a string that is not empty | required |" in rows_of("[[keys]]")
    assert "| `secret` | a secret |  |" in rows_of("[[keys]]")


def test_other_names_and_reserved_words_are_told():
    assert "Also called `project_id`." in rows_of("[vertex]")
    assert "`warning`: the same as `warn`." in rows_of("[server]")
    assert "`cost_optimized`: the same as `cost`." in rows_of("[[models]]")
    assert "not available in this version: `[mcp]`" in TEXT


def test_tables_in_tables_have_sections_of_their_own():
    for title in ("[[providers.models]]", "[providers.limits]", "[routing.fallback]"):
        assert rows_of(title)


def test_types_of_provider_and_variables_are_listed():
    assert "| `anthropic` | `anthropic.messages` | `https://api.anthropic.com/v1` |" in TEXT
    assert "| `MODELMUX_SERVER_PORT` | `server.port` |" in TEXT
    assert "| `echo` |" not in TEXT


def test_only_what_stands_between_the_marks_is_written():
    page = f"# Mine\n\n{BEGIN}old\n{END}\nmine\n"
    new = tool.renewed(page)
    assert new.startswith(f"# Mine\n\n{BEGIN}\n")
    assert new.endswith(f"{END}\nmine\n")
    assert TEXT in new
    assert tool.renewed(new) == new


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="marks"):
        tool.renewed("# Mine\n")


def test_a_stale_page_is_told_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    page = tmp_path / "configuration.md"
    page.write_text(f"{BEGIN}{END}")
    monkeypatch.setattr(tool, "PAGE", page)
    assert tool.main(["--check"]) == 1
    assert "is stale" in capsys.readouterr().out
    assert page.read_text() == f"{BEGIN}{END}"
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
