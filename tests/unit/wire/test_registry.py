import re

from modelmux.provider import catalog
from modelmux.wire import anthropic_messages, openai_chat
from modelmux.wire.registry import BY_NAME, WIRES


def test_every_wire_is_found_by_its_own_name():
    assert {wire.name: wire for wire in WIRES} == BY_NAME
    assert len(BY_NAME) == len(WIRES)


def test_names_are_in_lower_case_and_dotted_where_a_company_has_several():
    for name in BY_NAME:
        assert re.fullmatch(r"[a-z]+(\.[a-z_]+)?", name)


def test_a_wire_is_one_instance_wherever_it_is_got():
    assert BY_NAME["openai.chat"] is openai_chat.WIRE
    assert BY_NAME["anthropic.messages"] is anthropic_messages.WIRE


def test_every_wire_that_a_provider_speaks_is_there():
    rows = catalog.load()
    spoken = {wire.wire for type_ in rows.types for wire in rows.provider(type_).wires}
    assert spoken <= set(BY_NAME)
