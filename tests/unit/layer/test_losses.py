import asyncio

import pytest
from msgspec.structs import replace

from modelmux.ir.request import OnLoss
from modelmux.layer.losses import LossPolicy
from modelmux.target.call import Caller
from tests.support import targets
from tests.support.linewire import LineWire
from tests.support.targets import Fake

WIRE = LineWire()


@pytest.mark.parametrize(
    ("of_key", "of_name", "counts"),
    [(None, "warn", "warn"), ("refuse", "warn", "refuse"), ("warn", "refuse", "warn")],
)
def test_a_name_decides_unless_the_callers_key_does(
    of_key: OnLoss | None, of_name: OnLoss, counts: OnLoss
):
    fake = Fake(targets.whole(wire=WIRE))
    call = targets.call(WIRE)
    call.on_loss = replace(Caller(), on_loss=of_key).on_loss
    asyncio.run(LossPolicy(fake, on_loss=of_name).send(call))
    assert fake.calls[0].on_loss == counts
    assert call.on_loss == of_key


def test_it_has_the_name_of_what_it_wraps():
    assert LossPolicy(Fake(targets.whole(wire=WIRE), name="p/m"), on_loss="warn").name == "p/m"
