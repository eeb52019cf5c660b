"""What outlives a configuration: a reload makes everything else anew and leaves this alone.

State that belongs to a name of the configuration and is to survive (how a provider fares, how much
of a limit is used up) has its place in `Lasting`, by that name; or it is taken over from what was
in force (`Built.take_over`), where whoever holds it is made anew.
"""

import sys
import time

from modelmux.config.routing import breaker_policy
from modelmux.config.schema import Config
from modelmux.config.secrets import secrets
from modelmux.layer.retry import RetryBudget
from modelmux.target.health import HealthBook, TargetHealth
from modelmux.telemetry.lines import JsonLines, Level, Lines, TextLines
from modelmux.telemetry.log import LogWriter
from modelmux.telemetry.metrics import Metrics
from modelmux.telemetry.output import FdOutput, Output
from modelmux.telemetry.redact import Redactor


class Telemetry:
    """Counts and log."""

    def __init__(self, config: Config, *, output: Output | None = None) -> None:
        """Tell what `config` wants told, on stderr unless `output` is given."""
        self.redactor = Redactor(secrets(config))
        self.metrics = Metrics()
        self.log = LogWriter(
            self._lines(config),
            self.redactor,
            output or FdOutput(sys.stderr.fileno()),
            unix_time=time.time,
            level=level(config),
        )

    def adopt(self, config: Config) -> None:
        """Tell what `config` wants told, and keep its secrets beside those known already."""
        self.redactor.register(secrets(config))
        self.log.reconfigure(self._lines(config), level(config))

    def _lines(self, config: Config) -> Lines:
        return (JsonLines if config.server.log_format == "json" else TextLines)(self.redactor)


class Lasting:
    """All of it. For one event loop."""

    def __init__(self, telemetry: Telemetry) -> None:
        """Begin with nothing but `telemetry`."""
        self.telemetry = telemetry
        self.retry_budget = RetryBudget(now=time.monotonic())
        self.health = HealthBook(time.monotonic, changed=self._told)

    def adopt(self, config: Config) -> None:
        """Keep to what `config` says of how targets are judged."""
        self.health.policy = breaker_policy(config.routing)

    def _told(self, health: TargetHealth) -> None:
        """Tell of a breaker that opened or closed."""
        log = self.telemetry.log
        match health.state:
            case "open":
                log.event(
                    "warn",
                    f"{health.name} fails, and is left alone",
                    failures=health.consecutive,
                    next_try_in_s=round(health.waits_s(self.health.now()), 1),
                )
            case "closed":
                log.event("info", f"{health.name} answers again")
            case "half_open":
                log.event("debug", f"{health.name} is tried")


def level(config: Config) -> Level:
    """From which level on the log tells."""
    return "debug" if config.server.debug else config.server.log_level
