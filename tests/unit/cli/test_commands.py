from importlib.util import find_spec

from modelmux.cli.commands import COMMANDS, INSTEAD, LATER


def test_no_name_is_both_there_and_reserved():
    assert set(COMMANDS) & LATER == set()


def test_every_command_has_a_module_of_its_own():
    modules = [entry.module for entry in COMMANDS.values()]
    assert len(set(modules)) == len(modules)
    assert all(find_spec(module) for module in modules)


def test_only_what_is_reserved_needs_something_instead():
    assert set(INSTEAD) <= LATER
