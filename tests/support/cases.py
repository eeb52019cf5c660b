"""Marks a test with the numbers of the translation cases that it proves."""

import pytest


def case(*numbers: int) -> pytest.MarkDecorator:
    """The cases of `docs/reference/translation-cases.md` that a test proves."""
    return pytest.mark.translation_case(numbers)
