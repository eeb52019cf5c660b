"""The contracts about imports name everything that they should hold for."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONTRACTS = {
    contract["name"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
}

SHARED_WIRE_PACKAGES = {"embeddings", "framing", "openai", "rerank"}
"""Packages below `wire` that wires may import."""


def packages(folder: str) -> set[str]:
    """Names of the packages right below a folder of the source."""
    return {path.parent.name for path in (ROOT / "src/modelmux" / folder).glob("*/__init__.py")}


def test_every_wire_is_independent_of_the_others():
    (name,) = (name for name in CONTRACTS if name.startswith("Wires"))
    named = {module.removeprefix("modelmux.wire.") for module in CONTRACTS[name]["modules"]}
    assert named == packages("wire") - SHARED_WIRE_PACKAGES


def test_every_package_that_must_not_do_something_is_named():
    # Who may: the packages that a contract leaves out on purpose.
    may = {
        "Only transport parses HTTP": {"transport"},
        "Only transport, isolation, telemetry's writer and the command line start processes": {
            "transport",
            "isolate",
            "telemetry",
            "cli",
        },
        "Only the doors and the command line know the server": {"ingress", "cli"},
    }
    for name, allowed in may.items():
        named = {module.removeprefix("modelmux.") for module in CONTRACTS[name]["source_modules"]}
        assert named == (packages(".") | {"errors"}) - allowed, name
