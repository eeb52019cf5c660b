import asyncio

import pytest

from modelmux.config.lasting import Lasting, Telemetry, level
from modelmux.config.schema import Config, Database, Key, Server
from modelmux.errors import ConfigError
from tests.unit.config.gateways import Lines


def with_key(secret: str, **server: object) -> Config:
    return Config(keys=(Key(name="k", secret=secret),), server=Server(**server))  # type: ignore[arg-type]


def test_form_level_and_secrets_follow_the_configuration():
    lines = Lines()
    telemetry = Telemetry(with_key("secret-before"), output=lines)
    telemetry.log.event("debug", "not yet")
    telemetry.adopt(with_key("secret-after", log_format="json", log_level="debug"))
    telemetry.log.event("debug", "hello secret-after and secret-before")
    assert lines.text.startswith("{")
    assert "hello *** and ***" in lines.text
    assert "not yet" not in lines.text


def test_debug_is_a_level_of_its_own():
    assert level(Config(server=Server(log_level="error", debug=True))) == "debug"
    assert level(Config(server=Server(log_level="error"))) == "error"


def test_what_lasts_begins_with_retries_to_spend():
    lasting = Lasting(Telemetry(Config(), output=Lines()))
    assert lasting.retry_budget.withdraw(0.0)


def test_answers_are_kept_in_one_place_as_long_as_the_configuration_says_so():
    lasting = Lasting(Telemetry(Config(), output=Lines()))
    first = lasting.turns(Database(url="memory"))
    assert first is lasting.turns(Database(url="memory"))
    assert first is not lasting.turns(Database(url="memory", retention_days=1))
    assert lasting.turns(Database(url="")) is None
    asyncio.run(lasting.aclose())


@pytest.mark.parametrize("url", ["postgresql://x/y", "sqlite://y", "file.db"])
def test_a_place_that_is_none_of_those_there_are_is_refused(url: str):
    lasting = Lasting(Telemetry(Config(), output=Lines()))
    with pytest.raises(ConfigError, match=r"database\.url"):
        lasting.turns(Database(url=url))
