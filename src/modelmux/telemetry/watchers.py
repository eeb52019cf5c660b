"""Who wants to know of the calls of one listener as they end."""

from collections.abc import Callable

from modelmux.target.record import CallRecord


class Watchers:
    """Those who want to know of the calls of a listener, by its name."""

    def __init__(self) -> None:
        self._by_listener: dict[str, Callable[[CallRecord], None]] = {}

    def add(self, listener: str, told: Callable[[CallRecord], None]) -> None:
        """Tell of every call that ends from now on."""
        self._by_listener[listener] = told

    def remove(self, listener: str) -> None:
        """Tell no more."""
        del self._by_listener[listener]

    def sink(self, record: CallRecord) -> None:
        """Pass a record on to who wants it. Steps of a composition are in its own record."""
        if self._by_listener and not record.parent_id:
            told = self._by_listener.get(record.peer.listener)
            if told is not None:
                told(record)
