from modelmux.ingress.auth import Keyring
from modelmux.ingress.streaming import Streaming
from modelmux.ingress.surface import ModelRow, Surface
from modelmux.target.call import ANONYMOUS, Caller
from modelmux.target.registry import Registry
from tests.support.targets import Fake
from tests.unit.ingress.world import Notes


def test_a_surface_has_what_it_was_made_of_and_is_quiet_unless_told():
    def rows(caller: Caller) -> list[ModelRow]:
        return [ModelRow(f"of {caller.name}", ("p/m",))]

    parts = (
        Registry([], [], lambda plan: plan.targets[0].target, built_in={"p/m": Fake()}),
        Keyring({}),
        Streaming("auto", 1, 1.0),
        Notes(),
    )
    surface = Surface(*parts, rows)
    assert (surface.registry, surface.keyring, surface.streaming, surface.journal) == parts
    assert surface.rows(Caller("team")) == [ModelRow("of team", ("p/m",))]
    assert surface.rows(ANONYMOUS)[0].context_tokens == 0
    assert not surface.debug
    assert Surface(*parts, rows, debug=True).debug
