import signal

from modelmux.isolate import bwrapped


def test_a_program_is_what_is_told():
    told = {"argv": ["sh", "-c", "x"], "environ": {}, "terminal": 0, "held": [int(signal.SIGTERM)]}
    program = bwrapped.program(told)
    assert (program.argv, program.terminal) == (["sh", "-c", "x"], 0)
    assert program.held == {signal.SIGTERM}
    assert program.is_confined
