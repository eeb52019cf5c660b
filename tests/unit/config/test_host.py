import asyncio
import gc
import logging
import sys

import pytest

from modelmux.config.host import (
    GC_THRESHOLD,
    new_loop,
    settle_collector,
    stderr_output,
    take_uvicorns_log,
)
from modelmux.config.lasting import Telemetry
from modelmux.config.schema import Config
from tests.unit.config.gateways import Lines


def test_the_loop_is_the_quick_one():
    loop = new_loop()
    try:
        assert type(loop).__module__.startswith("uvloop") == (sys.platform != "win32")
        assert isinstance(loop, asyncio.AbstractEventLoop)
    finally:
        loop.close()


def test_the_log_goes_to_stderr(capfd: pytest.CaptureFixture[str]):
    output = stderr_output(lambda text: None)
    output.put(b"hello\n")
    assert output.close(5.0)
    assert "hello" in capfd.readouterr().err


def test_uvicorns_words_stand_in_the_log():
    logger = logging.getLogger("uvicorn.error")
    before = (logger.handlers, logger.level, logger.propagate)
    lines = Lines()
    try:
        take_uvicorns_log(Telemetry(Config(), output=lines).log)
        logger.warning("careful")
        logger.critical("the end")
    finally:
        logger.handlers, logger.level, logger.propagate = before
    assert "warn  careful" in lines.text
    assert "error the end" in lines.text


def test_what_is_there_is_out_of_the_collectors_sight():
    before = gc.get_threshold()
    try:
        settle_collector()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] == GC_THRESHOLD
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
