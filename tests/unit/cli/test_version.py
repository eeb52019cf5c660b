from modelmux import __version__
from tests.unit.cli.conftest import Cli


def test_the_version_as_text_and_as_json(cli: Cli):
    assert cli("version") == (0, f"modelmux {__version__}\n", "")
    assert cli("version", "--json").json() == {"version": __version__}
