import subprocess
import sys

from modelmux import __version__


def test_the_package_can_be_run():
    argv = [sys.executable, "-m", "modelmux", "--version"]
    ran = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert ran.stdout == f"modelmux {__version__}\n"
