"""Which commands there are, and where; none of them is imported here."""

from collections.abc import Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """A command and where it is."""

    module: str
    summary: str


COMMANDS: Mapping[str, Entry] = {
    "serve": Entry("modelmux.cli.serve", "run the gateway in the foreground"),
    "config": Entry("modelmux.cli.config", "init, show, validate, edit, schema"),
    "validate": Entry("modelmux.cli.validate", "check the configuration and nothing else"),
    "doctor": Entry("modelmux.cli.doctor", "check the surroundings, with a fix for each finding"),
    "check": Entry("modelmux.cli.check", "ask every target whether it would answer"),
    "models": Entry("modelmux.cli.models", "what can be asked for, and who answers"),
    "route": Entry("modelmux.cli.route", "explain: who would answer a call, and why"),
    "chat": Entry("modelmux.cli.chat", "one question, the answer streamed"),
    "status": Entry("modelmux.cli.status", "what a running gateway is doing"),
    "logs": Entry("modelmux.cli.logs", "the log of a running gateway"),
    "reload": Entry("modelmux.cli.reload", "have a gateway put its changed configuration in force"),
    "upgrade": Entry("modelmux.cli.upgrade", "have a gateway go on as a new process"),
    "stop": Entry("modelmux.cli.stop", "stop a running gateway"),
    "version": Entry("modelmux.cli.version", "print the version"),
}

LATER = frozenset(
    {
        "a2a-server",
        "benchmark",
        "bridge",
        "broadcast",
        "clean",
        "collaborate",
        "dashboard",
        "dispatch",
        "export",
        "feedback",
        "history",
        "import",
        "init",
        "isolate",
        "key",
        "mcp",
        "profile",
        "report",
        "tui",
        "usage",
        "workflow",
    }
)
"""Names that are reserved and not available in this version."""

INSTEAD = {
    "init": "`modelmux config init` writes a configuration",
}
"""What to do for the time being."""
