"""What a run came to: calls, tokens, cost, models, and the names that were looked up."""

import time
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import IO, cast

from modelmux.isolate import wire

MAX_SHOWN = 12
"""Names and models that the summary shows; the log has all."""


class Summary:
    """Adds up what is told of a run, and writes it to a log as it comes."""

    def __init__(self, log: IO[bytes] | None = None) -> None:
        """Begin with nothing."""
        self._log = log
        self.names: list[str] = []
        self.calls = 0
        self.failed = 0
        self.left_out = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost_usd = Decimal(0)
        self.unpriced = 0
        self.models: dict[str, int] = {}

    def name(self, name: str) -> None:
        """A name was looked up."""
        self.names.append(name)
        self._write({"time": time.time(), "name": name})

    def told(self, message: wire.Message) -> bool:
        """Take a line of the gateway's; whether it was the last."""
        call = message.get("call")
        if isinstance(call, dict):
            self._call(cast("wire.Message", call))
        self.left_out += wire.number_of(message, "left_out")
        return bool(message.get("done"))

    def end(self, code: int) -> None:
        """The program has ended."""
        self._write({"time": time.time(), "exit": code, **self.figures()})

    def figures(self) -> dict[str, object]:
        """All of it, for programs."""
        return {
            "calls": self.calls,
            "failed": self.failed,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": f"{self.cost_usd:f}",
            "calls_without_price": self.unpriced,
            "models": self.models,
            "names": self.names,
            "calls_not_told": self.left_out,
        }

    def lines(self) -> list[str]:
        """All of it, for people."""
        text = f"{self.calls} calls" if self.calls != 1 else "1 call"
        if self.failed:
            text += f", {self.failed} failed"
        if self.calls:
            text += f"; {self.input_tokens} tokens in, {self.output_tokens} out"
            text += f"; ${self.cost_usd:.6f}" if self.unpriced < self.calls else "; cost not known"
            if 0 < self.unpriced < self.calls:
                text += f" and {self.unpriced} calls whose price is not known"
        found = [text]
        if self.left_out:
            found.append(f"{self.left_out} more calls are in the gateway's log only")
        if self.models:
            found.append(f"models: {_listed([f'{name} x{n}' for name, n in self.models.items()])}")
        if self.names:
            found.append(f"tried to reach: {_listed(self.names)}")
        return found

    def _call(self, call: wire.Message) -> None:
        self.calls += 1
        self.failed += wire.text_of(call, "outcome") != "ok"
        self.input_tokens += wire.number_of(call, "input_tokens")
        self.output_tokens += wire.number_of(call, "output_tokens")
        try:
            self.cost_usd += Decimal(wire.text_of(call, "cost_usd"))
        except InvalidOperation:
            self.unpriced += 1
        model = wire.text_of(call, "target") or wire.text_of(call, "model") or "(none)"
        self.models[model] = self.models.get(model, 0) + 1
        self._write({"time": call.get("ended_at_s"), "call": call})

    def _write(self, message: wire.Message) -> None:
        if self._log is not None:
            self._log.write(wire.encoded(message))
            self._log.flush()


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MAX_SHOWN])
    rest = len(names) - MAX_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
