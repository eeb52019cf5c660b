import subprocess
import sys

import pytest

import modelmux


def test_the_version_costs_no_import() -> None:
    program = (
        "import sys, modelmux; modelmux.__version__; "
        "print('msgspec' in sys.modules or 'asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)  # noqa: PLW1510
    assert done.stdout.strip() == "False", done.stderr


def test_what_is_not_offered_is_missed_clearly() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = modelmux.nothing  # type: ignore[attr-defined]
