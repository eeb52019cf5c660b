"""Configurations as they are once loaded, and where a gateway's log goes in a test."""

from modelmux.config.load import Loaded
from modelmux.config.schema import Config


def loaded(config: Config | None = None) -> Loaded:
    """A configuration that no file says."""
    return Loaded(config or Config(), {}, (), (), frozenset())


class Lines:
    """An output of the log that keeps it."""

    lost_lines = 0
    batch_lines = 100_000

    def __init__(self) -> None:
        self.text = ""
        self.is_closed = False

    def put(self, batch: bytes) -> None:
        self.text += batch.decode()

    def close(self, timeout_s: float) -> bool:
        self.is_closed = True
        return True
